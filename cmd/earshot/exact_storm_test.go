package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Every event is sent five times, in an order without any order, to a worker that is killed in the midst of it. The
// worker runs alone, so that its memory is not the engine's; the bound is the one that the README states.
func TestExactDuplicateStorm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claim     string
		events    int
		ids, rows int // EARSHOT_DEDUP_IDS, EARSHOT_BATCH_ROWS
		bound     int64
	}{
		{"identities fit the memory", long(12_000, 100_000), 2_000_000, 50_000, 600 << 20},
		{"most identities are looked up in the table", long(12_000, 100_000), 5000, 1200, 256 << 20},
	} {
		t.Run(c.claim, func(t *testing.T) {
			const times = 5
			o := startOutside(t)
			env := append(o.env(), fmt.Sprint("EARSHOT_DEDUP_IDS=", c.ids), fmt.Sprint("EARSHOT_BATCH_ROWS=", c.rows))
			order := make([]int, times*c.events)
			for i := range order {
				order[i] = i % c.events
			}
			rng := rand.New(rand.NewPCG(11, 11))
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			accepted := make(map[string]bool, c.events)
			for i := range c.events {
				accepted[fmt.Sprint(i)] = true
			}
			began := time.Now()
			w := start(t, dataFolder(t), "process", env...)
			var top int64
			for part := range 2 {
				for lo, end := part*len(order)/2, (part+1)*len(order)/2; lo < end; lo += 1000 {
					ids := make([]string, min(1000, end-lo))
					for i := range ids {
						ids[i] = fmt.Sprint(order[lo+i])
					}
					o.must(o.publish(ids...))
				}
				if part == 0 { // wherever it is
					_, peak := resident(t, w.cmd.Process.Pid)
					top = max(top, peak)
					w.kill()
					w = start(t, dataFolder(t), "process", env...)
				}
			}
			sent := time.Since(began)
			b := settle(t, dataFolder(t), o.env()...)
			_, peak := resident(t, w.cmd.Process.Pid)
			top = max(top, peak)
			if want := (balance{Accepted: uint64(len(order)), Stored: uint64(c.events), Duplicates: uint64(len(order) - c.events), Exact: true}); b != want {
				t.Errorf("reconcile says %+v, want %+v", b, want)
			}
			t.Logf("%d events sent %d times: sent after %v, settled after %v; the worker took at most %d MiB", c.events, times, sent, time.Since(began), top>>20)
			if top > memoryFactor*c.bound {
				t.Errorf("the worker took %d MiB, want at most %d", top>>20, c.bound>>20)
			}
			v := judgeTable(t, o.clickhouse, outsideDatabase, accepted, func(id string) bool { return accepted[id] }, eventHour)
			v.report(t, fmt.Sprintf("every event sent %d times, shuffled, worker killed meanwhile; %s", times, c.claim), times)
			w.stop()
		})
	}
}
