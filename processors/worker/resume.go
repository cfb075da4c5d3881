package worker

import (
	"context"
	"fmt"

	"github.com/earshot/earshot/schemas"
)

// unfinished says whether the ledger holds a plan that is not closed by a whole commit.
func (w *Worker) unfinished() bool {
	p := w.ledger.Plan
	return p != nil && (p.Hi > w.cp.Hi || w.cp.Outcomes > 0)
}

// resume ends what a former session, of this worker or another, left in the ledger: a plan without its checkpoint, or a
// commit of many outcomes that is only half out.
func (w *Worker) resume(ctx context.Context, prep *preparer) error {
	p := w.ledger.Plan
	switch {
	case !w.unfinished():
		return nil
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
	b, err := w.again(ctx, prep, p)
	if err != nil {
		return err
	}
	if schemas.HashDigests(b.rows) != p.SHA256 || len(b.dups) != int(p.Duplicates) {
		return w.differs(ctx, p, b)
	}
	return w.finish(ctx, p, b, false)
}

// claim writes the checkpoint again as it is, so that whoever expects the former one finds that it has lost the shard.
func (w *Worker) claim(ctx context.Context) error {
	return w.publish(ctx, w.cp, nil, 0)
}

// again prepares the plan's range from the log, as the plan's author did.
func (w *Worker) again(ctx context.Context, prep *preparer, p *schemas.Plan) (*batch, error) {
	var records []schemas.Record
	for after := p.Lo - 1; after < p.Hi; {
		rs, err := w.cfg.Log.Read(ctx, after, int(p.Hi-after), w.cfg.BatchBytes, w.cfg.Idle, 0)
		if err != nil {
			return nil, fmt.Errorf("read the planned range %d–%d again: %w", p.Lo, p.Hi, err)
		}
		if len(rs) == 0 {
			return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("the log ends at %d inside the planned range %d–%d", after, p.Lo, p.Hi)}
		}
		for _, r := range rs {
			if r.Seq <= p.Hi {
				records = append(records, r)
			}
		}
		after = rs[len(rs)-1].Seq
	}
	b, err := prep.prepare(ctx, p.Lo-1, records)
	if err != nil {
		return nil, err
	}
	b.hi = p.Hi
	for _, seq := range p.Dead { // those that the store had refused; the others are dead again by themselves
		b.bury(seq, "refused by the store before a restart")
	}
	return b, nil
}

// differs decides about a plan that cannot be made again, because the classifier has changed since. If its rows are all
// in, they stay as they are; if none is, the plan is void and the range is planned anew; anything between needs a person.
func (w *Worker) differs(ctx context.Context, p *schemas.Plan, b *batch) error {
	var complete, empty int
	for i := range p.Parts {
		part := &p.Parts[i]
		if err := w.cfg.Store.Kill(ctx, token(p, part)); err != nil {
			return fmt.Errorf("end a former insert of %d–%d: %w", p.Lo, p.Hi, err)
		}
		found, digest, err := w.cfg.Store.ReadBack(ctx, planRange(p, part.Month))
		if err != nil {
			return fmt.Errorf("read back %d–%d: %w", p.Lo, p.Hi, err)
		}
		switch {
		case found == part.Rows && digest == part.Digest:
			complete++
		case found == 0:
			empty++
		}
	}
	switch {
	case complete == len(p.Parts) && p.Rows() == uint64(len(b.rows)):
		w.cfg.Logger.Warn().Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("the classifier has changed since this plan: its rows are stored and stay as they were")
		return w.commit(ctx, p, b)
	case empty == len(p.Parts):
		w.cfg.Logger.Warn().Uint64("lo", p.Lo).Uint64("hi", p.Hi).Msg("the classifier has changed since this plan: planning it anew, nothing of it was stored")
		plan, err := w.announce(ctx, b, p)
		if err != nil {
			return err
		}
		return w.finish(ctx, plan, b, false)
	}
	return &HaltError{w.cfg.Shard, fmt.Sprintf("the plan %d–%d is stored in part and cannot be made again with this classifier: start the version that wrote it once", p.Lo, p.Hi)}
}

// resumeCommit sends the outcomes that a former session did not get out. Their rows are verified: a commit begins only
// after that.
func (w *Worker) resumeCommit(ctx context.Context, prep *preparer, p *schemas.Plan) error {
	b, err := w.again(ctx, prep, p)
	if err != nil {
		return err
	}
	outcomes, done := w.outcomes(b), w.cp.Outcomes
	if done > len(outcomes) { // another classifier or setting raises fewer insights; what is out is out
		w.cfg.Logger.Warn().Int("out", done).Int("now", len(outcomes)).Msg("fewer insights than the former session had begun to publish: no more are published for this range")
		done = len(outcomes)
	}
	next := w.cp
	next.Outcomes = 0
	return w.publish(ctx, next, outcomes, done)
}
