package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Recognise says whether the log is the one that its ledger was written for. [schemas.ErrEpoch]: it was made anew, or put
// back from a copy that is older than the ledger. A log without a ledger is always recognised.
func Recognise(ctx context.Context, log Log) error {
	l, err := log.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the ledger: %w", err)
	}
	return recognise(ctx, log, &l)
}

// The last message dealt with is read for its time only, and is there or not: no read waits long for it.
const (
	tailBytes = 1 << 20
	tailIdle  = 200 * time.Millisecond
)

// recognise holds the log against the ledger: by its epoch, and by the last message that was dealt with. A copy that was put
// back has its epoch, and once it has grown past the checkpoint again, nothing but other messages in the place of those.
func recognise(ctx context.Context, log Log, l *schemas.Ledger) error {
	if p := l.Plan; p != nil && p.Epoch != log.Epoch() {
		return fmt.Errorf("the plan has the epoch %s, the stream %s: %w", p.Epoch, log.Epoch(), schemas.ErrEpoch)
	}
	c := l.Checkpoint
	if c != nil && c.Epoch != log.Epoch() {
		return fmt.Errorf("the checkpoint has the epoch %s, the stream %s: %w", c.Epoch, log.Epoch(), schemas.ErrEpoch)
	}
	if c == nil || c.Tail == nil {
		return nil
	}
	first, err := log.First(ctx)
	if err != nil {
		return fmt.Errorf("find where the log begins: %w", err)
	}
	if first > c.Tail.Seq && first <= c.Hi+1 { // it is past the log's age, and nothing but that
		return nil
	}
	rs, err := log.Read(ctx, c.Tail.Seq-1, 1, tailBytes, tailIdle, 0)
	switch {
	case err != nil:
		return fmt.Errorf("read message %d again: %w", c.Tail.Seq, err)
	case len(rs) == 0: // removed, or the log ends before it: then this read says so
		_, err = log.Read(ctx, c.Hi, 1, tailBytes, tailIdle, 0)
		return err
	case rs[0].Seq == c.Tail.Seq && !rs[0].Time.Equal(c.Tail.At):
		return fmt.Errorf("message %d was received at %v, the one dealt with at %v: %w", c.Tail.Seq, rs[0].Time.UTC(), c.Tail.At.UTC(), schemas.ErrEpoch)
	}
	return nil
}
