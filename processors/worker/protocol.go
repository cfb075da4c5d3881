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
	plan, err := w.announce(ctx, b, nil)
	if err != nil {
		return err
	}
	return w.finish(ctx, plan, b, true)
}

// finish is what follows PLAN. fresh says that this process announced the plan itself and has sent nothing yet.
func (w *Worker) finish(ctx context.Context, p *schemas.Plan, b *batch, fresh bool) error {
	switch err := w.insert(ctx, p, b, fresh); {
	case permanent(err):
		return w.exclude(ctx, p, b, err)
	case err != nil:
		return err
	}
	return w.commit(ctx, p, b)
}

// exclude finds the rows that the store will never take, makes them dead letters, and finishes the batch without them.
// They are found by probing halves, which writes nothing, so that the plan stays true while it goes on.
func (w *Worker) exclude(ctx context.Context, p *schemas.Plan, b *batch, refusal error) error {
	before := len(b.dead)
	if err := w.probe(ctx, b, b.rows); err != nil {
		return fmt.Errorf("find the refused row of %d–%d: %w", p.Lo, p.Hi, err)
	}
	if len(b.dead) == before {
		return fmt.Errorf("the store refuses %d–%d but none of its rows by itself: %w", p.Lo, p.Hi, refusal)
	}
	w.refused = true
	plan, err := w.announce(ctx, b, p)
	if err != nil {
		return err
	}
	return w.finish(ctx, plan, b, false)
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
		b.bury(rows[0].Seq, err.Error())
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

// announce is PLAN: it records by compare-and-swap what is about to be inserted. A plan that takes the place of a former
// one of the same range keeps the former tokens: whatever insert of the former plan may still land, the table takes only
// one of the two, and the read-back tells which.
func (w *Worker) announce(ctx context.Context, b *batch, former *schemas.Plan) (*schemas.Plan, error) {
	p := &schemas.Plan{
		Epoch: w.cfg.Log.Epoch(), Shard: w.cfg.Shard, Generation: w.cp.Generation,
		Lo: b.lo, Hi: b.hi,
		Duplicates: uint64(len(b.dups)), SHA256: schemas.HashDigests(b.rows),
	}
	for _, part := range parts(b.rows) {
		next := schemas.Part{Month: month(&part[0]), Rows: uint64(len(part)), Digest: schemas.SumDigests(part)}
		if former != nil {
			for _, f := range former.Parts {
				if f.Month == next.Month {
					next.Attempt = f.Attempt
				}
			}
		}
		p.Parts = append(p.Parts, next)
	}
	for _, d := range b.dead {
		p.Dead = append(p.Dead, d.record.Seq)
	}
	if err := w.savePlan(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
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

func planRange(p *schemas.Plan, month int) schemas.Range {
	return schemas.Range{Epoch: p.Epoch, Shard: p.Shard, Generation: p.Generation, Lo: p.Lo, Hi: p.Hi, Month: month}
}

func token(p *schemas.Plan, part *schemas.Part) string {
	return fmt.Sprintf("%s-%d-%d-%d-%d-%d-%d", p.Epoch, p.Shard, p.Generation, p.Lo, p.Hi, part.Month, part.Attempt)
}

// insert is INSERT and VERIFY for every part of a plan. fresh says that this process announced the plan itself and has
// sent nothing yet: then a clean reply is proof. In every other case the table is asked.
func (w *Worker) insert(ctx context.Context, p *schemas.Plan, b *batch, fresh bool) error {
	groups := parts(b.rows)
	for i := range p.Parts {
		part := &p.Parts[i]
		began := time.Now()
		if fresh {
			err := w.cfg.Store.Insert(ctx, groups[i], token(p, part))
			if err == nil {
				w.cfg.Metrics.inserted(len(groups[i]), time.Since(began))
				continue
			}
			if permanent(err) || ctx.Err() != nil {
				return fmt.Errorf("insert %d rows of %d: %w", part.Rows, part.Month, err)
			}
			w.cfg.Logger.Warn().Err(err).Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("insert is unsure: reading back")
		}
		if err := w.settle(ctx, p, part, groups[i]); err != nil {
			return err
		}
		w.cfg.Metrics.inserted(len(groups[i]), time.Since(began))
	}
	return nil
}

// settle brings a part whose fate is unknown to a known end. It first makes sure that no insert with the plan's token is
// still running, then reads back. What is missing is inserted again under the same token: if the former insert (or one of
// a worker that was taken for dead) did land or still lands, the table drops one of the two. Only a part that is still
// missing after a clean reply to that, which means that the token outlived its rows in a crash of the store, is inserted
// under a new token, recorded before it is used.
func (w *Worker) settle(ctx context.Context, p *schemas.Plan, part *schemas.Part, rows []schemas.Row) error {
	const tries = 3
	for try := 0; ; try++ {
		if err := w.cfg.Store.Kill(ctx, token(p, part)); err != nil {
			return fmt.Errorf("end a former insert of %d–%d: %w", p.Lo, p.Hi, err)
		}
		found, digest, err := w.cfg.Store.ReadBack(ctx, planRange(p, part.Month))
		if err != nil {
			return fmt.Errorf("read back %d–%d: %w", p.Lo, p.Hi, err)
		}
		switch {
		case found == part.Rows && digest == part.Digest:
			return nil
		case found >= part.Rows:
			return &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d of %d: planned %d rows with digest %d, found %d with digest %d", p.Lo, p.Hi, part.Month, part.Rows, part.Digest, found, digest)}
		case try == tries:
			return fmt.Errorf("store %d–%d: %d of %d rows are there after %d attempts", p.Lo, p.Hi, found, part.Rows, try)
		}
		missing := rows
		if found > 0 {
			if missing, err = w.missing(ctx, p, part, rows); err != nil {
				return err
			}
		}
		if try > 0 || found > 0 { // the former token is proven not to bring the rows in
			part.Attempt++
			if err := w.savePlan(ctx, p); err != nil {
				return err
			}
		}
		w.cfg.Metrics.repaired(w.cfg.Shard)
		if err := w.cfg.Store.Insert(ctx, missing, token(p, part)); err != nil {
			return fmt.Errorf("insert %d missing rows of %d–%d: %w", len(missing), p.Lo, p.Hi, err)
		}
	}
}

// missing returns the rows of a part that the table does not have.
func (w *Worker) missing(ctx context.Context, p *schemas.Plan, part *schemas.Part, rows []schemas.Row) ([]schemas.Row, error) {
	seqs, err := w.cfg.Store.Seqs(ctx, planRange(p, part.Month))
	if err != nil {
		return nil, fmt.Errorf("list the rows of %d–%d: %w", p.Lo, p.Hi, err)
	}
	have := make(map[uint64]struct{}, len(seqs))
	for _, s := range seqs {
		have[s] = struct{}{}
	}
	if len(have) != len(seqs) {
		return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d holds %d rows but only %d sequences: rows are doubled", p.Lo, p.Hi, len(seqs), len(have))}
	}
	out := make([]schemas.Row, 0, len(rows))
	for i := range rows {
		if _, ok := have[rows[i].Seq]; !ok {
			out = append(out, rows[i])
		}
	}
	return out, nil
}

// commit is COMMIT: insights, dead letters and the checkpoint, all or nothing.
func (w *Worker) commit(ctx context.Context, p *schemas.Plan, b *batch) error {
	next := w.cp
	next.Hi = p.Hi
	next.Stored += uint64(len(b.rows))
	next.Duplicates += uint64(len(b.dups))
	next.Dead += uint64(len(b.dead))
	next.Outcomes = 0
	if err := w.publish(ctx, next, w.outcomes(b), 0); err != nil {
		return err
	}
	w.cfg.Metrics.committed(w.cfg.Shard, b, p.Hi)
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
