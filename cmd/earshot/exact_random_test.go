package main

import (
	"os"
	"testing"
	"time"
)

// longTests, set to 1, asks for the long forms of tests.
const longTests = "EARSHOT_LONG_TESTS"

// A node is killed with kill -9 at random moments, from before it is ready to the middle of everything, and started again.
func TestExactWhenKilledAtRandom(t *testing.T) {
	t.Parallel()
	rounds := 12
	if os.Getenv(longTests) == "1" {
		rounds = 500
	}
	dir := dataFolder(t)
	f := newFeed(t, 3)
	accepted := 0
	for round := range rounds {
		up := beginUp(t, earshot(t, dir, "up"), append(exactEnv(), "EARSHOT_ALERT_RULES=", "EARSHOT_CACHE_EVERY=1s")...) // with the shipped rules, and in the midst of caching
		after := time.Duration(20+f.random.IntN(700)) * time.Millisecond
		if round%4 == 0 { // before it is ready, as a rule
			time.Sleep(after)
			up.kill()
			continue
		}
		if !up.ready() {
			t.Fatalf("up ended by itself:\n%s", up.log)
		}
		killed := make(chan struct{})
		go func() {
			time.Sleep(after)
			up.kill()
			close(killed)
		}()
		accepted += f.pour(up, func(int) bool { return false })
		<-killed
	}
	if accepted == 0 {
		t.Error("no request was accepted before a kill: the kills miss what they are for")
	}
	found, faults := f.check(dir)
	for _, fault := range faults {
		t.Error(fault)
	}
	reportExact(t, "kill -9 at a random moment", rounds, found)
}
