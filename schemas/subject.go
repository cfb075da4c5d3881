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
	DispositionsStream   = "DISPOSITIONS" // what was decided about each dead letter
)

// Subject spaces. Adapters publish below InPrefix and may publish nowhere else.
const (
	InPrefix         = "feedback.in."
	InsightSubjects  = "insight.>"
	DeadSubjects     = "dead.>"
	PlanSubjects     = "plan.*"
	CheckpointPrefix = "checkpoint."
	PlanPrefix       = "plan."

	DispositionSubjects = "disposition.>"
	// GenerationsSubject is where the one record of generations is kept, beside the checkpoints of the shards.
	GenerationsSubject = CheckpointPrefix + "generations"
)

// Headers of messages in the log and of dead letters.
const (
	HeaderContentType = "content-type"     // ContentTypeEvent: structured mode; anything else with ce-id: binary mode
	HeaderReason      = "Earshot-Reason"   // of a dead letter
	HeaderStream      = "Earshot-Stream"   // of a dead letter: where the original is
	HeaderSequence    = "Earshot-Sequence" // of a dead letter: its sequence there
	HeaderDetail      = "Earshot-Detail"   // of a dead letter: what is wrong, one line
	HeaderSubject     = "Earshot-Subject"  // of a dead letter: the subject the original was stored under
	HeaderCode        = "Earshot-Code"     // of a dead letter that ClickHouse refused: its error code
	HeaderReceived    = "Earshot-Received" // of a dead letter: when the log received the original, RFC 3339
	HeaderReplay      = "Earshot-Replay"   // of an event in the log: the [LetterID] of the dead letter that it was
	HeaderEventID     = "Earshot-Event-Id" // of an insight: [EventID]
	HeaderOutcomeID   = "Earshot-Outcome-Id"
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

// SubjectNames reads tenant and channel from a subject under which the log stores an event, or on which an adapter
// publishes one; both are empty where it is neither. A name of more than 100 bytes is the hash that stands for it.
func SubjectNames(subject string) (tenant, channel string) {
	tokens := strings.SplitN(subject, ".", 5)
	if len(tokens) < 4 || tokens[0] != "feedback" {
		return "", ""
	}
	return PercentDecode(tokens[2]), PercentDecode(tokens[3])
}

// Misplaced says in what an event differs from the subject it was published on: tenant, channel or kind. The broker decides
// by the subject who may publish what, so an event that is something else than its subject says has got round that. A
// subject that is none of an event is not judged.
func (e *Event) Misplaced(subject string) (ps Problems) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 5 || tokens[0] != "feedback" {
		return nil
	}
	kind := tokens[4:]
	if tokens[1]+"." == InPrefix[len("feedback."):] {
		kind = kind[:len(kind)-1] // the key, of which a shard is made
	}
	differs := func(field, value, bound string) {
		ps = append(ps, Problem{Field: field, Value: shorten(value), Bound: bound, Detail: "is not what the subject says on which the event was published", Reason: ReasonSchema})
	}
	if Token(e.Tenant) != tokens[2] {
		differs("tenantid", e.Tenant, tokens[2])
	}
	if Token(e.Data.Channel) != tokens[3] {
		differs("data.channel", e.Data.Channel, tokens[3])
	}
	if said := strings.Join(kind, "."); !strings.HasPrefix(said+".", string(e.Kind)+".") { // a version may follow
		differs("type", string(e.Kind), said)
	}
	return ps
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

// DeadSubject is where a dead letter of a shard goes, or of the alerts ([AlertShard]).
func DeadSubject(shard int, reason Reason) string {
	return "dead." + LetterID{Shard: shard}.shard() + "." + Token(string(reason))
}

// DispositionSubject is where it is kept what was decided about a dead letter.
func DispositionSubject(id LetterID) string {
	return "disposition." + id.shard() + "." + Token(id.Epoch) + "." + strconv.FormatUint(id.Seq, 10)
}
