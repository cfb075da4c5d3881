package schemas

import (
	"errors"
	"time"
)

// Record is one message of the log as a worker reads it.
type Record struct {
	Seq     uint64            // position in the shard's stream, from 1
	Time    time.Time         // when the log received it, UTC
	Subject string            // as stored
	Header  map[string]string // first value of each header, names as sent
	Data    []byte            // CloudEvents JSON, or the data of a binary-mode event
}

// Message is one event on its way into the log. Whoever publishes has already chosen its place.
type Message struct {
	Shard   int               // 0 … shards−1, see [Shard]
	Subject string            // [Event.LogSubject] of that shard
	Header  map[string]string // such as content-type; may be shared between messages, so it is never written to
	Data    []byte            // at most [MaxEventBytes]
}

// Row is one row of the fact table: an event with what was made of it.
type Row struct {
	Event       *Event
	Labels      Labels
	Scores      Scores
	ID          EventID
	CustomerKey string // keyed hash of the customer; empty: unknown customer
	Epoch       string // of the shard's stream
	Shard       uint16
	Seq         uint64
	Generation  uint32 // of the classification, from 1
	ReceivedAt  time.Time
	Digest      uint64            // of everything above; the sum over a part proves what was stored
	First       map[string]string // of a change, what it took over from what was said first; see the column said_first. nil: nothing
}

// Plan is what a worker says it is about to insert, before it does. Once a plan is stored, the range it names is either
// in the table exactly as planned or not there, and whoever owns the shard next can find out which.
type Plan struct {
	Epoch      string   `json:"epoch"`
	Shard      int      `json:"shard"`
	Generation uint32   `json:"generation"`
	Lo         uint64   `json:"lo"`                // first sequence of the range
	Hi         uint64   `json:"hi"`                // last sequence of the range
	Parts      []Part   `json:"parts"`             // one insert each; empty: the range holds nothing to store
	Duplicates uint64   `json:"duplicates"`        // events of the range seen before
	Dead       []uint64 `json:"dead"`              // sequences of the range that become dead letters
	SHA256     string   `json:"sha256"`            // of all rows' digests in order, hex
	Repair     bool     `json:"repair,omitempty"`  // brings rows in again that were committed before; moves no checkpoint
	Pending    *Plan    `json:"pending,omitempty"` // of a repair: the plan it interrupts, written back when it is done
}

// Rows is how many rows the plan is to insert.
func (p *Plan) Rows() (n uint64) {
	for _, part := range p.Parts {
		n += part.Rows
	}
	return n
}

// Part is one insert of a plan: the rows of one month, which is one partition of the table.
type Part struct {
	Month   int    `json:"month"` // yyyymm of occurred_at
	Rows    uint64 `json:"rows"`
	Digest  uint64 `json:"digest,string"` // sum of the rows' digests modulo 2^64
	Attempt int    `json:"attempt"`       // part of the insert's token; raised only when the former token is proven dead
}

// Checkpoint is how far a shard has come. Everything up to Hi is in the table, counted as a duplicate, or a dead letter.
type Checkpoint struct {
	Epoch      string `json:"epoch"`
	Shard      int    `json:"shard"`
	Generation uint32 `json:"generation"`
	Hi         uint64 `json:"hi"`                // 0: nothing yet
	Stored     uint64 `json:"stored"`            // rows, since the epoch began
	Duplicates uint64 `json:"duplicates"`        // since the epoch began
	Dead       uint64 `json:"dead"`              // since the epoch began
	Outcomes   int    `json:"outcomes"`          // of the plan now being committed, how many are out; 0: none under way
	Attempt    int    `json:"attempt,omitempty"` // where attempts begin, random for each ledger: no token of a lost one is met again
	Quiet      uint64 `json:"quiet,omitempty"`   // up to here no insights are raised: they may have been, in a ledger that was lost
	Recent     []Mark `json:"recent,omitempty"`  // what was committed last, oldest first: a power cut may have taken it back
	Tail       *Tail  `json:"tail,omitempty"`    // the last message dealt with: a log that was restored has another in its place

	// Moving is the generation that the shard is held for, 0: it is not. Who finds it set finishes the plan that is open and
	// begins no other until it is cleared, by which time Generation may be another.
	Moving uint32 `json:"moving,omitempty"`
}

// Open says whether the ledger holds a plan that no whole commit has closed, or a repair that is under way in its place.
func (l *Ledger) Open() bool {
	p := l.Plan
	if p != nil && p.Repair {
		p = p.Pending
	}
	switch {
	case l.Checkpoint == nil:
		return p != nil
	case l.Checkpoint.Outcomes > 0:
		return true
	}
	return p != nil && p.Hi > l.Checkpoint.Hi
}

// Mark is what a stretch of committed ranges must have in the table.
type Mark struct {
	Lo     uint64    `json:"lo"` // sequences, both included
	Hi     uint64    `json:"hi"`
	Rows   uint64    `json:"rows"`
	Digest uint64    `json:"digest,string"` // sum of the rows' digests modulo 2^64
	At     time.Time `json:"at"`            // when the first of the ranges was committed
}

// Tail is a message by which a log is known again.
type Tail struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"` // when the log received it, to the nanosecond
}

// Stored is a row of the table as a worker needs to know it.
type Stored struct {
	Seq    uint64
	ID     EventID
	Month  int // yyyymm of occurred_at
	Digest uint64
	Erased bool // only its place is left, and its message may be gone from the log
}

// Accepted is what the checkpoint accounts for; it equals Hi when nothing was lost and nothing counted twice.
func (c Checkpoint) Accepted() uint64 { return c.Stored + c.Duplicates + c.Dead }

// Outcome is a message that a commit publishes: an insight or a dead letter.
type Outcome struct {
	Subject string
	ID      string // deterministic, so that a repeated commit cannot publish it twice
	Header  map[string]string
	Data    []byte
}

// Ledger is the stored state of one shard.
type Ledger struct {
	Plan          *Plan
	PlanSeq       uint64 // sequence of the plan in OUTCOMES, the value a compare-and-swap expects; 0: none
	Checkpoint    *Checkpoint
	CheckpointSeq uint64 // likewise
}

// ErrLost says that a compare-and-swap on a ledger failed: another worker owns the shard now. Reload and begin again.
var ErrLost = errors.New("another worker has written this shard's ledger: reload it")

// ErrEpoch says that a stream is not the one the ledger was written for: it was recreated or restored.
var ErrEpoch = errors.New("the stream is not the one this shard's ledger was written for: it was made anew, or restored from a copy that is older than the ledger; put the right one back, or stop every earshot and take this one as a new log with 'earshot restored': what is in the table stays, and events that it has are known there")

// ErrBusy says that the queue in front of the log is full. Nothing of the request was stored: slow down and send it again.
var ErrBusy = errors.New("the queue of the log is full: slow down and send again")

// ErrUnavailable says that the log cannot take writes now, or did not answer in time, so that it is not known whether the
// request was stored. Sending it again is safe: an event that arrives twice is counted as a duplicate and stored once.
var ErrUnavailable = errors.New("the log cannot take writes now: send again later")

// Range names rows of the table by their place in the log: one shard of one epoch, one generation, one month.
type Range struct {
	Epoch      string
	Shard      int
	Generation uint32
	Lo, Hi     uint64 // sequences, both included
	Month      int    // yyyymm of occurred_at; 0: any month
}

// Receipt is what a row of the table says about the message that it was made of.
type Receipt struct {
	Seq     uint64
	ID      EventID
	Hour    time.Time // of the message's receipt by the log, UTC
	Channel string
	Erased  bool // only its place is left; its message is gone from the log if its customer was erased, and there if it was deleted
}

// Holder says where rows of an identity are.
type Holder struct {
	Seq       uint64 // the lowest sequence in the shard and epoch that was asked about; 0: there is none
	Elsewhere bool   // there is a row of another shard or another epoch
}
