package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Switch makes the generation that was built the live one. From its first step on there is no way but forward, and all of
// it can be done by any process that has the stores, whatever its classifier: 1. every shard is held, so that nothing more
// is committed; 2. the plans that are open are finished; 3. the rows that came in since the build are carried over with the
// labels they have; 4. the two generations are counted against each other; 5. the views are switched, in one step; 6. the
// shards go on in the new generation, which holds every event that was stored, so that what is sent again is known there.
func (r *Reclassifier) Switch(ctx context.Context) error {
	if err := r.own(ctx, anything); err != nil {
		return err
	}
	c := r.rec.Change
	if c == nil {
		return errors.New("no generation is built that could be switched to")
	}
	if !c.Moving {
		if c.Plan != nil {
			return fmt.Errorf("generation %d is not built yet", c.To)
		}
		if err := r.verify(ctx, true); err != nil {
			return err
		}
		c.Moving = true
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return r.move(ctx)
}

// Finish finishes a switch that another process has begun and not lived to end, and says whether there was one. Where
// nothing is under way it makes sure that the views show what the record says.
func (r *Reclassifier) Finish(ctx context.Context) (bool, error) {
	if err := r.load(ctx); err != nil || r.seq == 0 {
		return false, err
	}
	for !moving(r.rec.Change) {
		seq := r.seq
		if err := r.cfg.Table.SetLive(ctx, r.rec.Live); err != nil {
			return false, err
		}
		if err := r.load(ctx); err != nil || r.seq == seq {
			return false, err // else somebody has gone on meanwhile
		}
	}
	switch err := r.own(ctx, moving); {
	case errors.Is(err, schemas.ErrBuilding):
		return false, nil // it is in good hands
	case err != nil:
		return false, err
	case !moving(r.rec.Change): // another has just finished it
		return false, nil
	}
	r.cfg.Logger.Warn().Uint32("generation", r.rec.Change.To).Msg("finishing a switch of generations that was cut off")
	return true, r.move(ctx)
}

func moving(c *schemas.Generation) bool { return c != nil && c.Moving }

func (r *Reclassifier) move(ctx context.Context) error {
	c := r.rec.Change
	if !c.Shown {
		if err := r.fetch(ctx); err != nil {
			return err
		}
	}
	if err := r.cfg.Table.SetLive(ctx, c.To); err != nil {
		return err
	}
	if !c.Shown {
		// The record says so before a shard is released, and not the store, which a process that was held up may still set
		// back: nothing can keep it from that, so whoever finds that he has lost the record looks what it says by then.
		c.Shown = true
		if err := r.save(ctx); err != nil {
			return r.show(ctx, err)
		}
	}
	for shard := range r.cfg.Shards {
		if err := r.release(ctx, shard); err != nil {
			return r.show(ctx, err)
		}
	}
	r.rec = schemas.Generations{Live: c.To, Previous: r.rec.Live, Since: time.Now().UTC(), Newest: r.rec.Newest}
	return r.show(ctx, r.save(ctx))
}

// show makes the views show what the record says after this process, which has switched them, lost it.
func (r *Reclassifier) show(ctx context.Context, err error) error {
	if !errors.Is(err, schemas.ErrLost) {
		return err
	}
	if lerr := r.load(ctx); lerr != nil {
		return errors.Join(err, lerr)
	}
	return errors.Join(err, r.cfg.Table.SetLive(ctx, r.rec.Shown()))
}

// fetch holds the shards and makes the new generation equal to the live one.
func (r *Reclassifier) fetch(ctx context.Context) error {
	if r.rec.Change.Plan != nil {
		if err := r.resume(ctx); err != nil {
			return err
		}
	}
	for shard := range r.cfg.Shards {
		if err := r.hold(ctx, shard); err != nil {
			return err
		}
	}
	for shard := range r.cfg.Shards {
		if err := r.still(ctx, shard); err != nil {
			return err
		}
	}
	if _, err := r.catchUp(ctx); err != nil {
		return err
	}
	return r.verify(ctx, false)
}

// lookAgain is how often the ledger of a shard that is being held is looked at.
const lookAgain = 20 * time.Millisecond

// hold writes into a shard's checkpoint that it is held: the commit that is under way fails, and no other is begun.
func (r *Reclassifier) hold(ctx context.Context, shard int) error {
	to := r.rec.Change.To
	for w := r.watch(shard); ; {
		l, err := w.load(ctx)
		if err != nil {
			return err
		}
		cp := schemas.Checkpoint{Epoch: w.log.Epoch(), Shard: shard, Generation: r.rec.Live}
		if l.Checkpoint != nil {
			cp = *l.Checkpoint
		} else if err := r.unused(ctx, shard, &l); err != nil {
			return err
		}
		switch {
		case cp.Epoch != w.log.Epoch():
			return fmt.Errorf("hold shard %d: %w", shard, schemas.ErrEpoch)
		case cp.Generation != r.rec.Live:
			return r.doubt(ctx, fmt.Errorf("hold shard %d: it writes generation %d where %d is live; run 'earshot reconcile'", shard, cp.Generation, r.rec.Live))
		case cp.Moving == to:
			return nil
		case cp.Outcomes > 0: // in the midst of a commit of several pieces
			if err := w.wait(ctx); err != nil {
				return err
			}
			continue
		}
		cp.Moving = to
		_, err = w.log.Commit(ctx, cp, l.CheckpointSeq, nil, 0)
		if err == nil || !errors.Is(err, schemas.ErrLost) {
			return err
		}
	}
}

// unused makes sure that a shard without a checkpoint has no rows: with rows, its ledger is lost, and what is committed is
// not known.
func (r *Reclassifier) unused(ctx context.Context, shard int, l *schemas.Ledger) error {
	if l.Plan != nil {
		return nil // its first plan is open, and whatever rows there are belong to it
	}
	rows, _, err := r.cfg.Table.ReadBack(ctx, schemas.Range{Epoch: r.cfg.Shards[shard].Epoch(), Shard: shard, Generation: r.rec.Live, Lo: 1, Hi: math.MaxInt64})
	if err == nil && rows > 0 {
		err = fmt.Errorf("shard %d has %d rows but no ledger: let its worker restore it first", shard, rows)
	}
	return err
}

// still waits until the open plan of a held shard is finished and then makes sure that none is begun by a worker that has
// not noticed yet: it writes an empty plan, so that the next plan of anyone who has not read the ledger since is refused.
func (r *Reclassifier) still(ctx context.Context, shard int) error {
	for w := r.watch(shard); ; {
		l, err := w.load(ctx)
		if err != nil {
			return err
		}
		cp := l.Checkpoint
		if cp == nil || cp.Moving != r.rec.Change.To {
			return fmt.Errorf("shard %d is no longer held: %w", shard, schemas.ErrLost)
		}
		if l.Open() {
			if err := w.wait(ctx); err != nil {
				return err
			}
			continue
		}
		none := schemas.Plan{Epoch: cp.Epoch, Shard: shard, Generation: cp.Generation, Lo: cp.Hi + 1, Hi: cp.Hi, SHA256: schemas.HashDigests(nil)}
		_, err = w.log.SavePlan(ctx, none, l.PlanSeq)
		if err == nil || !errors.Is(err, schemas.ErrLost) {
			return err
		}
	}
}

// release lets a held shard go on in the new generation.
func (r *Reclassifier) release(ctx context.Context, shard int) error {
	to := r.rec.Change.To
	for w := r.watch(shard); ; {
		l, err := w.load(ctx)
		if err != nil {
			return err
		}
		switch cp := l.Checkpoint; {
		case cp == nil:
			return fmt.Errorf("release shard %d: its checkpoint is gone", shard)
		case cp.Moving != to && cp.Generation == to:
			return nil
		case cp.Moving != to:
			return r.doubt(ctx, fmt.Errorf("release shard %d: it is not held for generation %d but writes generation %d; run 'earshot reconcile'", shard, to, cp.Generation))
		}
		next := *l.Checkpoint
		next.Generation, next.Moving, next.Recent = to, 0, nil // the marks are of the former generation
		_, err = w.log.Commit(ctx, next, l.CheckpointSeq, nil, 0)
		if err == nil || !errors.Is(err, schemas.ErrLost) {
			return err
		}
	}
}

// watch follows the ledger of a shard whose worker has something to finish first.
type watch struct {
	r     *Reclassifier
	shard int
	log   Log
	seen  schemas.Ledger
	still time.Duration
}

func (r *Reclassifier) watch(shard int) *watch {
	return &watch{r: r, shard: shard, log: r.cfg.Shards[shard]}
}

func (w *watch) load(ctx context.Context) (schemas.Ledger, error) {
	l, err := w.log.Load(ctx)
	if err != nil {
		return l, fmt.Errorf("load the ledger of shard %d: %w", w.shard, err)
	}
	if l.PlanSeq != w.seen.PlanSeq || l.CheckpointSeq != w.seen.CheckpointSeq {
		w.seen, w.still = l, 0
	}
	return l, nil
}

// wait waits a little for the worker. Where there is none, or its ledger stands still for as long as a rival of it would
// wait, the plan is finished in its place.
func (w *watch) wait(ctx context.Context) error {
	cfg := &w.r.cfg
	if cfg.Settle == nil || !cfg.Alone && w.still < cfg.Takeover {
		wait(ctx, lookAgain)
		w.still += lookAgain
		return ctx.Err()
	}
	w.still = 0
	cfg.Logger.Warn().Int("shard", w.shard).Msg("finishing the plan of a shard that no worker is at work on")
	switch err := cfg.Settle(ctx, w.shard); {
	case errors.Is(err, schemas.ErrLost):
		return nil // there is a worker after all
	default:
		return err
	}
}
