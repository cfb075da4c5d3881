package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// inserter brings the rows of a plan into the table: INSERT and VERIFY. It does not care whose plan it is: that of a
// worker, or that of a generation that is being built.
type inserter struct {
	cfg      Config // of which it needs Shard, Store, Logger and Metrics
	savePlan func(context.Context, *schemas.Plan) error
	repaired func(rows int) // told of rows that are inserted because a read-back showed that they were missing
}

func (w *Worker) inserter() *inserter {
	return &inserter{w.cfg, w.savePlan, func(rows int) {
		w.repaired += uint64(rows)
		w.cfg.Metrics.repaired(w.cfg.Shard)
	}}
}

// errChanged says that a plan no longer fits the table, because an insert of a former plan came in after all.
var errChanged = errors.New("rows of a former plan came in")

// insert is INSERT for every part of a plan, and VERIFY where a clean reply is proof: this process announced the plan and
// has sent nothing yet.
func (w *inserter) insert(ctx context.Context, p *schemas.Plan, groups [][]schemas.Row) error {
	for i, rows := range groups {
		began := time.Now()
		if err := w.cfg.Store.Insert(ctx, rows, token(p, &p.Parts[i])); err != nil {
			return fmt.Errorf("insert %d rows of %d: %w", len(rows), p.Parts[i].Month, err)
		}
		w.cfg.Metrics.inserted(len(rows), time.Since(began))
	}
	return nil
}

// settleAll brings every part of a plan to its known end. groups are the rows by month; what is in the table already
// need not be among them.
func (w *inserter) settleAll(ctx context.Context, p *schemas.Plan, groups [][]schemas.Row) error {
	by := map[int][]schemas.Row{}
	for _, rows := range groups {
		by[month(&rows[0])] = rows
	}
	for i := range p.Parts {
		if err := w.settle(ctx, p, &p.Parts[i], by[p.Parts[i].Month]); err != nil {
			return err
		}
	}
	return nil
}

// settle inserts what the table lacks of a part, again and again until a read-back shows all of it. The first attempt
// goes under the part's present token: if a former insert (or one of a worker that was taken for dead) did land or still
// lands, the table drops one of the two. Only a part that is still missing after a clean reply to that, which means that
// the token outlived its rows in a crash of the store, is inserted under a new token, recorded before it is used.
func (w *inserter) settle(ctx context.Context, p *schemas.Plan, part *schemas.Part, rows []schemas.Row) error {
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
		case found == part.Rows:
			return fmt.Errorf("%d–%d of %d: planned %d rows with digest %d, found digest %d: %w", p.Lo, p.Hi, part.Month, part.Rows, part.Digest, digest, errChanged)
		case found > part.Rows:
			return &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d of %d: planned %d rows, found %d", p.Lo, p.Hi, part.Month, part.Rows, found)}
		case try == tries:
			return fmt.Errorf("store %d–%d: %d of %d rows are there after %d attempts", p.Lo, p.Hi, found, part.Rows, try)
		}
		missing := rows
		if found > 0 {
			if missing, err = w.missing(ctx, p, part, rows); err != nil {
				return err
			}
		}
		if try > 0 { // the former token is proven not to bring the rows in; that some rows are there does not prove it
			part.Attempt++
			if err := w.savePlan(ctx, p); err != nil {
				return err
			}
		}
		w.repaired(len(missing))
		if err := w.cfg.Store.Insert(ctx, missing, token(p, part)); err != nil {
			return fmt.Errorf("insert %d missing rows of %d–%d: %w", len(missing), p.Lo, p.Hi, err)
		}
	}
}

// missing returns the rows of a part that the table does not have.
func (w *inserter) missing(ctx context.Context, p *schemas.Plan, part *schemas.Part, rows []schemas.Row) ([]schemas.Row, error) {
	have, err := w.stored(ctx, planRange(p, part.Month))
	if err != nil {
		return nil, err
	}
	out := make([]schemas.Row, 0, len(rows))
	for i := range rows {
		if _, ok := have[rows[i].Seq]; !ok {
			out = append(out, rows[i])
		}
	}
	return out, nil
}

// stored lists what the table has of a range, by sequence.
func (w *inserter) stored(ctx context.Context, r schemas.Range) (map[uint64]schemas.Stored, error) {
	rows, err := w.cfg.Store.Stored(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read back %d–%d: %w", r.Lo, r.Hi, err)
	}
	have := make(map[uint64]schemas.Stored, len(rows))
	for _, s := range rows {
		have[s.Seq] = s
	}
	if len(have) != len(rows) {
		return nil, &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d holds %d rows but only %d sequences: rows are doubled", r.Lo, r.Hi, len(rows), len(have))}
	}
	return have, nil
}
