package schemas

import (
	"strconv"
	"strings"
)

// LetterID names a dead letter for ever: it is the place of its original in the log. A delivery of an alert has no place
// there; its letter is named by [AlertShard], the epoch [AlertEpoch] and its sequence in DEADLETTERS.
type LetterID struct {
	Epoch string // of the shard's stream
	Shard int
	Seq   uint64
}

// What stands in the place of a shard and an epoch in the names of letters that are deliveries of alerts.
const (
	AlertShard = -1
	AlertEpoch = "outbox"
	alertShard = "alerts" // as it is written
)

// shard is the shard as it is written in names and subjects.
func (id LetterID) shard() string {
	if id.Shard == AlertShard {
		return alertShard
	}
	return strconv.Itoa(id.Shard)
}

// String is the form in which a letter bears its name, in the header [HeaderOutcomeID]: epoch-shard-sequence.
func (id LetterID) String() string {
	return id.Epoch + "-" + id.shard() + "-" + strconv.FormatUint(id.Seq, 10)
}

// Short is the name without the epoch, for people: shard-sequence. It is unambiguous as long as the log was never made anew.
func (id LetterID) Short() string {
	return id.shard() + "-" + strconv.FormatUint(id.Seq, 10)
}

// ParseLetterID reads either form; without an epoch, Epoch is empty.
func ParseLetterID(s string) (id LetterID, ok bool) {
	rest, seq, ok := cutLast(s)
	if !ok {
		return id, false
	}
	shard := rest
	if epoch, last, found := cutLast(rest); found {
		id.Epoch, shard = epoch, last
	}
	var err1, err2 error
	id.Seq, err2 = strconv.ParseUint(seq, 10, 64)
	if shard == alertShard {
		id.Shard = AlertShard
		return id, err2 == nil && id.Seq > 0
	}
	id.Shard, err1 = strconv.Atoi(shard)
	return id, err1 == nil && err2 == nil && id.Shard >= 0 && id.Seq > 0
}

func cutLast(s string) (before, after string, ok bool) {
	at := strings.LastIndexByte(s, '-')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// Entry is a message that is to be stored only if the newest one of its subject is still the one expected.
type Entry struct {
	Subject string
	Expect  uint64 // sequence of the subject's newest message; 0: there is none
	Data    []byte
}
