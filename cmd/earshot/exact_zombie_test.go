package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Two processes work on one shard. In turn each is stopped in the midst of its work, for longer than the other waits
// before it takes over, and is let go on when the other has done so: a zombie with a plan, or an insert, in its hands.
func TestExactWorkersThatComeBackAsZombies(t *testing.T) {
	t.Parallel()
	rounds := long(6, 200)
	o := startOutside(t)
	env := append(o.env(), "EARSHOT_TAKEOVER=300ms", "EARSHOT_BATCH_ROWS=400", "EARSHOT_LINGER=5ms", "EARSHOT_INSIGHT_MAX_AGE=87600h")
	workers := []*running{start(t, dataFolder(t), "process", env...), start(t, dataFolder(t), "process", env...)}

	// Events keep coming, a little faster than they are dealt with, so that every stop hits somebody at work.
	accepted := map[string]bool{}
	enough, ended := make(chan struct{}), make(chan struct{})
	position := func() uint64 { return o.ledger().Hi }
	go func() {
		defer close(ended)
		for n := 0; ; {
			select {
			case <-enough:
				return
			default:
			}
			if uint64(n) > position()+20_000 {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			ids := make([]string, 500)
			for i := range ids {
				ids[i] = fmt.Sprint(n)
				accepted[ids[i]] = true
				n++
			}
			if err := o.publish(ids...); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	zombies := func(w *running) int { return strings.Count(w.log.String(), "standing by") }
	rng := rand.New(rand.NewPCG(9, 9))
	came := 0
	for round := range rounds {
		stopped := workers[round%2]
		at := position()
		eventually(t, "work before the stop", func() bool { return position() > at })
		time.Sleep(time.Duration(rng.IntN(100_000)) * time.Microsecond)
		before := zombies(stopped)
		if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		at = position()
		eventually(t, "the other takes over", func() bool { return position() > at+2000 })
		if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		// Whoever was at work finds out now that it has lost; whoever stood by has nothing to find out.
		deadline := time.Now().Add(500 * time.Millisecond)
		for zombies(stopped) == before && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if zombies(stopped) > before {
			came++
		}
	}
	close(enough)
	<-ended
	settle(t, dataFolder(t), o.env()...)
	v := judgeTable(t, o.clickhouse, outsideDatabase, accepted, func(id string) bool { return accepted[id] }, eventHour)
	v.report(t, "worker stopped (SIGSTOP), replaced, resumed as a zombie", came)
	if came < rounds/2 {
		t.Errorf("only %d of %d stops hit the worker that was at work", came, rounds)
	}
	for _, w := range workers {
		w.stop()
	}
}
