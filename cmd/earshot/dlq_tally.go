package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/deadletter"
)

// tally counts what came of letters.
type tally struct {
	env   *environment
	done  deadletter.State
	json  bool
	moved int
	left  int
	gone  int // letters named by the caller that are not there

	told map[schemas.LetterID]bool // of which it was reported what became of them
}

// report counts a letter, and says so if it could not be dealt with.
func (t *tally) report(l *deadletter.Letter, err error) {
	if t.told == nil {
		t.told = map[schemas.LetterID]bool{}
	}
	t.told[l.ID] = true
	switch {
	case err != nil:
		t.left++
		fmt.Fprintf(t.env.stderr, "%s: %v\n", l.ID.Short(), err)
	case l.State != t.done: // a letter that was to be discarded and proved to be in the log
		t.left++
		fmt.Fprintf(t.env.stderr, "%s: it is %s, as %s\n", l.ID.Short(), l.State, l.Again.Short())
	default:
		t.moved++
	}
}

// leaveOut says how many letters a replay does not take because their event was replayed before and died again.
func (t *tally) leaveOut(ctx context.Context, box *deadletter.Box, f deadletter.Filter) error {
	f.First, f.Limit = false, 0
	if len(f.States) == 0 {
		f.States = []deadletter.State{deadletter.Open, deadletter.Replaying}
	}
	n := 0
	for l, err := range box.Letters(ctx, f) {
		if err != nil {
			return err
		}
		if l.Former != "" {
			n++
		}
	}
	if n > 0 {
		fmt.Fprintf(t.env.stderr, "left out: %s whose event was replayed before and died again; --again takes them too\n", count(n))
	}
	return nil
}

// account says of each letter that the caller named and nothing was done about why that is.
func (t *tally) account(ctx context.Context, box *deadletter.Box, named []schemas.LetterID) error {
	if len(named) == 0 {
		return nil
	}
	there := map[schemas.LetterID]bool{}
	for l, err := range box.Letters(ctx, deadletter.Filter{IDs: named}) {
		if err != nil {
			return err
		}
		there[l.ID], there[schemas.LetterID{Shard: l.ID.Shard, Seq: l.ID.Seq}] = true, true
		switch {
		case t.told[l.ID]:
		case l.State == deadletter.Replayed && l.Delivery():
			fmt.Fprintf(t.env.stderr, "%s: nothing is done, it was replayed before\n", l.ID.Short())
		case l.State == deadletter.Replayed:
			fmt.Fprintf(t.env.stderr, "%s: nothing is done, it was replayed before, as %s\n", l.ID.Short(), l.Again.Short())
		case l.State == deadletter.Discarded && t.done == deadletter.Replayed:
			fmt.Fprintf(t.env.stderr, "%s: nothing is done, it is discarded; --state discarded replays it\n", l.ID.Short())
		case l.State == deadletter.Discarded:
			fmt.Fprintf(t.env.stderr, "%s: nothing is done, it was discarded before\n", l.ID.Short())
		default:
			fmt.Fprintf(t.env.stderr, "%s: nothing is done, the other filters do not choose it\n", l.ID.Short())
		}
	}
	for _, id := range named {
		if !there[id] {
			t.gone++
			fmt.Fprintf(t.env.stderr, "%s: there is no such dead letter; 'earshot dlq list' shows those that are there\n", id.Short())
		}
	}
	return nil
}

// end prints the sum; letters that could not be dealt with, or are not there, make the command fail.
func (t *tally) end() error {
	if t.json {
		if err := json.NewEncoder(t.env.stdout).Encode(map[string]int{string(t.done): t.moved, "left": t.left}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(t.env.stdout, "%s %d, left as they are %d\n", t.done, t.moved, t.left)
	}
	if t.left+t.gone > 0 {
		return errReported
	}
	return nil
}
