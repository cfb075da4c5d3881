package schemas

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// fieldType is how a field of data looks in JSON.
type fieldType uint8

const (
	textField     fieldType = iota // string, at most max characters
	enumField                      // string, one of values (after aliases)
	numberField                    // finite number within lo … hi
	booleanField                   // true or false
	dateField                      // string, RFC 3339 date or date-time
	timeField                      // string, RFC 3339 date-time
	uriField                       // string, absolute http or https URI
	consentField                   // object of two booleans
	metadataField                  // object, bounded in bytes
	attachField                    // array of {uri, mime, sha256}
)

// field describes one member of data: what it may hold and where it goes. The published JSON Schemas are generated from
// the same table, so that what is published is what is checked.
type field struct {
	name   string
	typ    fieldType
	max    int               // characters of text; 0: MaxIDLength
	values []string          // of an enum
	alias  map[string]string // other spellings of an enum's values
	lo, hi float64           // of a number
	doc    string
	text   func(*Data) *string
	number func(*Data) **float64
	flag   func(*Data) **bool
}

func (f *field) limit() int {
	if f.max == 0 {
		return MaxIDLength
	}
	return f.max
}

var stageAlias = map[string]string{"pre_sale": "presale", "pre-sale": "presale", "after_sale": "aftersale", "after-sale": "aftersale"}

const anyNumber = math.MaxFloat64

// fields is the table of data's members in the order of the published contract.
var fields = []field{
	{name: "channel", typ: enumField, values: Channels(), doc: "Where the feedback came from.", text: func(d *Data) *string { return &d.Channel }},
	{name: "source_id", doc: "The producer's id of the source, such as a survey.", text: func(d *Data) *string { return &d.SourceID }},
	{name: "source_name", doc: "The source's name.", text: func(d *Data) *string { return &d.SourceName }},
	{name: "submission_id", doc: "Groups the events of one submission.", text: func(d *Data) *string { return &d.SubmissionID }},
	{name: "field_id", doc: "The question's id.", text: func(d *Data) *string { return &d.FieldID }},
	{name: "field_label", max: 1000, doc: "The question's label.", text: func(d *Data) *string { return &d.FieldLabel }},
	{name: "field_type", typ: enumField, values: []string{"text", "categorical", "nps", "csat", "ces", "rating", "number", "boolean", "date"}, doc: "How the answer is to be read.", text: func(d *Data) *string { return &d.FieldType }},
	{name: "field_group_id", doc: "The question group's id.", text: func(d *Data) *string { return &d.FieldGroupID }},
	{name: "field_group_label", max: 1000, doc: "The question group's label.", text: func(d *Data) *string { return &d.FieldGroupLabel }},
	{name: "value_text", max: MaxTextLength, doc: "What the customer said, in the customer's words.", text: func(d *Data) *string { return &d.Text }},
	{name: "value_id", doc: "The id of a chosen answer.", text: func(d *Data) *string { return &d.ValueID }},
	{name: "value_number", typ: numberField, lo: -anyNumber, hi: anyNumber, doc: "The number the customer gave.", number: func(d *Data) **float64 { return &d.Number }},
	{name: "value_boolean", typ: booleanField, doc: "The yes or no the customer gave.", flag: func(d *Data) **bool { return &d.Boolean }},
	{name: "value_date", typ: dateField, doc: "The date the customer gave.", text: func(d *Data) *string { return &d.Date }},
	{name: "scale_min", typ: numberField, lo: -1000, hi: 1000, doc: "Lowest answer of the scale.", number: func(d *Data) **float64 { return &d.ScaleMin }},
	{name: "scale_max", typ: numberField, lo: -1000, hi: 1000, doc: "Highest answer of the scale.", number: func(d *Data) **float64 { return &d.ScaleMax }},
	{name: "scale_dir", typ: enumField, values: []string{"higher_better", "lower_better"}, doc: "Which end of the scale is the good one; default higher_better.", text: func(d *Data) *string { return &d.ScaleDir }},
	{name: "question_text", max: 5000, doc: "The question that was asked; an answer's meaning depends on it.", text: func(d *Data) *string { return &d.QuestionText }},
	{name: "language", max: 35, doc: "BCP 47 tag of value_text.", text: func(d *Data) *string { return &d.Language }},
	{name: "customer_id", doc: "The customer as the producer knows them; stored only as a keyed hash.", text: func(d *Data) *string { return &d.CustomerID }},
	{name: "account_id", doc: "The customer's account or company.", text: func(d *Data) *string { return &d.AccountID }},
	{name: "customer_segment", doc: "The customer's segment.", text: func(d *Data) *string { return &d.CustomerSegment }},
	{name: "customer_since", typ: dateField, doc: "Since when they have been a customer.", text: func(d *Data) *string { return &d.CustomerSince }},
	{name: "customer_value", typ: numberField, lo: -1e15, hi: 1e15, doc: "What the customer is worth, in the tenant's currency.", number: func(d *Data) **float64 { return &d.CustomerValue }},
	{name: "product_id", doc: "The goods spoken of.", text: func(d *Data) *string { return &d.ProductID }},
	{name: "order_id", doc: "The order spoken of.", text: func(d *Data) *string { return &d.OrderID }},
	{name: "touchpoint", doc: "Where on the journey it was said.", text: func(d *Data) *string { return &d.Touchpoint }},
	{name: "stage_hint", typ: enumField, values: []string{"presale", "sale", "aftersale"}, alias: stageAlias, doc: "The producer's own word on the stage.", text: func(d *Data) *string { return &d.StageHint }},
	{name: "element_hint", typ: enumField, values: []string{"product", "service", "image"}, doc: "The producer's own word on the element.", text: func(d *Data) *string { return (*string)(&d.ElementHint) }},
	{name: "s5_hint", typ: enumField, values: []string{"smile", "speed", "sincerity", "smart", "study"}, doc: "The producer's own word on the virtue of service.", text: func(d *Data) *string { return (*string)(&d.S5Hint) }},
	{name: "uri", typ: uriField, max: 2048, doc: "Where the review or mention can be seen.", text: func(d *Data) *string { return &d.URI }},
	{name: "audience_size", typ: numberField, lo: 0, hi: 1e12, doc: "How many people could see the mention.", number: func(d *Data) **float64 { return &d.Audience }},
	{name: "case_id", doc: "The case this belongs to.", text: func(d *Data) *string { return &d.CaseID }},
	{name: "conversation_id", doc: "The conversation this belongs to.", text: func(d *Data) *string { return &d.ConversationID }},
	{name: "in_reply_to", doc: "The message this answers.", text: func(d *Data) *string { return &d.InReplyTo }},
	{name: "agent_id", doc: "Who answered for the company.", text: func(d *Data) *string { return &d.AgentID }},
	{name: "team_id", doc: "The team that answered.", text: func(d *Data) *string { return &d.TeamID }},
	{name: "actor_kind", typ: enumField, values: []string{"customer", "agent", "bot", "system"}, doc: "Who spoke; default customer.", text: func(d *Data) *string { return &d.ActorKind }},
	{name: "visibility", typ: enumField, values: []string{"public", "internal"}, doc: "Whether the customer could see it; default public. Internal notes never count as an answer.", text: func(d *Data) *string { return &d.Visibility }},
	{name: "consent", typ: consentField, doc: "What the customer agreed to."},
	{name: "pii_state", typ: enumField, values: []string{"raw", "redacted", "none"}, doc: "Whether personal data is still in the text; default raw.", text: func(d *Data) *string { return &d.PIIState }},
	{name: "decision_text", max: 5000, doc: "The decision in words.", text: func(d *Data) *string { return &d.DecisionText }},
	{name: "theme_id", doc: "The theme spoken of.", text: func(d *Data) *string { return &d.ThemeID }},
	{name: "verdict", typ: enumField, values: []string{"agree", "disagree", "counter"}, doc: "The customer's verdict on a decision.", text: func(d *Data) *string { return &d.Verdict }},
	{name: "outcome", typ: enumField, values: []string{"fix", "refund", "replace", "explain", "improve", "decline"}, doc: "What was decided.", text: func(d *Data) *string { return &d.Outcome }},
	{name: "promise_due", typ: timeField, doc: "Until when it was promised.", text: func(d *Data) *string { return &d.PromiseDue }},
	{name: "resolution_code", doc: "How the case was closed.", text: func(d *Data) *string { return &d.ResolutionCode }},
	{name: "event_ref", max: 2*MaxIDLength + 1, doc: "source#id of the event whose label is corrected, or that is changed or taken back.", text: func(d *Data) *string { return &d.EventRef }},
	{name: "axis", doc: "The label that is corrected.", text: func(d *Data) *string { return &d.Axis }},
	{name: "new_value", max: 1000, doc: "The corrected label.", text: func(d *Data) *string { return &d.NewValue }},
	{name: "attachments", typ: attachField, doc: "Files, by link; never inline."},
	{name: "metadata", typ: metadataField, doc: "Whatever else the producer wants kept."},
}

// fieldByName finds a field; it is built once and never written again.
var fieldByName = func() map[string]*field {
	m := make(map[string]*field, len(fields))
	for i := range fields {
		m[fields[i].name] = &fields[i]
	}
	return m
}()

// FieldSpec describes one member of data, for pages and forms that must name them all.
type FieldSpec struct {
	Name string // as in JSON
	Type string // of its JSON value: string, number, boolean, object or array
	Doc  string // one sentence
}

// Fields lists the members of data in the order of the published contract.
func Fields() []FieldSpec {
	out := make([]FieldSpec, len(fields))
	for i := range fields {
		out[i] = FieldSpec{Name: fields[i].name, Type: fields[i].typ.json(), Doc: fields[i].doc}
	}
	return out
}

func (t fieldType) json() string {
	switch t {
	case numberField:
		return "number"
	case booleanField:
		return "boolean"
	case consentField, metadataField:
		return "object"
	case attachField:
		return "array"
	}
	return "string"
}

// checkText reports what is wrong with a string field, without its path, and returns the value to keep.
func (f *field) checkText(s string) (string, *Problem) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return "", &Problem{Value: quote(s), Bound: "no U+0000", Detail: fmt.Sprintf("holds a NUL at byte %d; send text, not bytes", i), Reason: ReasonSchema}
	}
	switch f.typ {
	case enumField:
		if v, ok := f.alias[s]; ok {
			s = v
		}
		for _, v := range f.values {
			if v == s {
				return v, nil
			}
		}
		return "", &Problem{Value: quote(s), Bound: strings.Join(f.values, ", "), Detail: "is not a known value", Reason: ReasonSchema}
	case dateField, timeField:
		if !validDate(s, f.typ == dateField) {
			return "", &Problem{Value: quote(s), Bound: "RFC 3339, such as 2026-11-20T08:31:07Z", Detail: "is not a date", Reason: ReasonSchema}
		}
	case uriField:
		if !isLink(s) {
			return "", &Problem{Value: quote(s), Bound: "an absolute http or https URI", Detail: "is not a link", Reason: ReasonSchema}
		}
	}
	if len(s) > f.limit() {
		if n := utf8.RuneCountInString(s); n > f.limit() {
			return "", &Problem{Value: fmt.Sprintf("%d characters", n), Bound: fmt.Sprintf("at most %d characters", f.limit()), Detail: "is too long", Reason: ReasonTooLarge}
		}
	}
	return s, nil
}

// isLink holds for an absolute http or https URI with a host.
func isLink(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	return ok && rest != "" && rest[0] != '/' && !strings.ContainsFunc(rest, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == '"'
	})
}
