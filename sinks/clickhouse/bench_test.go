package clickhouse_test

import (
	"fmt"
	"testing"

	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// BenchmarkInsert is the whole way of a row into the table, over HTTP, fsynced: generated rows, so that only the store's
// own work is measured. The figures of a run are in the decision record on the store.
func BenchmarkInsert(b *testing.B) {
	for _, compression := range []string{"none", "lz4"} {
		for _, n := range []int{1_000, 10_000, 50_000} {
			b.Run(fmt.Sprintf("%s/%d", compression, n), func(b *testing.B) {
				s := connect(b, clickhouse.Config{DSN: enginetest.Start(b), Compression: compression})
				if _, err := s.Migrate(b.Context(), clickhouse.MigrateOptions{}); err != nil {
					b.Fatal(err)
				}
				rows := generate(1, n, 1)
				b.ReportAllocs()
				next := uint64(1)
				for b.Loop() {
					if err := s.Insert(b.Context(), rows, fmt.Sprintf("bench-%d", next)); err != nil {
						b.Fatal(err)
					}
					next++
				}
				b.ReportMetric(float64(next-1)*float64(n)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
