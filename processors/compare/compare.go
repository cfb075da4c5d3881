// Package compare holds the log against the table and the dead letters, message by message.
//
// One event passes through it like this. [Shard.Compare] reads its message from the log and looks for what became of it: a
// row with its sequence, a dead letter with its sequence, or neither. Neither is right only for a duplicate, and that is
// proved: the event's identity must be stored under a smaller sequence of the shard, or in another shard or epoch. A row in
// its place must be of the same event. A row that was erased is one too, and may have no message any more. Every message counts in a [Sheet] under the hour in which the log received it and the channel of its subject; one that has no
// end, or more than one, is named.
//
// The package refuses to believe counts: neither the ledger's, nor that as many rows too few and too many in an hour make
// it right. It holds a window of the log at a time, so that its memory does not grow with the log.
package compare

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Log is one shard of the log.
type Log interface {
	// Read returns up to most records (and about maxBytes) after the sequence, in order. None, after idle, means that
	// there are no more.
	Read(ctx context.Context, after uint64, most, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error)
	// Last is the sequence of the newest message.
	Last(ctx context.Context) (uint64, error)
}

// Table is the fact table.
type Table interface {
	// Receipts yields every row of a range in the order of the sequences.
	Receipts(ctx context.Context, r schemas.Range) iter.Seq2[schemas.Receipt, error]
	// Holders tells where rows of the identities are.
	Holders(ctx context.Context, generation uint32, epoch string, shard int, ids []schemas.EventID) (map[schemas.EventID]schemas.Holder, error)
}

// Shard is what is compared.
type Shard struct {
	Log        Log
	Table      Table
	Letters    []uint64 // sequences that have a dead letter, in order, each once
	Number     int
	Epoch      string
	Generation uint32
	Lo, Hi     uint64 // sequences, both included; all of them must have been dealt with by the worker
	Window     uint64 // sequences that are worked on at a time; default 100,000, for which some 10 MB are held
}

// DefaultWindow is the default of [Shard].Window.
const DefaultWindow = 100_000

// Line is what was counted of one hour and channel.
type Line struct {
	Hour       time.Time `json:"hour"` // in which the log received the messages, UTC
	Channel    string    `json:"channel"`
	Published  uint64    `json:"published"`  // messages in the log
	Stored     uint64    `json:"stored"`     // rows in the table
	Duplicates uint64    `json:"duplicates"` // messages whose event is stored elsewhere
	Dead       uint64    `json:"dead"`       // dead letters
	Difference uint64    `json:"difference"` // messages that have no end or more than one, and ends that have no message
}

// Fault is a message that has no end or more than one, or an end without a message.
type Fault struct {
	Shard   int       `json:"shard"`
	Seq     uint64    `json:"seq"`
	Hour    time.Time `json:"hour,omitzero"`
	Channel string    `json:"channel,omitempty"`
	What    string    `json:"what"`
}

// String is the fault as a line.
func (f Fault) String() string {
	return fmt.Sprintf("shard %d, sequence %d (%s, %s): %s", f.Shard, f.Seq, f.Hour.Format("2006-01-02T15Z"), f.Channel, f.What)
}

// MaxFaults is how many faults a [Sheet] names; the others are only counted.
const MaxFaults = 10

// Sheet is the account of one or more shards. Its zero value is empty.
type Sheet struct {
	lines  map[key]*Line
	Faults []Fault // the first [MaxFaults]
	Differ uint64  // how many there are
}

type key struct {
	hour    int64
	channel string
}

// Lines are the hours and channels, the oldest first.
func (s *Sheet) Lines() []Line {
	out := make([]Line, 0, len(s.lines))
	for l := range maps.Values(s.lines) {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Line) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Channel, b.Channel))
	})
	return out
}

func (s *Sheet) line(hour time.Time, channel string) *Line {
	k := key{hour.Unix(), channel}
	if s.lines == nil {
		s.lines = map[key]*Line{}
	}
	if s.lines[k] == nil {
		s.lines[k] = &Line{Hour: hour, Channel: channel}
	}
	return s.lines[k]
}

// fault notes a difference.
func (s *Sheet) fault(f Fault) {
	s.line(f.Hour, f.Channel).Difference++
	if s.Differ++; len(s.Faults) < MaxFaults {
		s.Faults = append(s.Faults, f)
	}
}

// Compare adds the shard to the sheet.
func (s Shard) Compare(ctx context.Context, sheet *Sheet) error {
	if s.Window == 0 {
		s.Window = DefaultWindow
	}
	r := &records{log: s.Log, after: max(s.Lo, 1) - 1}
	letters := s.Letters
	if i, _ := slices.BinarySearch(letters, s.Lo); i > 0 {
		letters = letters[i:]
	}
	for lo := s.Lo; lo <= s.Hi; lo += s.Window {
		hi := min(lo+s.Window-1, s.Hi)
		end, _ := slices.BinarySearch(letters, hi+1)
		if err := s.window(ctx, sheet, r, lo, hi, letters[:end]); err != nil {
			return err
		}
		letters = letters[end:]
	}
	return s.beyond(ctx, sheet)
}

// absent is a message without row and letter: a duplicate, or lost.
type absent struct {
	seq     uint64
	id      schemas.EventID
	known   bool // it has an identity
	hour    time.Time
	channel string
}

// window compares one window of the log, going through log, table and letters side by side.
func (s *Shard) window(ctx context.Context, sheet *Sheet, log *records, lo, hi uint64, letters []uint64) error {
	next, stop := iter.Pull2(s.Table.Receipts(ctx, s.rows(lo, hi)))
	defer stop()
	row, err, more := next()
	var gone []absent
	// strays are rows and letters up to a sequence that has no message. The message of an erased row may be gone.
	strays := func(before uint64) {
		for ; more && err == nil && row.Seq < before; row, err, more = next() {
			if row.Erased {
				continue
			}
			sheet.line(row.Hour, row.Channel).Stored++
			sheet.fault(Fault{s.Number, row.Seq, row.Hour, row.Channel, "a row without a message in the log"})
		}
		for ; len(letters) > 0 && letters[0] < before; letters = letters[1:] {
			sheet.fault(Fault{Shard: s.Number, Seq: letters[0], What: "a dead letter without a message in the log"})
		}
	}
	for {
		rec, ok, rerr := log.next(ctx, hi)
		if rerr != nil {
			return rerr
		}
		if !ok {
			break
		}
		strays(rec.Seq)
		_, channel := schemas.SubjectNames(rec.Subject)
		hour := rec.Time.UTC().Truncate(time.Hour)
		line := sheet.line(hour, channel)
		line.Published++
		var stored, dead uint64
		var id schemas.EventID
		for ; more && err == nil && row.Seq == rec.Seq; row, err, more = next() {
			stored++
			id = row.ID
		}
		e, problems := schemas.DecodeRecord(&rec)
		if len(letters) > 0 && letters[0] == rec.Seq {
			dead, letters = 1, letters[1:]
		}
		line.Stored += stored
		line.Dead += dead
		switch {
		case stored+dead == 0:
			a := absent{seq: rec.Seq, hour: hour, channel: channel}
			if len(problems) == 0 {
				a.id, a.known = e.Identity(), true
			}
			gone = append(gone, a)
		case stored > 1:
			sheet.fault(Fault{s.Number, rec.Seq, hour, channel, fmt.Sprintf("it is stored %d times", stored)})
		case stored+dead > 1:
			sheet.fault(Fault{s.Number, rec.Seq, hour, channel, "it is stored and has a dead letter too"})
		case stored == 1 && (len(problems) > 0 || e.Identity() != id):
			sheet.fault(Fault{s.Number, rec.Seq, hour, channel, "the row in its place is of another event: " + id.String()})
		}
		if err != nil {
			break
		}
	}
	strays(hi + 1)
	if err != nil {
		return err
	}
	return s.prove(ctx, sheet, gone)
}

// prove looks whether absent messages are duplicates.
func (s *Shard) prove(ctx context.Context, sheet *Sheet, gone []absent) error {
	var ids []schemas.EventID
	for _, a := range gone {
		if a.known {
			ids = append(ids, a.id)
		}
	}
	holders, err := s.Table.Holders(ctx, s.Generation, s.Epoch, s.Number, ids)
	if err != nil {
		return err
	}
	for _, a := range gone {
		h := holders[a.id]
		switch {
		case !a.known:
			sheet.fault(Fault{s.Number, a.seq, a.hour, a.channel, "it has no dead letter, although it is at fault"})
		case h.Elsewhere || h.Seq > 0 && h.Seq < a.seq:
			sheet.line(a.hour, a.channel).Duplicates++
		default:
			sheet.fault(Fault{s.Number, a.seq, a.hour, a.channel, "it is not stored, has no dead letter, and repeats nothing that is stored: event " + a.id.String()})
		}
	}
	return nil
}

// beyond looks for rows whose sequence the log has never reached. Rows of messages that arrive meanwhile are none of them:
// the log is asked again after the rows were read.
func (s *Shard) beyond(ctx context.Context, sheet *Sheet) error {
	last, err := s.Log.Last(ctx)
	if err != nil {
		return err
	}
	asked := false
	for row, err := range s.Table.Receipts(ctx, s.rows(last+1, math.MaxInt64)) {
		if err != nil {
			return err
		}
		if !asked {
			if last, err = s.Log.Last(ctx); err != nil {
				return err
			}
			asked = true
		}
		if row.Seq > last {
			sheet.line(row.Hour, row.Channel).Stored++
			sheet.fault(Fault{s.Number, row.Seq, row.Hour, row.Channel, fmt.Sprintf("a row without a message in the log, which ends at %d", last)})
		}
	}
	return nil
}

func (s *Shard) rows(lo, hi uint64) schemas.Range {
	return schemas.Range{Epoch: s.Epoch, Shard: s.Number, Generation: s.Generation, Lo: lo, Hi: hi}
}
