package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/earshot/earshot/schemas"
)

// adopt brings in a batch of which the table may already have a part, a whole or nothing: after an insert whose fate is
// unknown, after a restart, after a ledger was lost. former is the plan under which rows may have been inserted or may
// still be, nil if there was none. It returns the plan that the table fulfils.
//
// What is stored stays as it is, even where another classifier made it; only what is missing is inserted. So a version
// that takes up the work of another never needs it back.
func (w *Worker) adopt(ctx context.Context, b *batch, former *schemas.Plan) (*schemas.Plan, error) {
	const tries = 3
	for try := 0; ; {
		p, err := w.reconsider(ctx, b, former)
		if err != nil {
			return nil, err
		}
		if err := w.savePlan(ctx, p); err != nil {
			return nil, err
		}
		switch err := w.inserter().settleAll(ctx, p, parts(b.rows)); {
		case err == nil:
			return p, nil
		case permanent(err):
			if err := w.exclude(ctx, b, err); err != nil {
				return nil, err
			}
		case !errors.Is(err, errChanged):
			return nil, err
		default:
			if try++; try == tries {
				return nil, &HaltError{w.cfg.Shard, err.Error()}
			}
		}
		former = p
	}
}

// reconsider ends what may still be inserted under the former plan, reads back what the table has of the batch's range,
// and plans that plus what is missing. The parts keep the former tokens: whatever insert of the former plan may still
// land, the table takes only one of the two, and the next read-back tells which.
func (w *Worker) reconsider(ctx context.Context, b *batch, former *schemas.Plan) (*schemas.Plan, error) {
	p := w.newPlan(b) // its digest is of what b holds at the end
	by := map[int]*schemas.Part{}
	part := func(month int) *schemas.Part {
		if by[month] == nil {
			by[month] = &schemas.Part{Month: month, Attempt: w.cp.Attempt}
		}
		return by[month]
	}
	if former != nil {
		for i := range former.Parts {
			f := &former.Parts[i]
			if err := w.cfg.Store.Kill(ctx, token(former, f)); err != nil {
				return nil, fmt.Errorf("end a former insert of %d–%d: %w", p.Lo, p.Hi, err)
			}
			part(f.Month).Attempt = f.Attempt
		}
	}
	stored, err := w.inserter().stored(ctx, planRange(p, 0))
	if err != nil {
		return nil, err
	}
	if err := w.takeStored(ctx, b, stored); err != nil {
		return nil, err
	}
	for _, s := range stored {
		at := part(s.Month)
		at.Rows++
		at.Digest += s.Digest
	}
	for i := range b.rows {
		r := &b.rows[i]
		if s, ok := stored[r.Seq]; ok {
			if s.ID != r.ID && !s.Erased {
				return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("the table has the event %s at sequence %d, the log the event %s: log and ledger were put back from a copy that is older than the table; stop every earshot and take the log as a new one with 'earshot restored --shard %d --force'", s.ID, r.Seq, r.ID, w.cfg.Shard)}
			}
			delete(stored, r.Seq)
			continue
		}
		at := part(month(r))
		at.Rows++
		at.Digest += r.Digest
	}
	b.erased = 0
	for seq, s := range stored { // rows that this worker would not have made
		if s.Erased && !b.holds(seq) {
			b.erased++
			continue
		}
		if !b.revive(seq) && !b.partial {
			return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("the table has a row of sequence %d, which is a duplicate or not in the log", seq)}
		}
	}
	for _, at := range by {
		if at.Rows > 0 {
			p.Parts = append(p.Parts, *at)
		}
	}
	slices.SortFunc(p.Parts, func(a, b schemas.Part) int { return a.Month - b.Month })
	p.SHA256 = schemas.HashDigests(b.rows)
	p.Dead = p.Dead[:0]
	for _, d := range b.dead {
		p.Dead = append(p.Dead, d.record.Seq)
	}
	return p, nil
}

// takeStored gives the rows of a batch the labels under which they are stored, where those are others: what is published of
// a row, and counted of it, is then what the table says of it, whoever made its labels and however often the batch was
// prepared. The table is read only if it differs.
func (w *Worker) takeStored(ctx context.Context, b *batch, stored map[uint64]schemas.Stored) error {
	differs := func(r *schemas.Row) bool {
		s, ok := stored[r.Seq]
		return ok && s.Digest != r.Digest
	}
	if !slices.ContainsFunc(b.rows, func(r schemas.Row) bool { return differs(&r) }) {
		return nil
	}
	all := w.whole(b.lo, b.hi)
	for all.Lo <= all.Hi {
		rows, reached, err := w.cfg.Store.Rows(ctx, all, w.cfg.BatchRows, w.cfg.BatchBytes)
		if err != nil {
			return fmt.Errorf("read the rows %d–%d that are stored: %w", all.Lo, all.Hi, err)
		}
		at := 0
		for i := range rows {
			s := &rows[i]
			for at < len(b.rows) && b.rows[at].Seq < s.Seq {
				at++
			}
			if at < len(b.rows) && b.rows[at].Seq == s.Seq && differs(&b.rows[at]) {
				r := &b.rows[at]
				r.Labels, r.Scores, r.Digest = s.Labels, s.Scores, s.Digest
			}
		}
		all.Lo = reached + 1
	}
	return nil
}
