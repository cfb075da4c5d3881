package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Notification is what a receiver is told.
type Notification struct {
	Alert schemas.Alert // with ResolvedAt set: it is over
	Key   string        // the same at every attempt to tell this receiver the same
	Now   time.Time
	Acked bool // what is told is that somebody looks after it
	Again bool // it may have been told already
}

// Receiver tells one other side of alerts. Telling it again under the same key does no harm where the other side knows
// keys; see [Traits].
type Receiver interface {
	// Name is the receiver's name in the configuration.
	Name() string
	// Traits says what the other side knows and wants.
	Traits() Traits
	// Deliver makes one attempt; nil: the other side has it. The error is an [Error].
	Deliver(ctx context.Context, n Notification) error
}

// Traits are what those who keep an outbox have to know of a receiver.
type Traits struct {
	Refreshes bool // it forgets an alert that goes on, unless told again every [Refresh]
	Listens   bool // it wants to know that somebody looks after an alert
	Forgetful bool // it cannot tell a repetition from news: a repetition says of itself that it may be one
}

// Error is why an attempt failed.
type Error struct {
	Receiver string
	Detail   string // holds no secret
	Final    bool   // trying again cannot help
	Unsure   bool   // the other side may have it all the same
}

// Error names the receiver and the fault.
func (e *Error) Error() string { return fmt.Sprintf("tell %s: %s", e.Receiver, e.Detail) }

// Permanent says that trying again cannot help.
func (e *Error) Permanent() bool { return e.Final }

// Ambiguous says that the other side may have it all the same.
func (e *Error) Ambiguous() bool { return e.Unsure }

// Secret is a value that prints masked, also where it lies within something that is printed whole. The zero value is
// empty.
type Secret struct{ value *string }

// NewSecret hides a value.
func NewSecret(v string) Secret { return Secret{&v} }

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String is a mask, empty for an empty value.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return "***"
}

// GoString is the same mask.
func (s Secret) GoString() string { return s.String() }

// MarshalText is the same mask, for whatever writes JSON or YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// longestAnswer is how much of an answer is read, and thrown away.
const longestAnswer = 64 << 10

// post sends a JSON body and judges the answer: below 300 taken, 408, 429 and from 500 on to be tried again, anything else
// final, a redirect too.
func post(ctx context.Context, client *http.Client, name, address string, body any, header map[string]string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return &Error{name, "encode the body: " + err.Error(), true, false}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return &Error{name, "its address is no URL", true, false}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "earshot")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return do(client, name, req)
}

func do(client *http.Client, name string, req *http.Request) error {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		// The library's message holds the whole address, which for a chat channel is the secret.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return &Error{name, strings.ReplaceAll(err.Error(), req.URL.String(), "(address)"), false, sent.Load()}
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, longestAnswer)) // so that the connection can be used again
	if resp.StatusCode < 300 {
		return nil
	}
	again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	// What it says may repeat what it was sent: the path of a chat channel, a routing key.
	return &Error{name, strings.TrimSpace(fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))), !again, resp.StatusCode == http.StatusGatewayTimeout}
}

// labels are what receivers know an alert by: no figures and no words of customers.
func labels(a *schemas.Alert) map[string]string {
	out := maps.Clone(a.Labels)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range a.Cell {
		if v != "" {
			out[k] = v
		}
	}
	out["alertname"], out["severity"] = a.Rule, string(a.Severity)
	return out
}

// annotations are what a person reads.
func annotations(a *schemas.Alert) map[string]string {
	out := maps.Clone(a.Annotations)
	if out == nil {
		out = map[string]string{}
	}
	out["summary"] = a.Summary()
	out["description"] = description(a)
	for i, q := range a.Quotes {
		out[fmt.Sprintf("quote_%d", i+1)] = q.Text
	}
	if a.TopTheme != "" {
		out["top_theme"] = a.TopTheme
	}
	maps.Copy(out, a.Links)
	out["alert_id"] = a.ID
	if a.AckedBy != "" {
		out["acknowledged_by"] = a.AckedBy
	}
	return out
}

// description is the figures in a sentence.
func description(a *schemas.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d different customers since %s", a.Customers, a.Since.UTC().Format("15:04 MST"))
	if a.Unnamed > 0 {
		fmt.Fprintf(&b, ", %d of them without a name", a.Unnamed)
	}
	if a.Total > 0 && a.Total != a.Customers {
		fmt.Fprintf(&b, ", of %d who spoke", a.Total)
	}
	if a.Probability > 0 && a.Probability < 1 {
		fmt.Fprintf(&b, "; by chance once in %.2g", 1/a.Probability)
	}
	if a.TopTheme != "" {
		fmt.Fprintf(&b, "; most speak of %s", a.TopTheme)
	}
	if a.Resolved() {
		fmt.Fprintf(&b, "; over after %s", a.ResolvedAt.Sub(a.RaisedAt).Round(time.Second))
	}
	return b.String()
}

// headline is a notification in one line.
func headline(n *Notification) string {
	word := strings.ToUpper(status(&n.Alert))
	if n.Acked {
		word = "LOOKED AFTER by " + n.Alert.AckedBy
	}
	line := "[" + word + "] " + n.Alert.Summary()
	if n.Again {
		line += " (may be a repetition)"
	}
	return line
}

// text is the alert as lines of plain text.
func text(a *schemas.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", a.Summary(), description(a))
	for _, q := range a.Quotes {
		fmt.Fprintf(&b, "“%s”\n", q.Text)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Annotations)) {
		fmt.Fprintf(&b, "%s: %s\n", k, a.Annotations[k])
	}
	for _, k := range slices.Sorted(maps.Keys(a.Links)) {
		fmt.Fprintf(&b, "%s: %s\n", k, a.Links[k])
	}
	return b.String()
}

func status(a *schemas.Alert) string {
	if a.Resolved() {
		return "resolved"
	}
	return "firing"
}
