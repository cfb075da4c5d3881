package main

import (
	"testing"
	"time"

	"github.com/earshot/earshot/sinks/clickhouse"
)

// The cache is made again when things are at rest, every minute while they are not, and for a tenth of the time at most.
func TestPaceOfTheCache(t *testing.T) {
	var p pace
	start := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		at    int // seconds
		state string
		fresh bool
		want  bool
		took  int // seconds; of the refresh that follows, negative: which fails after so many
	}{
		{0, "a", false, false, 0},  // it may go on changing
		{5, "a", false, true, 2},   // nothing has changed
		{7, "a", true, false, 0},   // done
		{12, "b", false, false, 0}, // a change
		{17, "b", false, false, 0}, // at rest, but a refresh of 2 s may be made every 20 s
		{25, "b", false, true, 2},
		{27, "c", false, false, 0}, // changed meanwhile, and goes on to
		{50, "d", false, false, 0},
		{85, "e", false, false, 0},
		{87, "f", false, true, 30}, // a minute after the last one ended
		{117, "f", false, false, 0},
		{300, "f", false, false, 0}, // 30 s: nothing for 270 s
		{387, "f", false, true, -1},
		{440, "f", false, false, 0}, // failed: nothing for a minute
		{450, "f", false, true, 1},
	} {
		now := start.Add(time.Duration(step.at) * time.Second)
		if got := p.due(now, clickhouse.CacheLook{State: step.state, Fresh: step.fresh}); got != step.want {
			t.Fatalf("after %d s: due %v, want %v", step.at, got, step.want)
		}
		if step.want {
			took := time.Duration(max(step.took, -step.took)) * time.Second
			p.made(now.Add(took), took, step.took > 0)
		}
	}
}
