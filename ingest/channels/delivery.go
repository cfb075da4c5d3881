package channels

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Delivery is what one request, page or file of a channel brought, as it came.
type Delivery struct {
	Channel  string // the adapter's name, such as zendesk
	Source   string // which of the operator's accounts there
	Tenant   string
	Header   http.Header // nil where there were none
	Body     []byte
	Received time.Time
}

// Adapter reads a delivery. It returns the events in it, none where it tells of nothing that a customer said, or an error
// that is [ErrPayload] when it cannot be read. It is a function of its argument: no clock, no network, no memory.
type Adapter func(d *Delivery) ([]schemas.Event, error)

// ErrPayload says that a body is not what the channel sends.
var ErrPayload = errors.New("the body is not what this channel sends")

// decode reads the body as JSON. A member of another type than expected is as good as absent: providers add and change,
// and what remains is worth having.
func (d *Delivery) decode(v any) error { return decodeJSON(d.Body, v) }

func decodeJSON(b []byte, v any) error {
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), v); err != nil && !errors.As(err, &wrong) {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return nil
}

// form reads the body as a form of either encoding.
func (d *Delivery) form() (map[string][]string, error) {
	ct := d.Header.Get("Content-Type")
	if ct == "" && bytes.HasPrefix(d.Body, []byte("--")) {
		first, _, _ := bytes.Cut(d.Body, []byte("\r\n"))
		ct = "multipart/form-data; boundary=" + string(first[2:])
	}
	form, err := parseForm(ct, d.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return form, nil
}

// scoped names something that only the channel understands; "" stays "".
func (d *Delivery) scoped(id string) string {
	if id == "" {
		return ""
	}
	return d.Channel + ":" + id
}

// local names a case or conversation that has this name in one account only, such as ticket 17; "" stays "". Two help desks of a
// tenant may both have one.
func (d *Delivery) local(id string) string {
	if id == "" {
		return ""
	}
	return d.Channel + "/" + schemas.Token(d.Source) + ":" + id
}

// event begins an event of this delivery. An empty id becomes one made of the body, so that a repetition is still one.
func (d *Delivery) event(id string, kind schemas.Kind, channel string, at time.Time) schemas.Event {
	if id == "" {
		sum := sha256.Sum256(d.Body)
		id = "body-" + hex.EncodeToString(sum[:12])
	}
	return schemas.Event{ID: id, Source: "/" + d.Channel + "/" + schemas.Token(d.Source), Kind: kind, Tenant: d.Tenant, Time: at,
		Data: schemas.Data{Channel: channel}}
}

// finds collects the events of a delivery.
type finds struct {
	d      *Delivery
	events []schemas.Event
}

// add takes an event after cleaning its words and making it fit the contract. meta are names and values of what the
// contract has no field for. An event that says nothing is not taken: a rating without words becomes one of rating.
func (f *finds) add(e schemas.Event, meta ...string) {
	e.Data.Text = plain(e.Data.Text)
	for _, s := range []*string{&e.Data.QuestionText, &e.Data.FieldLabel, &e.Data.SourceName, &e.Data.FieldGroupLabel} {
		*s = plain(*s)
	}
	if e.Data.Text == "" && e.Data.Number != nil && e.Kind != schemas.ReviewPublished && e.Kind != schemas.FeedbackUpdated {
		e.Kind = schemas.RatingSubmitted
	}
	cut := e.Fit(f.d.Received)
	if cut {
		meta = append(meta, "truncated", "true")
	}
	e.Data.Metadata = metadata(meta)
	e.Fit(f.d.Received) // the metadata, if it is too large
	if e.Complete() {
		f.events = append(f.events, e)
	}
}

// revised takes an event that says again what was said before, in other words: it takes the place of that. at names the
// change, usually by its time; empty: nothing was changed. What the company's own people change stays as it was: when they
// answered is what counts.
func (f *finds) revised(e schemas.Event, at string, meta ...string) {
	if at != "" && e.Data.ActorKind != "agent" && e.Data.ActorKind != "bot" {
		e.Data.EventRef, e.Kind = e.Source+"#"+e.ID, schemas.FeedbackUpdated
		e.ID += "@" + at
		if t := when(at); !t.IsZero() {
			e.Time = t
		}
	}
	f.add(e, meta...)
}

// deleted takes an event that says that what was said before was taken back; at names the deletion.
func (f *finds) deleted(e schemas.Event, at string) {
	e.Data.EventRef, e.Kind = e.Source+"#"+e.ID, schemas.FeedbackDeleted
	e.ID += "@deleted"
	d := &e.Data // it was taken back, what it was rated with too
	d.Text, d.QuestionText, d.FieldType, d.Number, d.ScaleMin, d.ScaleMax = "", "", "", nil, nil, nil
	if t := when(at); !t.IsZero() {
		e.Time = t
	}
	f.add(e)
}

func metadata(pairs []string) json.RawMessage {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := plain(pairs[i+1]); v != "" {
			m[pairs[i]] = v
		}
	}
	if len(m) == 0 {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil // strings only: it cannot happen
	}
	return b
}

// scalar is a string, number or boolean in JSON, as text: providers differ, and change, in how they write ids.
type scalar string

// UnmarshalJSON takes any scalar; what is none is "".
func (s *scalar) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
		*s = ""
	case b[0] == '"':
		var v string
		if err := json.Unmarshal(b, &v); err != nil {
			return err
		}
		*s = scalar(v)
	default:
		*s = scalar(b)
	}
	return nil
}

func (s scalar) String() string { return string(s) }

// number reads the scalar as a finite number.
func (s scalar) number() (float64, bool) {
	x, err := strconv.ParseFloat(strings.TrimSpace(string(s)), 64)
	return x, err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
}

// layouts are the ways in which providers write times.
var layouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly, time.RubyDate, time.RFC1123Z, time.RFC1123}

// when reads a time, in seconds, milliseconds or any layout; the zero time where there is none.
func when(s string) time.Time {
	s = strings.TrimSpace(s)
	if x, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case x > 1e14: // microseconds
			x /= 1e6
		case x > 1e11: // milliseconds
			x /= 1e3
		}
		if !(x > 0 && x < 1e11) {
			return time.Time{}
		}
		return time.UnixMilli(int64(math.Round(x * 1e3)))
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	if t, err := mail.ParseDate(s); err == nil {
		return t
	}
	return time.Time{}
}

// first is the first text that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// address brings an e-mail address into one spelling: customers are told apart by it.
func address(s string) string {
	if a, err := mail.ParseAddress(s); err == nil {
		s = a.Address
	}
	return strings.ToLower(strings.TrimSpace(s))
}

// link is s when it can be one; help desks leave the scheme out.
func link(s string) string {
	if s != "" && !strings.Contains(s, "://") {
		s = "https://" + s
	}
	return s
}
