package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CloudEvents types by which INSIGHTS announces that an alert began and that it is over.
const (
	AlertRaisedType   = "alert.raised.v1"
	AlertResolvedType = "alert.resolved.v1"
)

// AlertJournal is the subject of OUTCOMES that holds the state of all alerts. It lies among the checkpoints, since it is
// one: the newest message counts, and it never expires.
const AlertJournal = CheckpointPrefix + "alerts"

// Severity says how urgently a person is called.
type Severity string

// The three severities, in words that receivers of alerts know.
const (
	Critical Severity = "critical" // now
	Warning  Severity = "warning"  // today
	Info     Severity = "info"     // whenever somebody looks
)

// Severities lists the severities, the most urgent first.
func Severities() []Severity { return []Severity{Critical, Warning, Info} }

// Alert is what a person is called for: something unusual in one cell, from when it was raised until it is over.
type Alert struct {
	ID          string            `json:"id"` // the same for ever for the same rule, cell and moment
	Rule        string            `json:"rule"`
	Severity    Severity          `json:"severity"`
	Cell        map[string]string `json:"cell"`                  // dimension to value, such as channel to app; tenant is always there
	Labels      map[string]string `json:"labels,omitempty"`      // of the rule
	Annotations map[string]string `json:"annotations,omitempty"` // of the rule

	Detector    string    `json:"detector"`
	Reason      string    `json:"reason"`
	Window      Seconds   `json:"window_seconds"`
	Observed    float64   `json:"observed"`    // different customers, or what the rule measures
	Expected    float64   `json:"expected"`    // the same, as usual; 0: not known
	Limit       float64   `json:"limit"`       // fixed number that was reached; 0: none
	Probability float64   `json:"probability"` // of such a reading by chance; 1: not known
	Total       int       `json:"total"`       // different customers who spoke in the window
	Since       time.Time `json:"since"`       // when the first of those counted spoke
	RaisedAt    time.Time `json:"raised_at"`
	ResolvedAt  time.Time `json:"resolved_at,omitzero"` // zero: still open

	Customers int               `json:"customers"`         // different customers with something negative
	Unnamed   int               `json:"unnamed,omitempty"` // of these, without a name: they may be fewer people
	TopTheme  string            `json:"top_theme,omitempty"`
	Quotes    []AlertQuote      `json:"quotes,omitempty"`
	Links     map[string]string `json:"links,omitempty"` // what to open: dashboard, query

	AckedBy string    `json:"acked_by,omitempty"`
	AckedAt time.Time `json:"acked_at,omitzero"`
}

// AlertQuote is what one customer said.
type AlertQuote struct {
	Text    string `json:"text"` // redacted and shortened
	EventID string `json:"event_id"`
}

// Unquote takes the quotes of the events out and says whether there were any.
func (a *Alert) Unquote(ids map[EventID]struct{}) bool {
	n := len(a.Quotes)
	a.Quotes = slices.DeleteFunc(a.Quotes, func(q AlertQuote) bool {
		for id := range ids {
			if q.EventID == id.String() {
				return true
			}
		}
		return false
	})
	return len(a.Quotes) < n
}

// Seconds is a duration that is written as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes the seconds.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON reads seconds.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// CellKey names a cell of a rule: the rule and the cell's dimensions in alphabetical order.
func CellKey(rule string, cell map[string]string) string {
	parts := make([]string, 0, len(cell)+1)
	for k, v := range cell {
		parts = append(parts, fmt.Sprintf("%s=%q", k, v))
	}
	slices.Sort(parts)
	return rule + "{" + strings.Join(parts, ",") + "}"
}

// AlertID is the id of the alert that a rule raises for a cell at a moment: a hash, cut to 128 bits.
func AlertID(rule string, cell map[string]string, raised time.Time) string {
	sum := sha256.Sum256([]byte(CellKey(rule, cell) + "@" + raised.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:16])
}

// Fingerprint names the alert's cell for receivers that keep one incident for each: it is the same every time the cell
// fires.
func (a *Alert) Fingerprint() string {
	sum := sha256.Sum256([]byte(CellKey(a.Rule, a.Cell)))
	return hex.EncodeToString(sum[:8])
}

// Resolved says whether the alert is over.
func (a *Alert) Resolved() bool { return !a.ResolvedAt.IsZero() }

// Summary says in one line what is unusual and where.
func (a *Alert) Summary() string {
	var where []string
	for k, v := range a.Cell {
		if k != "tenant" && v != "" {
			where = append(where, k+" "+v)
		}
	}
	slices.Sort(where)
	at := strings.Join(where, ", ")
	if at == "" {
		at = "all channels"
	}
	what := fmt.Sprintf("%s: %g customers in %s", a.Rule, a.Observed, shortDuration(time.Duration(a.Window)))
	switch {
	case a.Expected > 0:
		what += fmt.Sprintf(", expected %.3g", a.Expected)
	case a.Limit > 0:
		what += fmt.Sprintf(", limit %g", a.Limit)
	}
	return fmt.Sprintf("%s (%s, %s)", what, a.Cell["tenant"], at)
}

// shortDuration is 15m where Go says 15m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Outcome is the announcement of the alert as it is now: raised, or resolved if it is over.
func (a *Alert) Outcome() Outcome {
	kind, word, at := AlertRaisedType, "alert_raised", a.RaisedAt
	if a.Resolved() {
		kind, word, at = AlertResolvedType, "alert_resolved", a.ResolvedAt
	}
	id := a.ID + "-" + word
	body, err := json.Marshal(struct {
		SpecVersion string    `json:"specversion"`
		ID          string    `json:"id"`
		Source      string    `json:"source"`
		Type        string    `json:"type"`
		Time        time.Time `json:"time"`
		TenantID    string    `json:"tenantid"`
		ContentType string    `json:"datacontenttype"`
		Data        *Alert    `json:"data"`
	}{"1.0", id, "/earshot/alerts", kind, at, a.Cell["tenant"], "application/json", a})
	if err != nil { // every field is a plain string, a finite number or a map of strings
		panic(fmt.Sprintf("encode alert %s: %v", a.ID, err))
	}
	return Outcome{
		Subject: InsightSubject(a.Cell["tenant"], a.Cell["channel"], Intent(word)), ID: id, Data: body,
		Header: map[string]string{HeaderContentType: ContentTypeEvent},
	}
}
