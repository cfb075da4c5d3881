package schemas

import (
	"strings"
	"time"
)

// EraseRequest is a message of the log that asks for a customer to be forgotten. It stays in the log until that is done,
// and is the last thing to go.
type EraseRequest struct {
	Shard    int
	Epoch    string // of the shard's stream
	Seq      uint64
	Received time.Time // by the log; what the log received before is erased
	Tenant   string
	Customer string
	ID       EventID
}

// Trace is a row that is to be erased.
type Trace struct {
	Epoch string
	Shard int
	Seq   uint64
	ID    EventID
}

// HeaderErased marks a dead letter of which only the place is left.
const HeaderErased = "Earshot-Erased"

// EraseReceipt says what was erased, and not of whom.
type EraseReceipt struct {
	Request  string    `json:"request"`  // identity of the event that asked for it
	Received time.Time `json:"received"` // when the log received it
	Done     time.Time `json:"done"`
	Rows     uint64    `json:"rows"`     // of the table, each classification counted once
	Messages uint64    `json:"messages"` // of the log
	Letters  uint64    `json:"letters"`  // dead letters, those of alerts included
	Insights uint64    `json:"insights"` // announcements
	Alerts   uint64    `json:"alerts"`   // alerts that had quoted the customer
	Digest   string    `json:"digest"`   // SHA-256 over the places of the erased rows, hex: who has an old copy of the table can check it
}

// ParseRef reads a reference to an event, source#id; ok is false where it is none.
func ParseRef(ref string) (source, id string, ok bool) {
	source, id, ok = strings.Cut(ref, "#")
	return source, id, ok && source != "" && id != ""
}

// Revision is a row as one version of what was said.
type Revision struct {
	Trace
	Tenant   string
	Source   string // who sent it; empty where the row is erased
	Name     string // source#id of the row itself, by which others name it; empty where it is erased
	Channel  string
	Ref      string  // source#id of what it changes or takes back; empty where it was said first
	Gone     EventID // what was said first, of a row that was emptied because that was taken back; zero of others
	Kind     Kind
	First    First // of a change, what it has taken over; of what was superseded, the kind it had
	Said     time.Time
	Received time.Time
}

// Edit says whether the version was said in another's place. One that was superseded has kept what it names.
func (r *Revision) Edit() bool {
	return r.Kind == FeedbackUpdated || r.Kind == Superseded && r.Ref != ""
}

// First is what was said first, as far as a change is told of it: where it is, and when, in Unix milliseconds, what it was.
type First struct {
	Ref  string // source#id
	At   int64
	Kind Kind // FeedbackUpdated: not known, because it was superseded by a program that did not keep it
}

// Adoption is a change that is to take over what it does not say itself from what was said first: when it was said, what kind
// of event it was, and where it belongs.
type Adoption struct {
	Trace
	First EventID // what was said first
}

// Withdrawal is a row that is to be emptied because what was said first was taken back.
type Withdrawal struct {
	Trace
	First EventID // what was said first
}
