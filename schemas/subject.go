package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// Names of streams. FEEDBACK_<shard> is the log; OUTCOMES holds what the workers commit, in one stream because an atomic
// batch cannot span two; INSIGHTS and DEADLETTERS are sourced from OUTCOMES, each with a retention of its own.
const (
	FeedbackStreamPrefix = "FEEDBACK_"
	OutcomesStream       = "OUTCOMES"
	InsightsStream       = "INSIGHTS"
	DeadLettersStream    = "DEADLETTERS"
)

// Subject spaces. Adapters publish below InPrefix and may publish nowhere else.
const (
	InPrefix         = "feedback.in."
	InsightSubjects  = "insight.>"
	DeadSubjects     = "dead.>"
	PlanSubjects     = "plan.*"
	CheckpointPrefix = "checkpoint."
	PlanPrefix       = "plan."
)

// Headers of messages in the log and of dead letters.
const (
	HeaderContentType = "content-type"     // ContentTypeEvent: structured mode; anything else with ce-id: binary mode
	HeaderReason      = "Earshot-Reason"   // of a dead letter
	HeaderStream      = "Earshot-Stream"   // of a dead letter: where the original is
	HeaderSequence    = "Earshot-Sequence" // of a dead letter: its sequence there
	HeaderDetail      = "Earshot-Detail"   // of a dead letter: what is wrong, one line
	HeaderSubject     = "Earshot-Subject"  // of a dead letter: the subject the original was stored under
	HeaderEventID     = "Earshot-Event-Id" // of an insight: [EventID]
	ContentTypeEvent  = "application/cloudevents+json"
	ContentTypeBatch  = "application/cloudevents-batch+json"
	EpochKey          = "earshot-epoch" // stream metadata: a random name given when the stream was created
)

// FeedbackStream names the stream of a shard.
func FeedbackStream(shard int) string { return FeedbackStreamPrefix + strconv.Itoa(shard) }

// FeedbackSubjects are the subjects the stream of a shard stores. Shard 0 also takes what a server without the subject
// mapping leaves unmapped, so that nothing an adapter publishes is lost.
func FeedbackSubjects(shard int) []string {
	own := fmt.Sprintf("feedback.%d.>", shard)
	if shard == 0 {
		return []string{own, InPrefix + ">"}
	}
	return []string{own}
}

// Mapping is one server-side subject mapping.
type Mapping struct{ From, To string }

// Mappings are the mappings that place adapters' events on shards. A kind may be one token or hold dots, up to three.
func Mappings(shards int) []Mapping {
	out := make([]Mapping, 0, 3)
	for kindTokens := 1; kindTokens <= 3; kindTokens++ {
		key := 2 + kindTokens + 1 // tenant, channel, kind…, key
		from := strings.Repeat(".*", key)
		var to strings.Builder
		fmt.Fprintf(&to, "feedback.{{partition(%d,%d)}}", shards, key)
		for i := 1; i < key; i++ {
			fmt.Fprintf(&to, ".{{wildcard(%d)}}", i)
		}
		out = append(out, Mapping{From: "feedback.in" + from, To: to.String()})
	}
	return out
}

// InSubject is the subject an adapter publishes the event on.
func (e *Event) InSubject() string {
	return InPrefix + Token(e.Tenant) + "." + Token(e.Data.Channel) + "." + string(e.Kind) + "." + e.PartitionKey()
}

// LogSubject is the subject under which the log stores the event in its shard: bounded in number, no customer in it.
func (e *Event) LogSubject(shard int) string {
	return "feedback." + strconv.Itoa(shard) + "." + Token(e.Tenant) + "." + Token(e.Data.Channel) + "." + string(e.Kind)
}

// Token makes a subject token of any string: letters, digits, '-' and '_' stay, every other byte becomes %XX, the empty
// string becomes "%". What would be longer than 100 bytes is replaced by a hash, since subjects are bounded.
func Token(s string) string {
	if s == "" {
		return "%"
	}
	plain := true
	for i := 0; i < len(s); i++ {
		if !tokenByte(s[i]) {
			plain = false
			break
		}
	}
	if plain && len(s) <= 100 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if tokenByte(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	if b.Len() > 100 {
		return "%" + KeyToken("token", s)
	}
	return b.String()
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// PlanSubject and CheckpointSubject are where a shard's worker keeps its ledger.
func PlanSubject(shard int) string { return PlanPrefix + strconv.Itoa(shard) }

// CheckpointSubject is the subject of the shard's checkpoint.
func CheckpointSubject(shard int) string { return CheckpointPrefix + strconv.Itoa(shard) }

// InsightSubject is where a row that needs a person's attention is announced.
func InsightSubject(tenant, channel string, intent Intent) string {
	return "insight." + Token(tenant) + "." + Token(channel) + "." + Token(string(intent))
}

// DeadSubject is where a dead letter of a shard goes.
func DeadSubject(shard int, reason Reason) string {
	return "dead." + strconv.Itoa(shard) + "." + Token(string(reason))
}
