package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/earshot/earshot/schemas"
)

// unfinished says whether the ledger holds a plan that is not closed by a whole commit.
func (w *Worker) unfinished() bool {
	p := w.ledger.Plan
	return p != nil && !p.Repair && (p.Hi > w.cp.Hi || w.cp.Outcomes > 0)
}

// resume ends what a former session, of this worker or another, left in the ledger: a plan without its checkpoint, or a
// commit of many outcomes that is only half out.
func (w *Worker) resume(ctx context.Context, prep *preparer) error {
	p := w.ledger.Plan
	switch {
	case !w.unfinished():
		return nil
	case p.Generation != w.cp.Generation:
		return &HaltError{w.cfg.Shard, fmt.Sprintf("the plan %d–%d is of generation %d but the checkpoint of %d", p.Lo, p.Hi, p.Generation, w.cp.Generation)}
	case w.cp.Outcomes > 0:
		return w.resumeCommit(ctx, prep, p)
	case p.Lo != w.cp.Hi+1:
		return &HaltError{w.cfg.Shard, fmt.Sprintf("the plan begins at %d but the checkpoint ends at %d", p.Lo, w.cp.Hi)}
	}
	w.cfg.Logger.Info().Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("finishing the plan of a former session")
	// The plan's author may only have been held up. From here on it cannot commit: otherwise it might take a clean reply to
	// its insert for proof although the table dropped that insert, because one of ours had used the token and come to
	// nothing.
	if err := w.claim(ctx); err != nil {
		return err
	}
	b, err := w.again(ctx, prep, p.Lo, p.Hi, p.Dead)
	if err != nil {
		return err
	}
	if schemas.HashDigests(b.rows) != p.SHA256 {
		w.cfg.Logger.Warn().Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("the classifier has changed since this plan: what is stored of it stays, the rest is planned anew")
	}
	done, err := w.adopt(ctx, b, p)
	if err != nil {
		return err
	}
	return w.commit(ctx, done, b)
}

// claim writes the checkpoint again as it is, so that whoever expects the former one finds that it has lost the shard.
func (w *Worker) claim(ctx context.Context) error {
	return w.publish(ctx, w.cp, nil, 0)
}

// again prepares a range from the log that was prepared before, as its author did. dead are the events of it that were
// found to be dead then, whatever is found now.
func (w *Worker) again(ctx context.Context, prep *preparer, lo, hi uint64, dead []uint64) (*batch, error) {
	var records []schemas.Record
	for after := lo - 1; after < hi; {
		rs, err := w.cfg.Log.Read(ctx, after, int(hi-after), w.cfg.BatchBytes, w.cfg.Idle, 0)
		if err != nil {
			return nil, fmt.Errorf("read the planned range %d–%d again: %w", lo, hi, err)
		}
		if len(rs) == 0 {
			return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("the log ends at %d inside the planned range %d–%d", after, lo, hi)}
		}
		for _, r := range rs {
			if r.Seq <= hi {
				records = append(records, r)
			}
		}
		after = rs[len(rs)-1].Seq
	}
	b, err := prep.prepare(ctx, lo-1, records)
	if err != nil {
		return nil, err
	}
	b.hi = hi
	for _, seq := range dead { // those that the store had refused; most of the others are dead again by themselves
		if i := slices.IndexFunc(b.rows, func(r schemas.Row) bool { return r.Seq == seq }); i >= 0 {
			b.bury(seq, w.refusal(ctx, b.rows[i:i+1]))
			w.refused = true
		}
	}
	return b, nil
}

// refusal asks the store again why it had refused a row: the plan says only that it did, and stays true if the store has
// changed its mind since.
func (w *Worker) refusal(ctx context.Context, row []schemas.Row) error {
	if err := w.cfg.Store.Probe(ctx, row); permanent(err) {
		return err
	}
	return errors.New("refused by the store before a restart")
}

// resumeCommit sends the outcomes that a former session did not get out. Their rows are verified: a commit begins only
// after that.
func (w *Worker) resumeCommit(ctx context.Context, prep *preparer, p *schemas.Plan) error {
	b, err := w.again(ctx, prep, p.Lo, p.Hi, p.Dead)
	if err != nil {
		return err
	}
	if schemas.HashDigests(b.rows) != p.SHA256 { // what is published is what is stored
		stored, err := w.inserter().stored(ctx, planRange(p, 0))
		if err != nil {
			return err
		}
		if err := w.takeStored(ctx, b, stored); err != nil {
			return err
		}
	}
	outcomes, done := w.outcomes(b), w.cp.Outcomes
	if done > len(outcomes) { // another setting raises fewer insights; what is out is out
		w.cfg.Logger.Warn().Int("out", done).Int("now", len(outcomes)).Msg("fewer insights than the former session had begun to publish: no more are published for this range")
		done = len(outcomes)
	}
	next := w.cp
	next.Outcomes = 0
	return w.publish(ctx, next, outcomes, done)
}
