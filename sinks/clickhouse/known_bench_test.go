package clickhouse_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// BenchmarkKnown is the look-up of identities that are older than a worker's memory, in a table of two million rows over
// ten months: all new, as in a day without duplicates; a stretch sent again, such as a file; and a choice at random, which
// touches every part.
func BenchmarkKnown(b *testing.B) {
	const total, part = 2_000_000, 50_000
	s := connect(b, clickhouse.Config{DSN: enginetest.Start(b)})
	if _, err := s.Migrate(b.Context(), clickhouse.MigrateOptions{}); err != nil {
		b.Fatal(err)
	}
	stored := make([]schemas.EventID, 0, total)
	rows := generate(1, part, 1)
	for lo := range total / part {
		month := start.AddDate(0, -lo/4, 0)
		for i := range rows {
			r := &rows[i]
			r.Seq = uint64(lo*part + i + 1)
			r.Event.Time = time.Date(month.Year(), month.Month(), 1+lo%4*7, 0, 0, 0, i*10_000_000, time.UTC)
			r.ReceivedAt = r.Event.Time
			r.ID = schemas.Identify(r.Event.Tenant, r.Event.Source, fmt.Sprint(r.Seq))
			stored = append(stored, r.ID)
		}
		insert(b, s, rows)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{200, 5000, 50_000} {
		for _, c := range []struct {
			name string
			ids  func() []schemas.EventID
			want int
		}{
			{"new", func() []schemas.EventID {
				out := make([]schemas.EventID, n)
				for i := range out {
					out[i] = schemas.Identify("acme", "/new", fmt.Sprint(rng.Uint64()))
				}
				return out
			}, 0},
			{"stretch", func() []schemas.EventID { lo := rng.IntN(total - n); return stored[lo : lo+n] }, n},
			{"random", func() []schemas.EventID {
				out := make([]schemas.EventID, n)
				for i, at := range rng.Perm(total)[:n] {
					out[i] = stored[at]
				}
				return out
			}, n},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					ids := c.ids()
					b.StartTimer()
					known, err := s.Known(b.Context(), 1, epoch, 0, 1<<62, ids)
					if err != nil || len(known) != c.want {
						b.Fatalf("%d known, want %d: %v", len(known), c.want, err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
			})
		}
	}
}
