package audit

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Log is what the log of one shard still holds.
type Log interface {
	// Read returns up to max records (and about maxBytes) after the sequence, in order; none within idle is an empty answer.
	Read(ctx context.Context, after uint64, max, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error)
	// Dead returns the sequences of the shard's dead letters that are still there.
	Dead(ctx context.Context) (map[uint64]bool, error)
}

// Rows is what the fact table knows of single events.
type Rows interface {
	// Absent yields the runs of sequences of a range that have no row, in order.
	Absent(ctx context.Context, r schemas.Range) iter.Seq2[schemas.Range, error]
	// Holders tells where rows of the identities are.
	Holders(ctx context.Context, generation uint32, epoch string, shard int, ids []schemas.EventID) (map[schemas.EventID]schemas.Holder, error)
}

// Found is what became of the events of a range that have no row.
type Found struct {
	// Missing are events that the log still has and that have to be rows: no event of the same identity is stored, none of
	// them is malformed, no dead letter names them. They can be brought in again.
	Missing []schemas.Range `json:"missing"`
	// Replaced are events without a row whose identity is stored under a later sequence: their rows went missing, and when
	// the same event was sent again it was no longer known and was stored. Nothing is to be brought in for them.
	Replaced []schemas.Range `json:"replaced"`
	// Gone is how many sequences are neither in the table nor in the log: what they were cannot be told any more.
	Gone       uint64 `json:"gone"`
	Duplicates uint64 `json:"duplicates"` // events whose identity is stored under an earlier sequence, or is missing there
	Dead       uint64 `json:"dead"`       // malformed events, and those that a dead letter names
}

// Count is how many sequences the ranges have together.
func Count(ranges []schemas.Range) (n uint64) {
	for _, r := range ranges {
		n += r.Hi - r.Lo + 1
	}
	return n
}

const (
	findBatch = 4000     // events looked up at a time
	findBytes = 16 << 20 // most of them in memory
	findStep  = 4000     // where the next event of interest is not farther away than this, the log is read on to it
	findIdle  = 200 * time.Millisecond
)

// Find says of every sequence of the range that has no row what it was. The range should end at a checkpoint: what is
// beyond is on its way. It reads only those events from the log that have no row, and their neighbours, so that it costs
// little where little is absent, and about the processing of a duplicate for each duplicate.
//
// A dead letter of a well-formed event that has expired or was discarded cannot be told from a missing row; compare
// Missing with the gap that [Check] has counted.
func Find(ctx context.Context, r schemas.Range, log Log, rows Rows) (Found, error) {
	f := &finder{r: r, log: log, rows: rows, lost: map[schemas.EventID]struct{}{}}
	err := f.run(ctx)
	if err != nil {
		err = fmt.Errorf("find what is missing from %d–%d of shard %d: %w", r.Lo, r.Hi, r.Shard, err)
	}
	return f.found, err
}

type finder struct {
	r     schemas.Range
	log   Log
	rows  Rows
	found Found
	dead  map[uint64]bool
	lost  map[schemas.EventID]struct{} // identities of missing events: their repetitions are duplicates all the same

	ahead []schemas.Record // read from the log and not yet looked at
	at    uint64           // the log was read up to here

	events []candidate // to be looked up together
}

// candidate is a well-formed event without a row.
type candidate struct {
	seq uint64
	id  schemas.EventID
}

func (f *finder) run(ctx context.Context) (err error) {
	if f.dead, err = f.log.Dead(ctx); err != nil {
		return err
	}
	for run, err := range f.rows.Absent(ctx, f.r) {
		if err != nil {
			return err
		}
		if err := f.look(ctx, run); err != nil {
			return err
		}
	}
	return f.settle(ctx)
}

// look reads the events of one run of absent sequences.
func (f *finder) look(ctx context.Context, run schemas.Range) error {
	next := run.Lo
	for next <= run.Hi {
		rec, err := f.record(ctx, next)
		if err != nil {
			return err
		}
		if rec == nil || rec.Seq > run.Hi {
			f.found.Gone += run.Hi - next + 1
			return nil
		}
		f.found.Gone += rec.Seq - next
		next = rec.Seq + 1
		event, problems := schemas.DecodeRecord(rec)
		if len(problems) > 0 {
			f.found.Dead++
			continue
		}
		f.events = append(f.events, candidate{rec.Seq, event.Identity()})
		if len(f.events) == findBatch {
			if err := f.settle(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// record returns the first record from a sequence on, nil when the log has none. It reads on where that is near.
func (f *finder) record(ctx context.Context, from uint64) (*schemas.Record, error) {
	for {
		for len(f.ahead) > 0 && f.ahead[0].Seq < from {
			f.ahead = f.ahead[1:]
		}
		if len(f.ahead) > 0 {
			return &f.ahead[0], nil
		}
		if f.at == 0 || f.at+findStep < from {
			f.at = from - 1
		}
		records, err := f.log.Read(ctx, f.at, findBatch, findBytes, findIdle, 0)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			return nil, nil
		}
		f.ahead, f.at = records, records[len(records)-1].Seq
	}
}

// settle decides about the events that were collected.
func (f *finder) settle(ctx context.Context) error {
	ids := make([]schemas.EventID, len(f.events))
	for i := range f.events {
		ids[i] = f.events[i].id
	}
	holders, err := f.rows.Holders(ctx, f.r.Generation, f.r.Epoch, f.r.Shard, ids)
	if err != nil {
		return err
	}
	for _, c := range f.events {
		holder, stored := holders[c.id]
		_, lost := f.lost[c.id]
		switch {
		case stored && (holder.Elsewhere || holder.Seq < c.seq), lost:
			f.found.Duplicates++
		case f.dead[c.seq]:
			f.found.Dead++
		case stored:
			f.found.Replaced = f.add(f.found.Replaced, c.seq)
		default:
			f.lost[c.id] = struct{}{}
			f.found.Missing = f.add(f.found.Missing, c.seq)
		}
	}
	f.events = f.events[:0]
	return nil
}

// add adds a sequence to ranges in order.
func (f *finder) add(to []schemas.Range, seq uint64) []schemas.Range {
	if n := len(to); n > 0 && to[n-1].Hi+1 == seq {
		to[n-1].Hi = seq
		return to
	}
	r := f.r
	r.Lo, r.Hi = seq, seq
	return append(to, r)
}

// Weigh holds what [Find] found in a whole shard against the counts of [Check], and adds a fault where the log contradicts
// them: more events without a row than there can be dead letters that are no longer to be found.
func (v *Verdict) Weigh(f Found) {
	missing, letters := Count(f.Missing), v.Upto.Dead-min(v.Upto.Dead, f.Dead)
	if missing > v.Gap+letters {
		v.fault(Unfounded, missing-v.Gap-letters, "%d events up to sequence %d have no row although the ledger counts them as duplicates or dead letters: they are neither; keep the log and report it", missing-v.Gap-letters, v.Upto.Hi)
	}
}
