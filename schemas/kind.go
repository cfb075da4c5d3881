package schemas

import (
	"slices"
	"strings"
)

// Kind is the kind of an event: its CloudEvents type without an optional reverse-DNS prefix and without the version.
type Kind string

// The event kinds, by what happened.
const (
	FeedbackReceived       Kind = "feedback.received"        // a customer said something, on any channel
	RatingSubmitted        Kind = "rating.submitted"         // an answer on a scale
	SurveySent             Kind = "survey.sent"              // a question went out; the denominator of response rates
	MessagePosted          Kind = "message.posted"           // one message of a conversation, from either side
	FeedbackUpdated        Kind = "feedback.updated"         // a customer changed what had been said; it takes the place of that
	FeedbackDeleted        Kind = "feedback.deleted"         // a customer, or the channel, took back what had been said
	ReviewPublished        Kind = "review.published"         // a public review, with or without stars
	MentionSeen            Kind = "mention.seen"             // somebody spoke of the company in public
	CaseOpened             Kind = "case.opened"              // a case began
	CaseReopened           Kind = "case.reopened"            // a closed case began again
	AgentResponded         Kind = "agent.responded"          // the company answered
	DecisionProposed       Kind = "decision.proposed"        // the company proposes what to do
	DecisionAnswered       Kind = "decision.answered"        // the customer's verdict on the proposal
	DecisionMade           Kind = "decision.made"            // what will be done
	CaseResolved           Kind = "case.resolved"            // the case was closed
	CustomerInformed       Kind = "customer.informed"        // the customer was told the outcome
	FollowupRated          Kind = "followup.rated"           // the customer's rating after the case
	ImprovementShipped     Kind = "improvement.shipped"      // something was improved because of a theme
	CustomerUpdated        Kind = "customer.updated"         // facts about a customer changed
	CustomerChurned        Kind = "customer.churned"         // a customer left
	CustomerRetained       Kind = "customer.retained"        // a customer who might have left stayed
	LabelCorrected         Kind = "label.corrected"          // a person corrected a label
	CustomerEraseRequested Kind = "customer.erase.requested" // a customer asks to be forgotten
	CustomerEraseDone      Kind = "customer.erase.done"      // it was done
)

// Kinds that only rows have: what a row becomes when its event no longer counts. Figures leave both out.
const (
	Superseded Kind = "superseded" // another event has taken its place; its words are kept, for whoever asks what was there
	Erased     Kind = "erased"     // nothing is left but its place and its identity, by which it is known when it comes again
)

// KindSpec says what the data of one kind must hold.
type KindSpec struct {
	Kind     Kind
	Doc      string   // one sentence, used in the published JSON Schema
	Required []string // names of data fields that must be there
	AnyOf    []string // at least one of these must be there; empty: no such rule
	Text     bool     // the event carries words of a customer, to be classified
}

// Kinds lists every kind with its requirements, in the order of the contract.
func Kinds() []KindSpec { return slices.Clone(kinds) }

var kinds = []KindSpec{
	{Kind: FeedbackReceived, Doc: "A customer said something, on any channel.", Required: []string{"value_text"}, Text: true},
	{Kind: RatingSubmitted, Doc: "A customer answered a question on a scale.", Required: []string{"value_number"}, Text: true},
	{Kind: SurveySent, Doc: "A question was sent to a customer.", Required: []string{"field_id", "customer_id"}},
	{Kind: MessagePosted, Doc: "One message of a conversation, from the customer or from the company.", Required: []string{"value_text", "actor_kind", "conversation_id"}, Text: true},
	{Kind: FeedbackUpdated, Doc: "What was said before was changed: this takes the place of the event that event_ref names.", Required: []string{"event_ref"}, AnyOf: []string{"value_text", "value_number"}, Text: true},
	{Kind: FeedbackDeleted, Doc: "What was said before was taken back: the event that event_ref names counts no longer.", Required: []string{"event_ref"}},
	{Kind: ReviewPublished, Doc: "A public review, with words, stars or both.", AnyOf: []string{"value_text", "value_number"}, Text: true},
	{Kind: MentionSeen, Doc: "Somebody spoke of the company in public.", Required: []string{"value_text"}, Text: true},
	{Kind: CaseOpened, Doc: "A case began.", Required: []string{"case_id"}, Text: true},
	{Kind: CaseReopened, Doc: "A closed case began again.", Required: []string{"case_id"}, Text: true},
	{Kind: AgentResponded, Doc: "The company answered a customer.", Required: []string{"case_id", "actor_kind", "visibility"}, Text: true},
	{Kind: DecisionProposed, Doc: "The company proposes a decision on a case or a theme.", Required: []string{"decision_text"}, AnyOf: []string{"case_id", "theme_id"}},
	{Kind: DecisionAnswered, Doc: "The customer's own verdict on a proposed decision.", Required: []string{"verdict"}, AnyOf: []string{"case_id", "theme_id"}, Text: true},
	{Kind: DecisionMade, Doc: "A decision was made.", Required: []string{"outcome"}, AnyOf: []string{"case_id", "theme_id"}},
	{Kind: CaseResolved, Doc: "A case was closed.", Required: []string{"case_id", "resolution_code"}},
	{Kind: CustomerInformed, Doc: "The customer was told the outcome.", AnyOf: []string{"case_id", "theme_id"}},
	{Kind: FollowupRated, Doc: "The customer's rating after the case was closed.", Required: []string{"case_id", "value_number"}, Text: true},
	{Kind: ImprovementShipped, Doc: "Something was improved because of a theme.", Required: []string{"theme_id"}},
	{Kind: CustomerUpdated, Doc: "Facts about a customer changed.", Required: []string{"customer_id"}},
	{Kind: CustomerChurned, Doc: "A customer left.", Required: []string{"customer_id"}},
	{Kind: CustomerRetained, Doc: "A customer who might have left stayed.", Required: []string{"customer_id"}},
	{Kind: LabelCorrected, Doc: "A person corrected a label that the classifier gave.", Required: []string{"event_ref", "axis", "new_value"}},
	{Kind: CustomerEraseRequested, Doc: "A customer asks to be forgotten.", Required: []string{"customer_id"}},
	{Kind: CustomerEraseDone, Doc: "A customer was forgotten; it does not say who."},
}

// typeVersion ends every CloudEvents type of this contract.
const typeVersion = ".v1"

// Type returns the CloudEvents type of the kind, such as "feedback.received.v1".
func (k Kind) Type() string { return string(k) + typeVersion }

// Spec returns the requirements of the kind; ok is false for a kind that the contract does not list.
func (k Kind) Spec() (spec KindSpec, ok bool) {
	for i := range kinds {
		if kinds[i].Kind == k {
			return kinds[i], true
		}
	}
	return KindSpec{}, false
}

// ParseType reads a CloudEvents type, with or without a reverse-DNS prefix ("com.acme.feedback.received.v1").
func ParseType(t string) (Kind, bool) {
	name, ok := strings.CutSuffix(t, typeVersion)
	if !ok {
		return "", false
	}
	for i := range kinds {
		if string(kinds[i].Kind) == name {
			return kinds[i].Kind, true
		}
	}
	for i := range kinds {
		prefix, ok := strings.CutSuffix(name, string(kinds[i].Kind))
		if ok && strings.HasSuffix(prefix, ".") && isDomain(prefix[:len(prefix)-1]) {
			return kinds[i].Kind, true
		}
	}
	return "", false
}

// isDomain holds for labels of letters, digits and '-', joined by dots.
func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r >= 0x80 || r == '_' || !tokenByte(byte(r))
		}) {
			return false
		}
	}
	return true
}
