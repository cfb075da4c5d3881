package schemas

import (
	"encoding/json"
	"time"
)

// Event is one CloudEvent of the contract, decoded and checked. Its zero fields mean "not given".
type Event struct {
	ID          string    // the source system's own id of the occurrence; with Tenant and Source its identity
	Source      string    // URI reference, such as /zendesk/acme
	Type        string    // as sent, such as feedback.received.v1
	Kind        Kind      // parsed from Type
	Subject     string    // pseudonymous customer key, if the producer has one
	Time        time.Time // when it happened, UTC, milliseconds
	Tenant      string    // whose customers these are
	Correlation string    // case or conversation
	Causation   string    // source#id of the event this one answers
	TraceParent string    // W3C trace context
	Data        Data
}

// Data holds the fields that all kinds share; which are required depends on the kind (see [Kinds]).
type Data struct {
	Channel         string // one of [Channels]; "other" where not given
	SourceID        string
	SourceName      string
	SubmissionID    string // groups the events of one submission
	FieldID         string
	FieldLabel      string
	FieldType       string // text, categorical, nps, csat, ces, rating, number, boolean, date
	FieldGroupID    string
	FieldGroupLabel string

	Text         string // value_text
	ValueID      string
	Number       *float64 // value_number
	Boolean      *bool
	Date         string // value_date, RFC 3339 date or date-time
	ScaleMin     *float64
	ScaleMax     *float64
	ScaleDir     string // higher_better (default) or lower_better
	QuestionText string
	Language     string // BCP 47, as given by the channel

	CustomerID      string // as the producer knows the customer; never stored in the clear
	AccountID       string
	CustomerSegment string
	CustomerSince   string
	CustomerValue   *float64

	ProductID   string
	OrderID     string
	Touchpoint  string
	StageHint   string // presale, sale, aftersale
	ElementHint Element
	S5Hint      S5
	URI         string
	Audience    *float64 // audience_size

	CaseID         string
	ConversationID string
	InReplyTo      string
	AgentID        string
	TeamID         string
	ActorKind      string // customer (default), agent, bot, system
	Visibility     string // public (default) or internal

	ConsentAnalytics *bool
	ConsentContact   *bool
	PIIState         string // raw (default), redacted, none

	DecisionText   string
	ThemeID        string
	Verdict        string // agree, disagree, counter
	Outcome        string // fix, refund, replace, explain, improve, decline
	PromiseDue     string // RFC 3339
	ResolutionCode string
	EventRef       string // source#id of the event whose label is corrected, or that is changed or taken back
	Axis           string // the label that is corrected
	NewValue       string

	Attachments json.RawMessage // array of {uri, mime, sha256}
	Metadata    json.RawMessage // object, at most 8 KiB
	Extra       json.RawMessage // members of data this contract does not know, kept as they came; object, at most 8 KiB
}

// Customer returns the producer's own name of the customer: customer_id, else the subject, else "" (unknown).
func (e *Event) Customer() string {
	if e.Data.CustomerID != "" {
		return e.Data.CustomerID
	}
	return e.Subject
}

// Limits of the contract. They hold for every way in.
const (
	MaxIDLength      = 255       // characters of id, source and tenantid
	MaxTextLength    = 30_000    // characters of value_text
	MaxMetadataBytes = 8 << 10   // bytes of metadata, and of all unknown members together
	MaxEventBytes    = 256 << 10 // bytes of one encoded event
	MaxDepth         = 32        // nesting of JSON
	MaxAttachments   = 32
	MaxProblems      = 32 // faults reported for one event; the rest is counted
)

// MaxSkew is how far into the future of its receipt an event may say it happened.
const MaxSkew = 5 * time.Minute
