package stream_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// BenchmarkPublish measures confirmed, synced events a second, by callers at once and messages a request. One operation
// is one event of 375 bytes.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 64} {
		for _, n := range []int{1, 10, 500} {
			b.Run(fmt.Sprintf("callers=%d/messages=%d", callers, n), func(b *testing.B) {
				w := newWorld(b)
				w.provision(1)
				p := w.publisher(stream.PublisherConfig{Shards: 1, QueueMessages: callers * n})
				msgs := messages(0, "bench", n, 375)
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for left.Add(-int64(n)) > -int64(n) {
							if err := p.Publish(w.ctx, msgs); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkRead measures records a second from a log that was filled before, in batches of 10,000 as a worker reads them.
// One operation is one record of 375 bytes.
func BenchmarkRead(b *testing.B) {
	w := newWorld(b)
	w.provision(1)
	const stored = 200_000
	p := w.publisher(stream.PublisherConfig{Shards: 1})
	for range stored / 10_000 {
		w.publish(p, messages(0, "bench", 10_000, 375))
	}
	s := w.shard(0)
	read := func(after uint64) []schemas.Record {
		recs, err := s.Read(w.ctx, after, 10_000, 0, 5*time.Second, 50*time.Millisecond)
		if err != nil || len(recs) == 0 {
			b.Fatalf("%d records, %v", len(recs), err)
		}
		return recs
	}
	b.ReportAllocs()
	b.ResetTimer()
	var after uint64
	for n := 0; n < b.N; {
		recs := read(after)
		n += len(recs)
		if after = recs[len(recs)-1].Seq; after == stored {
			after = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkCommit measures one plan and one commit, by the number of outcomes.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{0, 100, 5000} {
		b.Run(fmt.Sprintf("outcomes=%d", n), func(b *testing.B) {
			w := newWorld(b)
			w.provision(1)
			s := w.shard(0)
			out := outcomes(n, 300)
			var plan, cp uint64
			var err error
			for i := range uint64(b.N) {
				if plan, err = s.SavePlan(w.ctx, schemas.Plan{Hi: i}, plan); err != nil {
					b.Fatal(err)
				}
				if cp, err = s.Commit(w.ctx, schemas.Checkpoint{Hi: i}, cp, out, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
