package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// errMoved ends a session whose shard was moved to another generation: the next one begins at once, with what is known
// there.
var errMoved = errors.New("the shard was moved to another generation")

// heldPoll is how often a held worker looks whether it may go on.
const heldPoll = 50 * time.Millisecond

// moved says whether a ledger was written by somebody who moves the shard to another generation, and not by a rival.
func (w *Worker) moved(l *schemas.Ledger) bool {
	return l.Checkpoint != nil && (l.Checkpoint.Moving != w.cp.Moving || l.Checkpoint.Generation != w.cp.Generation)
}

// held waits until the shard is no longer held. The plan that was open is finished by then, and no other is begun: what
// is in the table up to the checkpoint is all there is in the present generation, while it is carried over to the next.
func (w *Worker) held(ctx context.Context) error {
	w.cfg.Logger.Info().Uint32("generation", w.cp.Moving).Msg("held while the shard is moved to another generation: events wait in the log")
	for {
		wait(ctx, heldPoll)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l, err := w.cfg.Log.Load(ctx)
		if err != nil {
			return fmt.Errorf("load the ledger of a held shard: %w", err)
		}
		if l.Checkpoint == nil || l.Checkpoint.Moving != w.cp.Moving {
			return errMoved
		}
	}
}

// Settle finishes the plan that a former session of any worker has left open, and begins nothing new. It is for whoever
// moves a shard that no worker is at work on; a worker that is, takes it for a rival.
func (w *Worker) Settle(ctx context.Context) error {
	if err := w.load(ctx); err != nil || !w.ledger.Open() {
		return err
	}
	prep, err := w.begin(ctx)
	if err != nil {
		return err
	}
	return w.resume(ctx, prep)
}
