package deadletter

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// State is what has become of a dead letter.
type State string

// The states. A letter about which nothing was decided is open.
const (
	Open      State = "open"
	Replaying State = "replaying" // somebody is at it, or was cut off; the next replay finds out
	Replayed  State = "replayed"  // it is in the log again
	Discarded State = "discarded" // somebody decided that it is not wanted
)

// States lists the states.
func States() []State { return []State{Open, Replaying, Replayed, Discarded} }

// Letter is one dead letter: an event, or a delivery of an alert, whose body is what the outbox held.
type Letter struct {
	ID       schemas.LetterID
	Reason   schemas.Reason
	Code     int    // ClickHouse's error code, 0 where it was not ClickHouse that refused the event
	Detail   string // what is wrong, one line
	Received time.Time
	Subject  string // under which the log stored the original
	Tenant   string // of the subject, "" where it names none; a very long name is a hash there
	Channel  string // of the subject, likewise
	Former   string // name of the letter that this one was before it was replayed, "" if it is the first

	Header map[string]string // of the original
	Data   []byte            // of the original; nil where the letter was only listed
	Size   int               // bytes of the original

	State   State
	Decided time.Time        // when it came into its state; zero: open from the beginning
	Again   schemas.LetterID // of a replayed letter: the event's new place in the log
	Mended  bool             // of a replayed letter: it was changed before

	at uint64 // sequence of the newest disposition, 0: there is none
	disposition
}

// disposition is what is stored about a letter.
type disposition struct {
	State  State  `json:"state"`
	Epoch  string `json:"epoch,omitempty"`  // of the shard's stream to which the event is sent
	Shard  int    `json:"shard"`            // to which it is sent
	After  uint64 `json:"after,omitempty"`  // the last sequence of that shard before it was sent
	Seq    uint64 `json:"seq,omitempty"`    // where it is now
	Mended bool   `json:"mended,omitempty"` // the event was changed before it was sent
}

// Delivery says whether the letter is a delivery of an alert and no event.
func (l *Letter) Delivery() bool { return l.ID.Shard == schemas.AlertShard }

// apply makes the disposition with this sequence and time the letter's newest.
func (l *Letter) apply(d disposition, seq uint64, when time.Time) {
	l.disposition, l.at = d, seq
	l.State, l.Decided, l.Mended = d.State, when, d.Mended
	if d.State == Replayed && !l.Delivery() {
		l.Again = schemas.LetterID{Epoch: d.Epoch, Shard: d.Shard, Seq: d.Seq}
	}
}

// added are the headers that a letter has beside those of its original.
func added() []string {
	return []string{schemas.HeaderReason, schemas.HeaderDetail, schemas.HeaderStream, schemas.HeaderSequence, schemas.HeaderSubject,
		schemas.HeaderCode, schemas.HeaderReceived, schemas.HeaderOutcomeID, schemas.HeaderReplay}
}

// read makes a letter of a message of DEADLETTERS; false: it is none. Deliveries of alerts that were given up are under a
// name where an event has its shard. Of a letter whose customer was erased nothing is left but its place.
func read(m jetstream.Msg, md *jetstream.MsgMetadata) (*Letter, bool) {
	h := m.Headers()
	parts := strings.SplitN(m.Subject(), ".", 3)
	if len(parts) < 3 || h.Get(schemas.HeaderErased) != "" {
		return nil, false
	}
	id, ok := schemas.ParseLetterID(h.Get(schemas.HeaderOutcomeID))
	switch {
	case parts[1] == shardName(schemas.AlertShard):
		id = schemas.LetterID{Epoch: schemas.AlertEpoch, Shard: schemas.AlertShard, Seq: md.Sequence.Stream}
	case !ok || strings.Trim(parts[1], "0123456789") != "":
		return nil, false
	}
	l := &Letter{
		ID: id, Reason: schemas.Reason(h.Get(schemas.HeaderReason)), Detail: h.Get(schemas.HeaderDetail),
		Subject: h.Get(schemas.HeaderSubject), Former: h.Get(schemas.HeaderReplay), Received: md.Timestamp.UTC(), Header: map[string]string{},
		Data: m.Data(), Size: len(m.Data()), State: Open,
	}
	l.Code, _ = strconv.Atoi(h.Get(schemas.HeaderCode)) // absent: 0
	if t, err := time.Parse(time.RFC3339Nano, h.Get(schemas.HeaderReceived)); err == nil {
		l.Received = t
	}
	if n, err := strconv.Atoi(h.Get(nats.MsgSize)); err == nil {
		l.Size, l.Data = n, nil // only headers were asked for
	}
	for k, v := range h {
		if len(v) > 0 && !strings.HasPrefix(strings.ToLower(k), "nats-") {
			l.Header[k] = v[0]
		}
	}
	for _, k := range added() {
		delete(l.Header, k)
	}
	l.Tenant, l.Channel = schemas.SubjectNames(l.Subject)
	return l, true
}

// Filter chooses letters. Its zero value chooses all.
type Filter struct {
	IDs     []schemas.LetterID // any of these; one without an epoch means that of any epoch
	Shard   *int
	Tenant  string
	Channel string
	Reason  schemas.Reason
	States  []State   // any of these
	Since   time.Time // received at this time or later
	Until   time.Time // received before
	Detail  string    // is part of the detail, whatever the case
	Lo, Hi  uint64    // sequences of the original, both included; Hi 0: no bound
	First   bool      // none whose event had been replayed and died again
	Limit   int       // at most so many; 0: no bound
}

// Empty says whether the filter chooses all letters, whatever their state and history.
func (f *Filter) Empty() bool {
	return len(f.IDs) == 0 && f.Shard == nil && f.Tenant == "" && f.Channel == "" && f.Reason == "" &&
		f.Since.IsZero() && f.Until.IsZero() && f.Detail == "" && f.Lo == 0 && f.Hi == 0 && f.Limit == 0
}

// match says whether the filter chooses the letter, its state included.
func (f *Filter) match(l *Letter) bool {
	named := func(id schemas.LetterID) bool {
		return id.Shard == l.ID.Shard && id.Seq == l.ID.Seq && (id.Epoch == "" || id.Epoch == l.ID.Epoch)
	}
	switch {
	case len(f.IDs) > 0 && !slices.ContainsFunc(f.IDs, named),
		f.Shard != nil && *f.Shard != l.ID.Shard,
		f.Tenant != "" && schemas.Token(f.Tenant) != schemas.Token(l.Tenant),
		f.Channel != "" && schemas.Token(f.Channel) != schemas.Token(l.Channel),
		f.Reason != "" && f.Reason != l.Reason,
		len(f.States) > 0 && !slices.Contains(f.States, l.State),
		l.Received.Before(f.Since),
		!f.Until.IsZero() && !l.Received.Before(f.Until),
		!strings.Contains(strings.ToLower(l.Detail), strings.ToLower(f.Detail)),
		f.First && l.Former != "",
		l.ID.Seq < f.Lo, f.Hi > 0 && l.ID.Seq > f.Hi:
		return false
	}
	return true
}

// subject is the subjects of DEADLETTERS among which the chosen letters are.
func (f *Filter) subject() string {
	shard, reason := "*", "*"
	if f.Shard != nil {
		shard = shardName(*f.Shard)
	}
	if f.Reason != "" {
		reason = schemas.Token(string(f.Reason))
	}
	return "dead." + shard + "." + reason
}

// shardName is a shard as subjects have it.
func shardName(shard int) string {
	return strings.Split(schemas.DeadSubject(shard, ""), ".")[1]
}

// message is the letter's original on its way into the log again, in the shard in which it was: there its worker knows what
// was stored.
func (l *Letter) message() schemas.Message {
	h := maps.Clone(l.Header)
	h[schemas.HeaderReplay] = l.ID.String()
	subject := l.Subject
	if rest, ok := strings.CutPrefix(subject, schemas.InPrefix); ok { // it had passed by the mappings
		subject = "feedback." + strconv.Itoa(l.ID.Shard) + "." + rest
	}
	return schemas.Message{Shard: l.ID.Shard, Subject: subject, Header: h, Data: l.Data}
}
