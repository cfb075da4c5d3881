package worker

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// looks is how often a lane is looked at within the budget of a step. A step is late when it was found at work that many
// times and once more, so that a process that was stopped as a whole for a while, which is looked at once when it goes
// on, does not lose its events.
const looks = 8

// lane is a goroutine's way through a run of steps. at is the number of the step it works on; whoever moves it on by
// compare-and-swap, the goroutine itself or the one that watches, decides whether the step counts.
type lane struct {
	at   atomic.Int64
	end  int64
	seen int64 // where the last look found it
	same int   // how many looks in a row found it there
}

// each runs step 0 … n−1 on all cores, in runs long enough that handing them out costs nothing. Step i is work(i); done(i)
// follows it, unless the step took longer than the budget: then late(i) is called instead, its goroutine is left behind,
// since nothing can stop it, and the steps after it go on in another. What work writes must therefore be of use to step i
// alone. late(i) is never called at the same time as done(i).
func each(n int, budget time.Duration, work func(i int), done func(i int), late func(i int)) {
	const run = 256
	share := max(run, (n+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var lanes []*lane
	var open sync.WaitGroup
	for lo := 0; lo < n; lo += share {
		l := &lane{end: int64(min(lo+share, n)), seen: -1}
		l.at.Store(int64(lo))
		lanes = append(lanes, l)
		open.Add(int(l.end) - lo)
		go l.run(work, done, &open)
	}
	finished := make(chan struct{})
	go func() { open.Wait(); close(finished) }()
	tick := time.NewTicker(max(budget/looks, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-finished:
			return
		case <-tick.C:
		}
		for i, l := range lanes {
			at := l.at.Load()
			if at != l.seen {
				l.seen, l.same = at, 0
				continue
			}
			if l.same++; l.same < looks || at == l.end {
				continue
			}
			if !l.at.CompareAndSwap(at, -1) {
				continue // it has just ended
			}
			late(int(at))
			next := &lane{end: l.end, seen: -1}
			next.at.Store(at + 1)
			lanes[i] = next
			open.Done()
			go next.run(work, done, &open)
		}
	}
}

// run goes through the lane until its end, or until a step of it was taken away.
func (l *lane) run(work, done func(i int), open *sync.WaitGroup) {
	for at := l.at.Load(); at < l.end; at++ {
		work(int(at))
		if !l.at.CompareAndSwap(at, at+1) {
			return
		}
		done(int(at))
		open.Done()
	}
}

// parallel runs step 0 … n−1 on all cores, however long they take.
func parallel(n int, f func(i int)) {
	each(n, math.MaxInt64, f, func(int) {}, func(int) {})
}
