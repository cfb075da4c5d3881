package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// DecodeStructured reads one CloudEvent in structured mode (JSON event format) and checks it against the contract.
// received is when the event reached us: an event may not come from its future (see [MaxSkew]). A fault in one place
// does not hide the others, except that JSON which cannot be read at all has one problem only.
func DecodeStructured(b []byte, received time.Time) (*Event, Problems) {
	if p := oversize(b); p != nil {
		return nil, p
	}
	if !jsontext.Value(b).IsValid() {
		return nil, Problems{syntax(b)}
	}
	return decodeValid(string(b), received)
}

// decodeValid reads an event from text that is valid JSON.
func decodeValid(text string, received time.Time) (*Event, Problems) {
	d := decoder{received: received, json: cursor{text: text}, event: new(Event)}
	if d.envelope() {
		d.finish()
	}
	return d.result()
}

// DecodeBinary reads one CloudEvent in binary mode: attributes beside it, data as the body.
func DecodeBinary(attrs Attributes, data []byte, received time.Time) (*Event, Problems) {
	if p := oversize(data); p != nil {
		return nil, p
	}
	d := decoder{received: received, event: new(Event)}
	d.attributes(attrs)
	switch {
	case len(bytes.TrimLeft(data, " \t\r\n")) == 0: // no body: no data
	case !jsontext.Value(data).IsValid():
		p := syntax(data)
		p.Field = "data"
		d.problems = append(d.problems, p)
		d.noData = true
	default:
		d.json = cursor{text: string(data)}
		d.data()
	}
	d.finish()
	return d.result()
}

// Decoded is one element of a batch: an event, or what is wrong with it.
type Decoded struct {
	Event    *Event
	Raw      []byte // the element as it was sent; part of the batch's own bytes
	Problems Problems
}

// DecodeBatch reads a JSON array of CloudEvents in structured mode. Each element is judged by itself. limit is the
// number of elements allowed, 0: any number. Problems says what is wrong with the batch as a whole: it is not an array,
// has no or too many elements, or is not JSON from the element named by at on (−1: before the first).
func DecodeBatch(b []byte, received time.Time, limit int) (events []Decoded, at int, problems Problems) {
	if !jsontext.Value(b).IsValid() {
		p, at := batchSyntax(b)
		return nil, at, Problems{p}
	}
	text := string(b)
	c := cursor{text: text}
	if c.peek() != '[' {
		raw, _ := c.value()
		return nil, -1, Problems{{Value: show(raw), Bound: "a JSON array of CloudEvents", Detail: "is not a batch", Reason: ReasonParse}}
	}
	n := 0
	for c.enter(); c.more(); n++ {
		if limit > 0 && n == limit {
			return nil, -1, Problems{{Value: fmt.Sprintf("more than %d events", limit), Bound: fmt.Sprintf("at most %d events", limit),
				Detail: "has too many events; send them in several batches", Reason: ReasonTooLarge}}
		}
		raw, _ := c.value()
		e := Decoded{Raw: b[c.at-len(raw) : c.at : c.at]}
		if e.Problems = oversize(e.Raw); e.Problems == nil {
			e.Event, e.Problems = decodeValid(raw, received)
		}
		events = append(events, e)
	}
	if n == 0 {
		return nil, -1, Problems{{Value: "[]", Bound: "at least one event", Detail: "is an empty batch", Reason: ReasonSchema}}
	}
	return events, -1, nil
}

// batchSyntax finds the element in which the JSON of a batch breaks.
func batchSyntax(b []byte) (p Problem, at int) {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	if d.PeekKind() == '[' {
		if _, err := d.ReadToken(); err == nil {
			for ; d.PeekKind() != ']'; at++ {
				if err := d.SkipValue(); err != nil {
					return syntax(b), at
				}
			}
		}
	}
	return syntax(b), -1
}

func oversize(b []byte) Problems {
	if len(b) <= MaxEventBytes {
		return nil
	}
	return Problems{{Value: fmt.Sprintf("%d bytes", len(b)), Bound: fmt.Sprintf("at most %d bytes", MaxEventBytes),
		Detail: "is too large; send files by link, in attachments", Reason: ReasonTooLarge}}
}

// syntax says why b is not JSON. A byte order mark, the one invisible cause, is named.
func syntax(b []byte) Problem {
	p := Problem{Bound: "one JSON text in UTF-8 with no name twice in an object", Reason: ReasonParse}
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		p.Value, p.Detail = "EF BB BF", "begins with a byte order mark; leave it out"
		return p
	}
	d := jsontext.NewDecoder(bytes.NewReader(b))
	_, err := d.ReadValue()
	if err == nil {
		if _, err = d.ReadToken(); err == nil || err == io.EOF {
			err = errors.New("something follows the JSON")
		}
	}
	var syn *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.Detail = fmt.Sprintf("ends in the middle of the JSON, after %d bytes", len(b))
		if len(bytes.TrimSpace(b)) == 0 {
			p.Detail = "is empty"
		}
	case errors.As(err, &syn):
		p.Detail = fmt.Sprintf("is not JSON at byte %d: %v", syn.ByteOffset, syn.Err)
		if syn.ByteOffset >= 0 && syn.ByteOffset < int64(len(b)) {
			p.Value = quote(strings.ToValidUTF8(string(b[syn.ByteOffset:min(int64(len(b)), syn.ByteOffset+16)]), "\uFFFD"))
		}
	default:
		p.Detail = "is not JSON: " + err.Error()
	}
	return p
}

// decoder reads one event; it collects problems as it goes.
type decoder struct {
	json     cursor
	event    *Event
	received time.Time
	problems Problems
	more     int    // problems beyond MaxProblems
	spec     string // specversion as sent
	time     string
	content  string // datacontenttype
	sawData  bool
	noData   bool   // data is there but cannot be judged
	extra    []byte // unknown members of data, as the inside of an object
}

func (d *decoder) add(field, value, bound, detail string, reason Reason) {
	if len(d.problems) == MaxProblems {
		d.more++
		return
	}
	d.problems = append(d.problems, Problem{Field: field, Value: value, Bound: bound, Detail: detail, Reason: reason})
}

func (d *decoder) result() (*Event, Problems) {
	if d.more > 0 {
		d.problems = append(d.problems, Problem{Value: fmt.Sprint(d.more), Bound: fmt.Sprintf("%d problems are reported", MaxProblems),
			Detail: "has further problems that are not listed", Reason: ReasonSchema})
	}
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return d.event, nil
}

// envelope reads the whole structured event; false: there is nothing to judge.
func (d *decoder) envelope() bool {
	c := &d.json
	if c.peek() != '{' {
		raw, _ := c.value()
		detail := "is not an event"
		if raw[0] == '[' {
			detail = "is not one event; a batch has a content type of its own, " + ContentTypeBatch
		}
		d.add("", show(raw), "a JSON object", detail, ReasonParse)
		return false
	}
	for c.enter(); c.more(); {
		switch name := c.str(); {
		case name == "data":
			d.data()
		case name == "data_base64":
			raw, _ := c.value()
			d.noData = true
			d.add("data_base64", fmt.Sprintf("%d bytes", len(raw)), "data as a JSON object", "is not supported; send data as JSON", ReasonSchema)
		case c.peek() == '"':
			d.attribute(name, c.str())
		default:
			raw, _ := c.value()
			switch composite := raw[0] == '{' || raw[0] == '['; {
			case raw == "null": // the same as not given
			case knownAttribute(name):
				d.add(name, show(raw), "a string", "has the wrong type", ReasonSchema)
			case composite:
				d.add(quoteName(name), show(raw), "a string, number or boolean", "is not a CloudEvents attribute", ReasonSchema)
			}
		}
	}
	return true
}

// data reads the data object.
func (d *decoder) data() {
	c := &d.json
	d.sawData = true
	if c.peek() != '{' {
		raw, _ := c.value()
		if raw == "null" {
			d.sawData = false
			return
		}
		d.noData = true
		d.add("data", show(raw), "a JSON object", "has the wrong type", ReasonSchema)
		return
	}
	for c.enter(); c.more(); {
		name := c.str()
		if f := fieldByName[name]; f != nil {
			d.member(f)
		} else {
			raw, depth := c.value()
			d.keep(name, raw, depth)
		}
	}
}

// keep stores a member this contract does not know.
func (d *decoder) keep(name, raw string, depth int) {
	if depth > MaxDepth-2 {
		d.add("data."+quoteName(name), fmt.Sprintf("%d levels", depth+2), fmt.Sprintf("at most %d levels", MaxDepth), "is nested too deep", ReasonSchema)
		return
	}
	if len(d.extra) > 0 {
		d.extra = append(d.extra, ',')
	}
	d.extra, _ = jsontext.AppendQuote(d.extra, name)
	d.extra = append(append(d.extra, ':'), raw...)
}

// quoteName makes a name that a stranger chose fit to be shown.
func quoteName(name string) string {
	if utf8.RuneCountInString(name) > maxShown || strings.ContainsFunc(name, isControl) {
		return quote(name)
	}
	return name
}
