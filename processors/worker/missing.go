package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/earshot/earshot/processors/dedup"
	"github.com/earshot/earshot/schemas"
)

// Bounds of a repair by command.
const (
	repairTries = 20                     // turns in a row that a worker wins before the repair gives up
	givePoll    = 100 * time.Millisecond // how often a repair that has given way looks at the ledger
)

// window is a stretch of the log with missing rows that one plan brings in.
type window struct {
	lo, hi  uint64
	missing []schemas.Range // inside the window, in order
	count   uint64          // sequences of them
}

// windows cuts ranges, which are in order, into stretches of at most so many sequences. A lost part of one month among
// several leaves as many ranges as rows; a plan for each would take minutes for what one insert can bring.
func windows(ranges []schemas.Range, most uint64) (out []window) {
	for _, r := range ranges {
		for r.Lo <= r.Hi {
			n := len(out)
			if n == 0 || out[n-1].lo+most <= r.Lo {
				out = append(out, window{lo: r.Lo})
				n++
			}
			w := &out[n-1]
			piece := r
			piece.Hi = min(r.Hi, w.lo+most-1)
			w.hi, w.missing, w.count = piece.Hi, append(w.missing, piece), w.count+piece.Hi-piece.Lo+1
			r.Lo = piece.Hi + 1
		}
	}
	return out
}

// Repair brings in again, from the log, what the table lacks of ranges that were committed before, and returns how many
// rows that were. The ranges are in order; those beyond the checkpoint are none of its business. A worker that is running
// on the shard stands by meanwhile; where events wait for it, the repair gives way to it every [Config].RepairTurn.
// progress, if it is not nil, is told after each step how many of the sequences asked for have been dealt with. Rows of a
// plan that the worker took over and finished are not counted.
// [HaltError]: the log no longer has what is missing, or the table contradicts it. [schemas.ErrLost]: the worker won the
// shard every time.
func (w *Worker) Repair(ctx context.Context, ranges []schemas.Range, progress func(done uint64)) (uint64, error) {
	w.repaired = 0
	left := windows(ranges, uint64(w.cfg.BatchRows))
	var done uint64
	alone := false // no worker took its turn when it was given one
	for lost := 0; ; {
		err := w.repairTurn(ctx, &left, func(n uint64) {
			done, lost = done+n, 0
			if progress != nil {
				progress(done)
			}
		})
		switch {
		case errors.Is(err, schemas.ErrLost):
			if lost++; lost == repairTries {
				return w.repaired, err
			}
		case err != nil:
			return w.repaired, err
		case len(left) == 0:
			if err = w.giveWay(ctx); errors.Is(err, schemas.ErrLost) { // the worker did not wait for it
				err = nil
			}
			return w.repaired, err
		case !alone:
			if alone, err = w.waitTurn(ctx); err != nil && !errors.Is(err, schemas.ErrLost) {
				return w.repaired, err
			}
		}
	}
}

// repairTurn takes the shard and repairs window after window, each removed from left when it is done, until none is left
// or the turn is over.
func (w *Worker) repairTurn(ctx context.Context, left *[]window, done func(sequences uint64)) error {
	began := time.Now()
	if err := w.load(ctx); err != nil {
		return err
	}
	for _, v := range *left {
		if v.lo < 1 || v.hi > w.cp.Hi {
			return fmt.Errorf("repair %d–%d of shard %d: only 1–%d is committed", v.lo, v.hi, w.cfg.Shard, w.cp.Hi)
		}
	}
	if w.cp.Outcomes == 0 {
		if err := w.claim(ctx); err != nil {
			return err
		}
	}
	// A repair that was cut off may have an insert under way, whose token no plan of this one need have.
	if p := w.ledger.Plan; p != nil && p.Repair {
		for i := range p.Parts {
			if err := w.cfg.Store.Kill(ctx, token(p, &p.Parts[i])); err != nil {
				return fmt.Errorf("end an insert of a former repair: %w", err)
			}
		}
	}
	prep := w.repairer()
	for len(*left) > 0 {
		v := &(*left)[0]
		n, err := w.bringBack(ctx, prep, v)
		if err != nil {
			return err
		}
		if v.count -= n; v.count == 0 {
			*left = (*left)[1:]
		}
		done(n)
		if time.Since(began) > w.cfg.RepairTurn {
			return nil
		}
	}
	return nil
}

// repairer makes a preparer that asks the table about every identity instead of knowing them by heart: it is given few
// events, from all over the log. An event that is stored anywhere, later too, is not brought in a second time.
func (w *Worker) repairer() *preparer {
	return &preparer{w: w, generation: w.cp.Generation, anywhere: true, seen: dedup.NewSet(dedup.MinCapacity(w.cfg.BatchRows), false)}
}

// bringBack brings in what a window lacks, or the beginning of it where that is as much as a batch takes, and returns how
// many of the missing sequences that were; the window is then what is left of it. It goes by a plan like everything else,
// so that a crash or a rival in the midst of it neither loses nor doubles a row; the checkpoint stays, because it counts
// the rows. What else is stored of the window stays as it is.
func (w *Worker) bringBack(ctx context.Context, prep *preparer, v *window) (n uint64, err error) {
	records, end, err := w.readMissing(ctx, v)
	if err != nil {
		return 0, err
	}
	b, err := prep.prepare(ctx, v.lo-1, records)
	if err != nil {
		return 0, err
	}
	b.hi, b.repair, b.partial, b.pending = end, true, true, w.interrupted()
	if _, err := w.adopt(ctx, b, nil); err != nil {
		return 0, err
	}
	v.lo = end + 1
	return uint64(len(records)), nil
}

// readMissing reads the missing records of a window, and up to where: all of them, or as many as a batch takes.
func (w *Worker) readMissing(ctx context.Context, v *window) (records []schemas.Record, end uint64, err error) {
	size, next := 0, v.missing
	for after := v.lo - 1; after < v.hi && size < w.cfg.BatchBytes; {
		rs, err := w.cfg.Log.Read(ctx, after, int(v.hi-after), w.cfg.BatchBytes, w.cfg.Idle, 0)
		if err != nil {
			return nil, 0, fmt.Errorf("read %d–%d again: %w", v.lo, v.hi, err)
		}
		if len(rs) == 0 {
			return nil, 0, &HaltError{w.cfg.Shard, fmt.Sprintf("the log ends at %d inside %d–%d, which was committed", after, v.lo, v.hi)}
		}
		for _, r := range rs {
			for len(next) > 0 && next[0].Hi < r.Seq {
				next = next[1:]
			}
			if len(next) > 0 && next[0].Lo <= r.Seq {
				records, size = append(records, r), size+len(r.Data)
			}
		}
		after = rs[len(rs)-1].Seq
		end = min(after, v.hi)
	}
	var due uint64
	for _, r := range v.missing {
		if lo, hi := max(r.Lo, v.lo), min(r.Hi, end); lo <= hi {
			due += hi - lo + 1
		}
	}
	if due != uint64(len(records)) {
		return nil, 0, &HaltError{w.cfg.Shard, fmt.Sprintf("the log no longer has %d of the %d missing events of %d–%d", due-uint64(len(records)), due, v.lo, end)}
	}
	return records, end, nil
}

// yielded says whether a ledger's plan is the note of a repair that lets the worker go on: one of no range, since
// sequences begin at 1.
func yielded(p *schemas.Plan) bool { return p != nil && p.Repair && p.Lo == 0 }

// giveWay leaves the shard to a worker that stands by, which sees the note and writes back what the repair interrupted.
func (w *Worker) giveWay(ctx context.Context) error {
	if p := w.ledger.Plan; p == nil || !p.Repair {
		return nil
	}
	return w.savePlan(ctx, &schemas.Plan{Epoch: w.cp.Epoch, Shard: w.cfg.Shard, Generation: w.cp.Generation, Repair: true, Pending: w.interrupted()})
}

// waitTurn gives way to the worker, if there are events for it, until it has had a turn as long as the repair's and stored
// something in it, or has nothing more to do. alone: no worker came.
func (w *Worker) waitTurn(ctx context.Context) (alone bool, err error) {
	waiting := func(after uint64) (bool, error) {
		rs, err := w.cfg.Log.Read(ctx, after, 1, w.cfg.BatchBytes, givePoll, 0)
		return len(rs) > 0, err
	}
	if some, err := waiting(w.cp.Hi); err != nil || !some {
		return false, err
	}
	if err := w.giveWay(ctx); err != nil {
		return false, err
	}
	began, came := time.Now(), time.Time{}
	for ctx.Err() == nil {
		wait(ctx, givePoll)
		l, err := w.cfg.Log.Load(ctx)
		if err != nil {
			return false, err
		}
		switch {
		case came.IsZero() && l.PlanSeq == w.ledger.PlanSeq && l.CheckpointSeq == w.ledger.CheckpointSeq:
			if time.Since(began) > w.cfg.Takeover+w.cfg.RepairTurn {
				return true, nil
			}
		case came.IsZero():
			came = time.Now()
		case time.Since(came) >= w.cfg.Takeover, l.Checkpoint != nil && l.Checkpoint.Hi > w.cp.Hi && time.Since(came) >= w.cfg.RepairTurn:
			return false, nil
		case l.Checkpoint != nil && !l.Open():
			if some, err := waiting(l.Checkpoint.Hi); err != nil || !some {
				return false, err
			}
		}
	}
	return false, ctx.Err()
}

// known is before which sequence of its own shard a stored event makes one of the batch a duplicate.
func (p *preparer) known(b *batch) uint64 {
	if p.anywhere {
		return math.MaxInt64
	}
	return b.lo
}
