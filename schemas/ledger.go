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
	Digest      uint64 // of everything above; the sum over a part proves what was stored
}

// Plan is what a worker says it is about to insert, before it does. Once a plan is stored, the range it names is either
// in the table exactly as planned or not there, and whoever owns the shard next can find out which.
type Plan struct {
	Epoch      string   `json:"epoch"`
	Shard      int      `json:"shard"`
	Generation uint32   `json:"generation"`
	Lo         uint64   `json:"lo"`         // first sequence of the range
	Hi         uint64   `json:"hi"`         // last sequence of the range
	Parts      []Part   `json:"parts"`      // one insert each; empty: the range holds nothing to store
	Duplicates uint64   `json:"duplicates"` // events of the range seen before
	Dead       []uint64 `json:"dead"`       // sequences of the range that become dead letters
	SHA256     string   `json:"sha256"`     // of all rows' digests in order, hex
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
	Hi         uint64 `json:"hi"`         // 0: nothing yet
	Stored     uint64 `json:"stored"`     // rows, since the epoch began
	Duplicates uint64 `json:"duplicates"` // since the epoch began
	Dead       uint64 `json:"dead"`       // since the epoch began
	Outcomes   int    `json:"outcomes"`   // of the plan now being committed, how many are out; 0: none under way
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
var ErrEpoch = errors.New("the stream is not the one this shard's ledger was written for: restore the stream, or adopt the new one by removing the shard's ledger: 'nats stream purge OUTCOMES --subject plan.N' and the same with checkpoint.N, N being the shard; what is in the table stays, and events sent again are known there")

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
