package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// What of the committed ranges is looked at again at every start. A part is synced before its insert is answered, but
// not the entry of the folder that holds it: until the file system has written its journal, a power cut can take the
// whole part back. Journals are written every 5 to 30 seconds; two minutes are beyond doubt.
const (
	markFor  = 2 * time.Minute // how long a mark is kept
	markSpan = 5 * time.Second // commits this close to each other share a mark
)

// remember adds what a plan brought in to the marks and lets the old ones go.
func remember(marks []schemas.Mark, p *schemas.Plan, now time.Time) []schemas.Mark {
	next := schemas.Mark{Lo: p.Lo, Hi: p.Hi, Rows: p.Rows(), At: now.UTC()}
	for i := range p.Parts {
		next.Digest += p.Parts[i].Digest
	}
	out := slices.DeleteFunc(slices.Clone(marks), func(m schemas.Mark) bool { return now.Sub(m.At) > markFor })
	if n := len(out); n > 0 && now.Sub(out[n-1].At) < markSpan && out[n-1].Hi+1 == next.Lo {
		last := &out[n-1]
		last.Hi, last.Rows, last.Digest = next.Hi, last.Rows+next.Rows, last.Digest+next.Digest
		return out
	}
	return append(out, next)
}

// recheck holds the table against the marks of the checkpoint, brings in again what a power cut took back, and reports
// whether there was something.
func (w *Worker) recheck(ctx context.Context) (repaired bool, err error) {
	marks := slices.Clone(w.cp.Recent)
	for i := range marks {
		m := &marks[i]
		r := w.whole(m.Lo, m.Hi)
		rows, digest, err := w.cfg.Store.ReadBack(ctx, r)
		switch {
		case err != nil:
			return false, fmt.Errorf("check %d–%d, committed before: %w", m.Lo, m.Hi, err)
		case rows == m.Rows && digest == m.Digest:
			continue
		case rows >= m.Rows:
			return false, &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d was committed with %d rows and digest %d, but the table has %d with digest %d", m.Lo, m.Hi, m.Rows, m.Digest, rows, digest)}
		}
		w.cfg.Logger.Error().Uint64("lo", m.Lo).Uint64("hi", m.Hi).Uint64("committed", m.Rows).Uint64("found", rows).
			Msg("rows that were stored are gone, as after a power failure: they are brought in again from the log")
		if err := w.repair(ctx, m.Lo, m.Hi); err != nil {
			return false, err
		}
		repaired = true
		if rows, m.Digest, err = w.cfg.Store.ReadBack(ctx, r); err != nil {
			return false, fmt.Errorf("check %d–%d after its repair: %w", m.Lo, m.Hi, err)
		}
		if rows != m.Rows {
			return false, &HaltError{w.cfg.Shard, fmt.Sprintf("%d–%d was committed with %d rows, but the log gives %d", m.Lo, m.Hi, m.Rows, rows)}
		}
	}
	if !repaired {
		return false, nil
	}
	w.cp.Recent = marks
	if w.cp.Outcomes > 0 { // the end of that commit writes them
		return true, nil
	}
	return true, w.claim(ctx)
}

// repair brings in again what the table lacks of a committed range. It goes by plans like everything else, so that a
// crash or a rival in the midst of it neither loses nor doubles a row; the checkpoint stays, because it counts the rows.
func (w *Worker) repair(ctx context.Context, lo, hi uint64) error {
	prep, err := w.newPreparer(ctx, lo)
	if err != nil {
		return err
	}
	pending := w.interrupted()
	for lo <= hi {
		end := min(hi, lo+uint64(w.cfg.BatchRows)-1)
		b, err := w.again(ctx, prep, lo, end, nil)
		if err != nil {
			return err
		}
		b.repair, b.pending = true, pending
		if _, err := w.adopt(ctx, b, nil); err != nil {
			return err
		}
		lo = end + 1
	}
	return nil
}

// interrupted is the plan that a repair takes the place of, nil where there is none.
func (w *Worker) interrupted() *schemas.Plan {
	p := w.ledger.Plan
	if p != nil && p.Repair {
		return p.Pending
	}
	return p
}

// unrepair writes back the plan that a repair interrupted.
func (w *Worker) unrepair(ctx context.Context) error {
	if p := w.ledger.Plan; p != nil && p.Repair && p.Pending != nil {
		return w.savePlan(ctx, p.Pending)
	}
	return nil
}

// whole is a range of this shard, all months.
func (w *Worker) whole(lo, hi uint64) schemas.Range {
	return schemas.Range{Epoch: w.cfg.Log.Epoch(), Shard: w.cfg.Shard, Generation: w.cp.Generation, Lo: lo, Hi: hi}
}

// rebuild makes a checkpoint for a shard whose ledger is lost although the table has rows of it. It begins where the log
// begins; everything after that is prepared again and held against the table, batch by batch (see findStrays). What the
// log no longer has is taken from the table: what is not stored of it counts as duplicates, because nothing can tell
// duplicates from dead letters any more.
func (w *Worker) rebuild(ctx context.Context) error {
	last, err := w.cfg.Store.MaxSeq(ctx, w.whole(1, math.MaxInt64))
	if err != nil {
		return err
	}
	first, err := w.cfg.Log.First(ctx)
	if err != nil {
		return fmt.Errorf("find where the log begins: %w", err)
	}
	rows, _, err := w.cfg.Store.ReadBack(ctx, w.whole(1, first-1))
	if err != nil {
		return fmt.Errorf("count the rows before the log: %w", err)
	}
	w.cfg.Logger.Error().Uint64("log_from", first).Uint64("stored_to", last).
		Msg("the ledger of this shard is lost: it is rebuilt from the log and the table; insights are not raised a second time")
	// A plan that is left over is void: it must not be taken for the next one. A repair that interrupts nothing never is.
	void := &schemas.Plan{Epoch: w.cp.Epoch, Shard: w.cfg.Shard, Generation: w.cp.Generation, Lo: first, Hi: first - 1, Repair: true}
	if err := w.savePlan(ctx, void); err != nil {
		return err
	}
	w.cp.Hi, w.cp.Stored, w.cp.Duplicates, w.cp.Quiet = first-1, rows, first-1-rows, last
	return w.salt(ctx)
}

// salt ends what may still be inserted under the tokens of a ledger, or of a plan of it, that is lost, and gives the
// tokens from now on another number to begin with: one of the lost could be known to the table although its rows are not
// there, and an insert under it would be dropped with a clean reply.
func (w *Worker) salt(ctx context.Context) error {
	if err := w.cfg.Store.KillAll(ctx, fmt.Sprintf("%s-%d-", w.cp.Epoch, w.cfg.Shard)); err != nil {
		return fmt.Errorf("end former inserts: %w", err)
	}
	w.cp.Attempt = 1 + rand.IntN(math.MaxInt32)
	return w.claim(ctx)
}

// findStrays looks for rows that no plan of the ledger accounts for. Where there are some, because the ledger or a plan
// was lost, every batch up to the last of them is held against the table instead of being inserted on trust. Rows beyond the
// end of the log are of messages that it has lost.
func (w *Worker) findStrays(ctx context.Context) error {
	end := w.cp.Hi
	if w.unfinished() {
		end = max(end, w.ledger.Plan.Hi)
	}
	last, err := w.cfg.Store.MaxSeq(ctx, w.whole(end+1, math.MaxInt64))
	if err != nil {
		return fmt.Errorf("look for rows without a plan: %w", err)
	}
	if w.strays = last; last > 0 {
		rs, err := w.cfg.Log.Read(ctx, last-1, 1, tailBytes, tailIdle, 0)
		if err == nil && len(rs) == 0 { // removed, or the log ends before it: then this read says so
			_, err = w.cfg.Log.Read(ctx, last, 1, tailBytes, tailIdle, 0)
		}
		if errors.Is(err, schemas.ErrEpoch) {
			return &HaltError{w.cfg.Shard, fmt.Sprintf("the table has rows up to sequence %d, which the log does not reach: log and ledger were put back from a copy that is older than the table; stop every earshot and take the log as a new one with 'earshot restored --shard %d --force'", last, w.cfg.Shard)}
		} else if err != nil {
			return fmt.Errorf("look where the log ends: %w", err)
		}
		w.cfg.Logger.Error().Uint64("after", end).Uint64("up_to", last).Msg("the table has rows that no plan accounts for: every batch up to there is held against the table")
	}
	return nil
}
