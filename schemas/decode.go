package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Attributes are the context attributes of a CloudEvent in binary mode, names in lower case without the "ce-" prefix,
// values percent-decoded.
type Attributes map[string]string

// DecodeStructured reads one CloudEvent in structured mode (JSON event format) and checks it against the contract.
// received is when the event reached us: an event may not come from its future (see [MaxSkew]). A fault in one place
// does not hide the others, except that JSON which cannot be read at all has one problem only.
func DecodeStructured(b []byte, received time.Time) (*Event, Problems) {
	d := decoder{received: received}
	if len(b) > MaxEventBytes {
		d.add("", fmt.Sprintf("%d bytes", len(b)), fmt.Sprintf("at most %d bytes", MaxEventBytes), "is too large", ReasonTooLarge)
		return nil, d.problems
	}
	d.json = jsontext.NewDecoder(bytes.NewBuffer(b))
	if !d.envelope() {
		return nil, d.problems
	}
	d.finish()
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return &d.event, nil
}

// DecodeBinary reads one CloudEvent in binary mode: attributes beside it, data as the body.
func DecodeBinary(attrs Attributes, data []byte, received time.Time) (*Event, Problems) {
	d := decoder{received: received}
	if len(data) > MaxEventBytes {
		d.add("", fmt.Sprintf("%d bytes", len(data)), fmt.Sprintf("at most %d bytes", MaxEventBytes), "is too large", ReasonTooLarge)
		return nil, d.problems
	}
	for name, value := range attrs {
		d.attribute(strings.ToLower(name), value)
	}
	d.json = jsontext.NewDecoder(bytes.NewBuffer(data))
	d.sawData = true
	if !d.data() || !d.end() {
		return nil, d.problems
	}
	d.finish()
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return &d.event, nil
}

// DecodeRecord reads a message of the log, in whichever of the two modes it was stored.
func DecodeRecord(r *Record) (*Event, Problems) {
	ct := headerValue(r.Header, HeaderContentType)
	if ct != "" && !strings.HasPrefix(ct, ContentTypeEvent) || ct == "" && headerValue(r.Header, "ce-id") != "" {
		if attrs := binaryAttributes(r.Header); len(attrs) > 0 {
			return DecodeBinary(attrs, r.Data, r.Time)
		}
	}
	return DecodeStructured(r.Data, r.Time)
}

func headerValue(h map[string]string, name string) string {
	if v, ok := h[name]; ok {
		return v
	}
	for k, v := range h {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

func binaryAttributes(h map[string]string) Attributes {
	attrs := Attributes{}
	for k, v := range h {
		if len(k) > 3 && strings.EqualFold(k[:3], "ce-") {
			attrs[strings.ToLower(k[3:])] = percentDecode(v)
		}
	}
	return attrs
}

// percentDecode undoes the percent-encoding that the CloudEvents HTTP and NATS bindings prescribe for header values. A
// sequence that is not an encoding stays as it is.
func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// decoder reads one event; it collects problems as it goes.
type decoder struct {
	json     *jsontext.Decoder
	event    Event
	received time.Time
	problems Problems
	spec     string // specversion as sent
	time     string
	content  string // datacontenttype
	sawData  bool
	extra    []byte // unknown members of data, as the inside of an object
}

func (d *decoder) add(field, value, bound, detail string, reason Reason) {
	if len(d.problems) < MaxProblems {
		d.problems = append(d.problems, Problem{Field: field, Value: value, Bound: bound, Detail: detail, Reason: reason})
	}
}

// broken records that the JSON itself cannot be read; nothing after it can be judged.
func (d *decoder) broken(err error) bool {
	detail := "is not JSON: " + err.Error()
	bound := "one JSON object in UTF-8 with no name twice"
	var syn *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		detail = "ends in the middle of the JSON"
	case errors.As(err, &syn):
		detail = fmt.Sprintf("is not JSON at byte %d: %v", syn.ByteOffset, syn.Err)
	}
	d.problems = nil
	d.add("", "", bound, detail, ReasonParse)
	return false
}

// envelope reads the whole structured event; false: the JSON is broken.
func (d *decoder) envelope() bool {
	if d.json.PeekKind() != '{' {
		return d.notObject("")
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.broken(err)
	}
	for d.json.PeekKind() == '"' {
		tok, err := d.json.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		name := tok.String()
		if name == "data" {
			d.sawData = true
			if !d.data() {
				return false
			}
			continue
		}
		if name == "data_base64" {
			d.add("data_base64", "", "data as a JSON object", "is not supported; send data as JSON", ReasonSchema)
		}
		switch kind := d.json.PeekKind(); kind {
		case '"', '0', 't', 'f':
			tok, err := d.json.ReadToken()
			if err != nil {
				return d.broken(err)
			}
			if kind == '"' {
				d.attribute(name, tok.String())
			} else if isKnownAttribute(name) {
				d.add(name, quote(tok.String()), "a string", "has the wrong type", ReasonSchema)
			}
		case 'n':
			if _, err := d.json.ReadToken(); err != nil {
				return d.broken(err)
			}
		default:
			v, err := d.json.ReadValue()
			if err != nil {
				return d.broken(err)
			}
			if isKnownAttribute(name) {
				d.add(name, quote(string(v)), "a string", "has the wrong type", ReasonSchema)
			} else if name != "data_base64" {
				d.add(name, quote(string(v)), "a string, number or boolean", "is not a CloudEvents attribute", ReasonSchema)
			}
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.broken(err)
	}
	return d.end()
}

// end checks that nothing follows the event.
func (d *decoder) end() bool {
	if _, err := d.json.ReadToken(); err != io.EOF {
		if err == nil {
			err = errors.New("something follows the event")
		}
		return d.broken(err)
	}
	return true
}

func (d *decoder) notObject(field string) bool {
	v, err := d.json.ReadValue()
	if err != nil {
		return d.broken(err)
	}
	d.add(field, quote(string(v)), "a JSON object", "has the wrong type", ReasonSchema)
	return field != ""
}

func isKnownAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "tenantid",
		"correlationid", "causationid", "traceparent":
		return true
	}
	return false
}

// attribute takes one context attribute; unknown ones are extensions of others and are let pass.
func (d *decoder) attribute(name, value string) {
	if strings.IndexByte(value, 0) >= 0 {
		d.add(name, quote(value), "no U+0000", "holds a NUL", ReasonSchema)
		return
	}
	switch name {
	case "specversion":
		d.spec = value
	case "id":
		d.event.ID = value
	case "source":
		d.event.Source = value
	case "type":
		d.event.Type = value
	case "subject":
		d.event.Subject = value
	case "time":
		d.time = value
	case "datacontenttype":
		d.content = value
	case "tenantid":
		d.event.Tenant = value
	case "correlationid":
		d.event.Correlation = value
	case "causationid":
		d.event.Causation = value
	case "traceparent":
		d.event.TraceParent = value
	}
}

// data reads the data object; false: the JSON is broken.
func (d *decoder) data() bool {
	if d.json.PeekKind() != '{' {
		return d.notObject("data")
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.broken(err)
	}
	for d.json.PeekKind() == '"' {
		tok, err := d.json.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		name := tok.String()
		f := fieldByName[name]
		if d.json.PeekKind() == 'n' && f != nil { // null is the same as not given
			if _, err := d.json.ReadToken(); err != nil {
				return d.broken(err)
			}
			continue
		}
		if f == nil {
			v, err := d.json.ReadValue()
			if err != nil {
				return d.broken(err)
			}
			d.keep(name, v)
			continue
		}
		if !d.member(f) {
			return false
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.broken(err)
	}
	return true
}

// keep stores a member this contract does not know.
func (d *decoder) keep(name string, v jsontext.Value) {
	if depth(v) > MaxDepth-2 {
		d.add("data."+name, "", fmt.Sprintf("at most %d levels", MaxDepth), "is nested too deep", ReasonSchema)
		return
	}
	if len(d.extra) > 0 {
		d.extra = append(d.extra, ',')
	}
	key, _ := jsontext.AppendQuote(nil, name)
	d.extra = append(append(append(d.extra, key...), ':'), v...)
}

// member reads one known member of data; false: the JSON is broken.
func (d *decoder) member(f *field) bool {
	data := &d.event.Data
	path := "data." + f.name
	switch kind := d.json.PeekKind(); {
	case f.text != nil && kind == '"':
		tok, err := d.json.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		s, p := f.checkText(path, tok.String())
		if p != nil {
			d.add(p.Field, p.Value, p.Bound, p.Detail, p.Reason)
		} else {
			*f.text(data) = s
		}
	case f.number != nil && kind == '0':
		tok, err := d.json.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		x, _ := tok.Float()
		if math.IsInf(x, 0) || math.IsNaN(x) || x < f.lo || x > f.hi || math.Abs(x) == math.MaxFloat64 {
			d.add(path, quote(tok.String()), fmt.Sprintf("%g … %g", f.lo, f.hi), "is out of range", ReasonSchema)
		} else {
			*f.number(data) = &x
		}
	case f.flag != nil && (kind == 't' || kind == 'f'):
		tok, err := d.json.ReadToken()
		if err != nil {
			return d.broken(err)
		}
		b := tok.Bool()
		*f.flag(data) = &b
	default:
		v, err := d.json.ReadValue()
		if err != nil {
			return d.broken(err)
		}
		d.composite(f, path, v)
	}
	return true
}

// composite takes a member that is an object or an array, or reports a wrong type.
func (d *decoder) composite(f *field, path string, v jsontext.Value) {
	switch {
	case f.typ == consentField && v.Kind() == '{':
		var c struct {
			Analytics *bool `json:"analytics"`
			Contact   *bool `json:"contact"`
		}
		if json.Unmarshal(v, &c) != nil {
			d.add(path, quote(string(v)), `{"analytics": true or false, "contact": true or false}`, "has the wrong type", ReasonSchema)
			return
		}
		d.event.Data.ConsentAnalytics, d.event.Data.ConsentContact = c.Analytics, c.Contact
	case f.typ == metadataField && v.Kind() == '{':
		if len(v) > MaxMetadataBytes {
			d.add(path, fmt.Sprintf("%d bytes", len(v)), fmt.Sprintf("at most %d bytes", MaxMetadataBytes), "is too large", ReasonTooLarge)
		} else if depth(v) > MaxDepth-2 {
			d.add(path, "", fmt.Sprintf("at most %d levels", MaxDepth), "is nested too deep", ReasonSchema)
		} else {
			d.event.Data.Metadata = bytes.Clone(v)
		}
	case f.typ == attachField && v.Kind() == '[':
		d.attachments(path, v)
	default:
		d.add(path, quote(string(v)), f.typ.wants(), "has the wrong type", ReasonSchema)
	}
}

func (t fieldType) wants() string {
	switch t {
	case numberField:
		return "a number"
	case booleanField:
		return "true or false"
	case consentField, metadataField:
		return "an object"
	case attachField:
		return "an array"
	}
	return "a string"
}

func (d *decoder) attachments(path string, v jsontext.Value) {
	var list []struct {
		URI    string `json:"uri"`
		MIME   string `json:"mime"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(v, &list); err != nil {
		d.add(path, quote(string(v)), "an array of {uri, mime, sha256}", "has the wrong type", ReasonSchema)
		return
	}
	if len(list) > MaxAttachments {
		d.add(path, fmt.Sprint(len(list)), fmt.Sprintf("at most %d", MaxAttachments), "is too long", ReasonTooLarge)
		return
	}
	link := fieldByName["uri"]
	for i := range list {
		if _, p := link.checkText(fmt.Sprintf("%s[%d].uri", path, i), list[i].URI); p != nil {
			d.add(p.Field, p.Value, p.Bound, p.Detail, p.Reason)
		}
	}
	d.event.Data.Attachments = bytes.Clone(v)
}

// depth is how deep v nests: 0 for a scalar.
func depth(v []byte) int {
	deepest, level, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
