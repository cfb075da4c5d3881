package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// process brings a batch into the store and commits it: PLAN, INSERT, VERIFY, COMMIT.
func (w *Worker) process(ctx context.Context, b *batch) error {
	var p *schemas.Plan
	if b.lo > w.strays { // the table has none of it
		var err error
		if p, err = w.announce(ctx, b); err != nil {
			return err
		}
		err = w.inserter().insert(ctx, p, parts(b.rows))
		switch {
		case err == nil:
			return w.commit(ctx, p, b)
		case permanent(err):
			if err := w.exclude(ctx, b, err); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return err
		default:
			w.cfg.Logger.Warn().Err(err).Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("insert is unsure: reading back")
		}
	}
	p, err := w.adopt(ctx, b, p)
	if err != nil {
		return err
	}
	return w.commit(ctx, p, b)
}

// exclude finds the rows that the store will never take and makes them dead letters. They are found by probing halves,
// which writes nothing, so that the plan stays true while it goes on.
func (w *Worker) exclude(ctx context.Context, b *batch, refusal error) error {
	before := len(b.dead)
	if err := w.probe(ctx, b, b.rows); err != nil {
		return fmt.Errorf("find the refused row of %d–%d: %w", b.lo, b.hi, err)
	}
	if len(b.dead) == before {
		return fmt.Errorf("the store refuses %d–%d but none of its rows by itself: %w", b.lo, b.hi, refusal)
	}
	w.refused = true
	return nil
}

// probe buries every row that the store refuses.
func (w *Worker) probe(ctx context.Context, b *batch, rows []schemas.Row) error {
	if len(rows) == 0 {
		return nil
	}
	err := w.cfg.Store.Probe(ctx, rows)
	switch {
	case err == nil:
		return nil
	case !permanent(err):
		return err
	case len(rows) == 1:
		b.bury(rows[0].Seq, err)
		return nil
	}
	left, right := rows[:len(rows)/2], rows[len(rows)/2:]
	return errors.Join(w.probe(ctx, b, left), w.probe(ctx, b, right))
}

// permanent says whether the store will never take what it was given.
func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}

// code is the store's own code of an error, 0 where it has none.
func code(err error) int {
	var c interface{ Code() int }
	if errors.As(err, &c) {
		return c.Code()
	}
	return 0
}

// announce is PLAN: it records by compare-and-swap what is about to be inserted.
func (w *Worker) announce(ctx context.Context, b *batch) (*schemas.Plan, error) {
	p := w.newPlan(b)
	p.Parts = planParts(parts(b.rows), w.cp.Attempt, nil)
	if err := w.savePlan(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
}

// newPlan is the plan of a batch, its parts still to be filled in.
func (w *Worker) newPlan(b *batch) *schemas.Plan {
	p := &schemas.Plan{
		Epoch: w.cfg.Log.Epoch(), Shard: w.cfg.Shard, Generation: w.cp.Generation,
		Lo: b.lo, Hi: b.hi,
		Duplicates: uint64(len(b.dups)), SHA256: schemas.HashDigests(b.rows),
		Repair: b.repair, Pending: b.pending,
	}
	for _, d := range b.dead {
		p.Dead = append(p.Dead, d.record.Seq)
	}
	return p
}

func (w *Worker) savePlan(ctx context.Context, p *schemas.Plan) error {
	seq, err := w.cfg.Log.SavePlan(ctx, *p, w.ledger.PlanSeq)
	if err != nil {
		return fmt.Errorf("plan %d–%d: %w", p.Lo, p.Hi, err)
	}
	w.ledger.Plan, w.ledger.PlanSeq = p, seq
	return nil
}

// parts groups rows by month, months in order, rows in the order of the log. The common case, one month, copies nothing.
func parts(rows []schemas.Row) [][]schemas.Row {
	if len(rows) == 0 {
		return nil
	}
	first := month(&rows[0])
	if !slices.ContainsFunc(rows, func(r schemas.Row) bool { return month(&r) != first }) {
		return [][]schemas.Row{rows}
	}
	by := map[int][]schemas.Row{}
	for i := range rows {
		m := month(&rows[i])
		by[m] = append(by[m], rows[i])
	}
	out := make([][]schemas.Row, 0, len(by))
	for _, part := range by {
		out = append(out, part)
	}
	slices.SortFunc(out, func(a, b []schemas.Row) int { return month(&a[0]) - month(&b[0]) })
	return out
}

// month is the partition of a row: yyyymm of when it happened, UTC.
func month(r *schemas.Row) int {
	t := r.Event.Time.UTC()
	return t.Year()*100 + int(t.Month())
}

// planParts makes the parts of a plan of groups of rows. Their attempts begin at the given number, but for those that a
// former plan of the same range lends its tokens.
func planParts(groups [][]schemas.Row, attempt int, former *schemas.Plan) (out []schemas.Part) {
	for _, rows := range groups {
		next := schemas.Part{Month: month(&rows[0]), Rows: uint64(len(rows)), Digest: schemas.SumDigests(rows), Attempt: attempt}
		if former != nil {
			for _, f := range former.Parts {
				if f.Month == next.Month {
					next.Attempt = f.Attempt
				}
			}
		}
		out = append(out, next)
	}
	return out
}

func planRange(p *schemas.Plan, month int) schemas.Range {
	return schemas.Range{Epoch: p.Epoch, Shard: p.Shard, Generation: p.Generation, Lo: p.Lo, Hi: p.Hi, Month: month}
}

func token(p *schemas.Plan, part *schemas.Part) string {
	return fmt.Sprintf("%s-%d-%d-%d-%d-%d-%d", p.Epoch, p.Shard, p.Generation, p.Lo, p.Hi, part.Month, part.Attempt)
}

// commit is COMMIT: insights, dead letters and the checkpoint, all or nothing.
func (w *Worker) commit(ctx context.Context, p *schemas.Plan, b *batch) error {
	stored, dups, dead := p.Rows(), uint64(len(b.dups)), uint64(len(b.dead))
	n := uint64(len(b.records)) + b.erased
	if stored+dups+dead != n {
		return &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d holds %d events, but %d are stored, %d duplicates and %d dead", p.Lo, p.Hi, n, stored, dups, dead)}
	}
	next := w.cp
	next.Hi = p.Hi
	next.Stored += stored
	next.Duplicates += dups
	if p.Lo <= w.cp.Quiet { // of a ledger that is rebuilt: what is neither in the log nor in the table was a duplicate, or a dead letter, of a customer who was erased
		next.Duplicates += p.Hi - p.Lo + 1 - n
	}
	next.Dead += dead
	next.Outcomes = 0
	next.Recent = remember(w.cp.Recent, p, time.Now())
	if n := len(b.records); n > 0 {
		next.Tail = &schemas.Tail{Seq: b.records[n-1].Seq, At: b.records[n-1].Time}
	}
	if err := w.publish(ctx, next, w.outcomes(b), 0); err != nil {
		return err
	}
	w.cfg.Metrics.committed(w.cfg.Shard, b, p)
	return nil
}

func (w *Worker) publish(ctx context.Context, next schemas.Checkpoint, outcomes []schemas.Outcome, done int) error {
	seq, err := w.cfg.Log.Commit(ctx, next, w.ledger.CheckpointSeq, outcomes, done)
	if err != nil {
		return fmt.Errorf("commit up to %d: %w", next.Hi, err)
	}
	w.cp, w.ledger.Checkpoint, w.ledger.CheckpointSeq = next, &next, seq
	return nil
}
