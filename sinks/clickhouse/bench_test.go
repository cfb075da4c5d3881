package clickhouse_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

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

// BenchmarkAudit is what the auditor asks of a table with a million rows in parts as a worker leaves them. The figures of
// a run are in the decision record on the auditor.
func BenchmarkAudit(b *testing.B) {
	const million = 1_000_000
	s := connect(b, clickhouse.Config{DSN: enginetest.Start(b)})
	if _, err := s.Migrate(b.Context(), clickhouse.MigrateOptions{}); err != nil {
		b.Fatal(err)
	}
	for lo := uint64(1); lo <= million; lo += 50_000 {
		insert(b, s, generate(lo, 50_000, lo))
	}
	all, newest := whole(1, million), whole(million-1000, million)
	all.Month, newest.Month = 0, 0
	for _, c := range []struct {
		name string
		ask  func() error
	}{
		{"tally/all", func() error { _, _, _, err := s.Tally(b.Context(), all); return err }},
		{"tally/newest", func() error { _, _, _, err := s.Tally(b.Context(), newest); return err }},
		{"readback/newest", func() error { _, _, err := s.ReadBack(b.Context(), newest); return err }},
		{"table", func() error { _, err := s.CheckTable(b.Context()); return err }},
		{"hour", func() error { _, _, err := s.CompareHour(b.Context(), 1, start); return err }},
		{"hours/all", func() error { _, _, err := s.SuspectHours(b.Context(), 1); return err }},
		{"absent/none", func() (err error) {
			for _, e := range s.Absent(b.Context(), all) {
				err = e
			}
			return err
		}},
		{"count/uniqExact", func() error { _, _, err := s.Count(b.Context(), 1, epoch, 0, million); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			began := processorTime(b)
			for b.Loop() {
				if err := c.ask(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processorTime(b)-began).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime is what this process, the engine in it, has used of all cores.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
