package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Set gives the member of data called name a value that came as text, such as from a column of a file: a number is read
// as a number, true and false as what they say, and everything as its field wants it. An empty value is none given. The
// problem names no field; whoever calls knows where the value was.
func (data *Data) Set(name, value string) *Problem {
	f := fieldByName[name]
	value = strings.TrimSpace(value)
	switch {
	case f == nil:
		return &Problem{Value: quote(name), Detail: "is not a member of data", Reason: ReasonSchema}
	case value == "":
	case f.text != nil:
		kept, p := f.checkText(value)
		if p != nil {
			return p
		}
		*f.text(data) = kept
	case f.number != nil:
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !(x >= f.lo && x <= f.hi) {
			return &Problem{Value: quote(value), Bound: f.within(), Detail: "is not a number in range", Reason: ReasonSchema}
		}
		*f.number(data) = &x
	case f.flag != nil:
		b, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return &Problem{Value: quote(value), Bound: "true or false", Detail: "has the wrong type", Reason: ReasonSchema}
		}
		*f.flag(data) = &b
	default:
		return &Problem{Value: quote(name), Bound: "a member that is a string, a number or true or false", Detail: "cannot be given as text", Reason: ReasonSchema}
	}
	return nil
}

// Fit makes an event that an adapter built from what somebody else sent keep the contract, as far as that can be done
// without making anything up: what is too long is cut (an id is hashed instead), what is no value of its field is left
// out, a time outside of what is believable becomes the time of receipt. What the kind requires it does not invent.
// cut says that words of the customer were lost.
func (e *Event) Fit(received time.Time) (cut bool) {
	for _, s := range []*string{&e.ID, &e.Source, &e.Tenant, &e.Subject, &e.Correlation} {
		*s = fitAttribute(*s, MaxIDLength, true)
	}
	e.Causation = fitAttribute(e.Causation, 2*MaxIDLength+1, false)
	e.TraceParent = fitAttribute(e.TraceParent, MaxIDLength, false)
	if !isURIReference(e.Source) {
		e.Source = Token(e.Source)
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if e.Time.Before(earliest) || e.Time.After(received.Add(MaxSkew)) {
		e.Time = received.UTC().Truncate(time.Millisecond)
	}
	d := &e.Data
	for i := range fields {
		f := &fields[i]
		switch {
		case f.text != nil:
			cut = f.fitText(f.text(d)) && f.name == "value_text" || cut
		case f.number != nil:
			if x := *f.number(d); x != nil && !(*x >= f.lo && *x <= f.hi) {
				*f.number(d) = nil
			}
		}
	}
	d.fitScale()
	if len(d.Metadata) > MaxMetadataBytes || !fitObject(d.Metadata) {
		d.Metadata = nil
	}
	if len(d.Extra) > MaxMetadataBytes || !fitObject(d.Extra) {
		d.Extra = nil
	}
	return cut
}

// fitAttribute removes what an attribute may not hold; one that is too long is cut, or becomes a name of what it was.
func fitAttribute(s string, limit int, name bool) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	switch {
	case utf8.RuneCountInString(s) <= limit:
		return s
	case name:
		return fmt.Sprintf("%s%%%s", cutTo(s, 100), KeyToken("long", s))
	}
	return cutTo(s, limit)
}

// cutTo is the first n characters of s.
func cutTo(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// fitText makes a string one that its field takes; cut says that it was too long.
func (f *field) fitText(s *string) (cut bool) {
	*s = strings.ReplaceAll(strings.ToValidUTF8(*s, "\uFFFD"), "\x00", "")
	if kept, p := f.checkText(*s); *s == "" || p == nil {
		if *s != "" {
			*s = kept
		}
		return false
	}
	switch {
	case f.typ != textField: // a cut enum, date or link is another one
		*s = ""
	case strings.HasSuffix(f.name, "_id"):
		*s = fmt.Sprintf("%s%%%s", cutTo(*s, 100), KeyToken("long", *s))
	default:
		*s = cutTo(*s, f.limit())
		cut = true
	}
	return cut
}

// fitScale drops a scale that is none and a number that is off its scale.
func (d *Data) fitScale() {
	if d.ScaleMin != nil && d.ScaleMax != nil && !(*d.ScaleMin < *d.ScaleMax) {
		d.ScaleMin, d.ScaleMax = nil, nil
	}
	if d.Number == nil {
		return
	}
	lo, hi := d.ScaleMin, d.ScaleMax
	if lo == nil && hi == nil && d.FieldType == "nps" {
		zero, ten := 0.0, 10.0
		lo, hi = &zero, &ten
	}
	if lo != nil && *d.Number < *lo || hi != nil && *d.Number > *hi {
		d.Number = nil
	}
}

// fitObject says whether b is a JSON object that is not nested too deep, or nothing.
func fitObject(b json.RawMessage) bool {
	if len(b) == 0 {
		return true
	}
	if !jsontext.Value(b).IsValid() {
		return false
	}
	c := cursor{text: string(b)}
	if c.peek() != '{' {
		return false
	}
	_, depth := c.value()
	return depth <= MaxDepth-2
}

// Complete says whether the event's kind has all that it requires.
func (e *Event) Complete() bool {
	spec, ok := e.Kind.Spec()
	missing := func(name string) bool { return !e.Data.has(name) }
	return ok && !slices.ContainsFunc(spec.Required, missing) &&
		(len(spec.AnyOf) == 0 || slices.ContainsFunc(spec.AnyOf, e.Data.has))
}
