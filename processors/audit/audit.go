// Package audit holds what is stored against what the ledger promises, shard by shard, and finds which events are missing.
//
// No event passes through it; it comes after. [Check] takes a shard's checkpoint, counts the table's rows up to it, and
// says what does not add up. [Find] goes through the sequences that have no row and reads in the log what each was: a
// duplicate, a dead letter, or an event whose row is missing.
//
// The package refuses to mend anything, and it has no clock: when it looks is its caller's to decide. It knows ledger, log
// and table only by the small interfaces it declares.
package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// Ledger is the ledger of one shard.
type Ledger interface {
	// Epoch names the shard's stream since its creation.
	Epoch() string
	// Load returns the newest plan and checkpoint.
	Load(ctx context.Context) (schemas.Ledger, error)
}

// Table is the fact table.
type Table interface {
	// Tally counts the rows of a range and their different sequences, and finds the shard's highest sequence.
	Tally(ctx context.Context, r schemas.Range) (rows, distinct, top uint64, err error)
	// ReadBack counts the rows of a range and sums their digests.
	ReadBack(ctx context.Context, r schemas.Range) (rows, digest uint64, err error)
}

// Kind says what is wrong.
type Kind string

// The kinds of faults.
const (
	Gap        Kind = "gap"        // events up to the checkpoint that are neither a row nor counted as something else
	Duplicates Kind = "duplicates" // rows that are there more than once
	Surplus    Kind = "surplus"    // rows of events that the ledger counts as duplicates or dead letters
	Skipped    Kind = "skipped"    // events that left the log before they were dealt with
	Beyond     Kind = "beyond"     // rows that no plan has announced
	Changed    Kind = "changed"    // rows of the newest plan that are not what was planned
	Unfounded  Kind = "unfounded"  // events that were counted as duplicates or dead letters and are neither
	Epoch      Kind = "epoch"      // the ledger is that of another stream
)

// Fault is one thing that does not add up.
type Fault struct {
	Kind  Kind   `json:"kind"`
	Count uint64 `json:"count"` // of rows or events, as far as the kind has a number
	Text  string `json:"text"`  // what it is and what to do
}

// Verdict is what an audit of one shard found.
type Verdict struct {
	Shard      int                `json:"shard"`
	Generation uint32             `json:"generation"`
	After      uint64             `json:"after"`     // the sequences behind this one were looked at; 0: all
	Upto       schemas.Checkpoint `json:"upto"`      // up to the Hi of this checkpoint
	Due        uint64             `json:"due"`       // events of them that have to be rows
	Rows       uint64             `json:"rows"`      // rows there
	Sequences  uint64             `json:"sequences"` // different sequences of those rows
	Gap        uint64             `json:"gap_rows"`
	Duplicates uint64             `json:"duplicate_rows"`
	Faults     []Fault            `json:"faults"`
}

// OK reports that everything added up.
func (v *Verdict) OK() bool { return len(v.Faults) == 0 }

// Range names the rows that the verdict is about.
func (v *Verdict) Range() schemas.Range {
	return schemas.Range{Epoch: v.Upto.Epoch, Shard: v.Shard, Generation: v.Generation, Lo: v.After + 1, Hi: v.Upto.Hi}
}

func (v *Verdict) fault(kind Kind, count uint64, format string, args ...any) {
	v.Faults = append(v.Faults, Fault{kind, count, fmt.Sprintf(format, args...)})
}

// Check audits one shard behind a checkpoint that a former audit has found right; a zero one, or one that does not fit
// the ledger any more, means the whole shard.
//
// It may run beside a worker. The order sees to it: the checkpoint is loaded first and the table is asked only about
// sequences up to it, whose rows were all verified before the checkpoint was written; rows beyond the newest plan are
// held against a ledger that is loaded after the table was asked, because a plan comes before its rows. What a look finds
// wrong must be found by a second one, so that a generation switched meanwhile is not taken for a fault.
func Check(ctx context.Context, shard int, l Ledger, t Table, proven schemas.Checkpoint) (Verdict, error) {
	v, err := look(ctx, shard, l, t, proven)
	if err == nil && !v.OK() {
		v, err = look(ctx, shard, l, t, proven)
	}
	if err != nil {
		return v, fmt.Errorf("audit shard %d: %w", shard, err)
	}
	return v, nil
}

func look(ctx context.Context, shard int, l Ledger, t Table, proven schemas.Checkpoint) (Verdict, error) {
	before, err := l.Load(ctx)
	if err != nil {
		return Verdict{}, err
	}
	v := begin(shard, l.Epoch(), before, proven)
	if !v.OK() {
		return v, nil
	}
	rows, distinct, top, err := t.Tally(ctx, v.Range())
	if err != nil {
		return v, err
	}
	after, err := l.Load(ctx)
	if err != nil {
		return v, err
	}
	if v.After == 0 {
		proven = schemas.Checkpoint{}
	}
	v.judge(proven, rows, distinct)
	v.judgeTop(top, after)
	return v, v.judgePlan(ctx, before.Plan, t)
}

// begin says what is to be looked at.
func begin(shard int, epoch string, l schemas.Ledger, proven schemas.Checkpoint) Verdict {
	v := Verdict{Shard: shard, Generation: 1, Upto: schemas.Checkpoint{Epoch: epoch, Shard: shard}, Faults: []Fault{}}
	switch {
	case l.Checkpoint != nil:
		v.Upto, v.Generation = *l.Checkpoint, l.Checkpoint.Generation
	case l.Plan != nil:
		v.Upto.Epoch, v.Generation = l.Plan.Epoch, l.Plan.Generation
	}
	if v.Upto.Epoch != epoch {
		v.fault(Epoch, 0, "the ledger was written for the log %s, but the log is %s: %v", v.Upto.Epoch, epoch, schemas.ErrEpoch)
	}
	if proven.Epoch == epoch && proven.Generation == v.Generation && proven.Hi <= v.Upto.Hi {
		v.After = proven.Hi
	}
	return v
}

// seeWhich is how to learn more of missing events.
const seeWhich = "'earshot audit --full' reads the log and says which, --repair brings them in again"

// judge holds the rows of the range against what the ledger says of it.
func (v *Verdict) judge(proven schemas.Checkpoint, rows, distinct uint64) {
	cp := &v.Upto
	stored, other := cp.Stored-proven.Stored, cp.Duplicates-proven.Duplicates+cp.Dead-proven.Dead
	v.Rows, v.Sequences = rows, distinct
	if passed := cp.Hi - proven.Hi; passed >= other {
		v.Due = passed - other
	}
	if v.Due != stored {
		v.fault(Skipped, absolute(v.Due, stored), "up to sequence %d there are %d events that are neither duplicates nor dead letters, but the ledger counts %d stored: events left the log before they were dealt with, or the ledger was changed by hand; see to it that EARSHOT_LOG_MAX_AGE exceeds the longest outage", cp.Hi, v.Due, stored)
	}
	if distinct < v.Due {
		v.Gap = v.Due - distinct
		v.fault(Gap, v.Gap, "%d of %d rows are missing between sequence %d and %d: %s", v.Gap, v.Due, v.After+1, cp.Hi, seeWhich)
	}
	if distinct > v.Due {
		v.fault(Surplus, distinct-v.Due, "%d rows too many up to sequence %d: the ledger counts their events as duplicates or dead letters; find out who writes to the table beside the workers", distinct-v.Due, cp.Hi)
	}
	if rows > distinct {
		v.Duplicates = rows - distinct
		v.fault(Duplicates, v.Duplicates, "%d rows are there a second time: SELECT seq, count() FROM feedback WHERE generation = %d AND epoch = '%s' AND shard = %d GROUP BY seq HAVING count() > 1 lists them; find out who writes to the table beside the workers before you delete any",
			v.Duplicates, v.Generation, cp.Epoch, v.Shard)
	}
}

// judgeTop says whether there are rows that the ledger knows nothing of.
func (v *Verdict) judgeTop(top uint64, after schemas.Ledger) {
	known := v.Upto.Hi
	if c := after.Checkpoint; c != nil && c.Generation == v.Generation {
		known = max(known, c.Hi)
	}
	p := after.Plan
	if p != nil && p.Repair && p.Pending != nil { // what it interrupts may have rows already
		p = p.Pending
	}
	if p != nil && p.Generation == v.Generation {
		known = max(known, p.Hi)
	}
	if top > known {
		v.fault(Beyond, top-known, "the table has rows up to sequence %d, but the newest plan ends at %d: the OUTCOMES stream was lost or restored from an older state; stop the workers and see the decision record on exactly-once before they go on", top, known)
	}
}

// judgePlan reads the newest plan back if it is committed: the digests prove that its rows are there as planned. Those
// are the rows that a power cut takes first.
func (v *Verdict) judgePlan(ctx context.Context, p *schemas.Plan, t Table) error {
	if p != nil && p.Repair { // under way: what it interrupts is the newest of the others
		p = p.Pending
	}
	if p == nil || p.Generation != v.Generation || p.Hi > v.Upto.Hi || p.Lo <= v.After {
		return nil
	}
	for _, part := range p.Parts {
		r := v.Range()
		r.Lo, r.Hi, r.Month = p.Lo, p.Hi, part.Month
		rows, digest, err := t.ReadBack(ctx, r)
		if err != nil {
			return err
		}
		if rows != part.Rows || digest != part.Digest {
			v.fault(Changed, absolute(rows, part.Rows), "the newest plan, %d–%d of %d, promised %d rows with digest %d, but %d with digest %d are there: the table was changed, or a power cut took a part of it", p.Lo, p.Hi, part.Month, part.Rows, part.Digest, rows, digest)
		}
	}
	return nil
}

func absolute(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// State is the faults by kind and number, without what changes from one look to the next: two audits with the same state
// have found the same.
func State(verdicts []Verdict) string {
	var b strings.Builder
	for i := range verdicts {
		for _, f := range verdicts[i].Faults {
			fmt.Fprintf(&b, "%d %s %d\n", verdicts[i].Shard, f.Kind, f.Count)
		}
	}
	return b.String()
}
