package schemas

import (
	"fmt"
	"strings"
)

// Reason is a machine-readable cause for which an event becomes a dead letter. It is a subject token of the dead letter.
type Reason string

// The reasons.
const (
	ReasonParse          Reason = "parse_error"        // not JSON, not a CloudEvent, not UTF-8
	ReasonSchema         Reason = "schema_mismatch"    // JSON, but against the contract
	ReasonTooLarge       Reason = "too_large"          // over a size bound
	ReasonTenant         Reason = "tenant_unknown"     // names a tenant that does not exist
	ReasonSink           Reason = "sink_rejection"     // ClickHouse refused the row
	ReasonRetryExhausted Reason = "retry_exhausted"    // an outside delivery gave up
	ReasonPanic          Reason = "processor_panic"    // a processor panicked on it
	ReasonBudget         Reason = "processor_overtime" // a processor took longer than its budget
	ReasonErased         Reason = "erased_customer"    // its customer was erased
)

// Reasons lists every reason, for pages and metrics that must name them all.
func Reasons() []Reason {
	return []Reason{ReasonParse, ReasonSchema, ReasonTooLarge, ReasonTenant, ReasonSink, ReasonRetryExhausted,
		ReasonPanic, ReasonBudget, ReasonErased}
}

// Problem is one fault of one event: which field, what it held, what it should have held.
type Problem struct {
	Field  string `json:"field"`           // path, such as "data.value_number"; empty: the whole event
	Value  string `json:"value,omitempty"` // what was found, shortened to 64 characters
	Bound  string `json:"bound,omitempty"` // what is allowed, such as "at most 30000 characters"
	Detail string `json:"detail"`          // one sentence
	Reason Reason `json:"reason"`
}

// String is the problem as one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Field != "" {
		b.WriteString(p.Field)
		b.WriteString(": ")
	}
	b.WriteString(p.Detail)
	if p.Value != "" {
		fmt.Fprintf(&b, " (found %s)", p.Value)
	}
	if p.Bound != "" {
		fmt.Fprintf(&b, " (allowed: %s)", p.Bound)
	}
	return b.String()
}

// Problems are all faults of one event. It is an error; a nil or empty Problems means the event is good.
type Problems []Problem

// Error lists the problems, one after the other.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// Reason is the reason of the gravest problem: a parse error before a size before the schema.
func (ps Problems) Reason() Reason {
	worst := ReasonSchema
	for _, p := range ps {
		switch p.Reason {
		case ReasonParse:
			return ReasonParse
		case ReasonTooLarge:
			worst = ReasonTooLarge
		}
	}
	return worst
}

// maxShown is how many characters of a value a Problem shows, so that a fault never carries a whole text along.
const maxShown = 64

// quote shows a string, in quotes, cut at a character boundary.
func quote(s string) string {
	if cut := shorten(s); len(cut) < len(s) {
		return fmt.Sprintf("%q… of %d bytes", cut, len(s))
	}
	return fmt.Sprintf("%q", s)
}

// show shows JSON as it was written, cut at a character boundary.
func show(raw string) string {
	if cut := shorten(raw); len(cut) < len(raw) {
		return fmt.Sprintf("%s… of %d bytes", cut, len(raw))
	}
	return raw
}

func shorten(s string) string {
	n := 0
	for i := range s {
		if n == maxShown {
			return s[:i]
		}
		n++
	}
	return s
}
