package worker_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/earshot/earshot/processors/worker"
)

// The memory of identities lets the older half go in the midst of a batch. What it knew when the table was asked, and was
// therefore not asked about, must stay known to the end of the batch.
func TestDuplicatesAreFoundWhileTheMemoryLetsGo(t *testing.T) {
	s := openStores(t)
	const events, times = 700, 4
	ids := make([]string, 0, times*events)
	for range times {
		ids = append(ids, names("e", events)...)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for lo := 0; lo < len(ids); lo += 200 {
		s.publish("", ids[lo:lo+200]...)
	}
	stop := s.start(func(c *worker.Config) { c.BatchRows, c.DedupCapacity = 50, 200 })
	s.want(events, (times-1)*events, 0)
	s.must(stop())
	var distinct string
	s.must(s.store.Value(s.ctx, "SELECT toString(uniqExact(event_id)) FROM feedback", &distinct))
	if distinct != fmt.Sprint(events) {
		t.Errorf("%s different events are stored, want %d", distinct, events)
	}
}
