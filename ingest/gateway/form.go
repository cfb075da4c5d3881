package gateway

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// form is feedback in the convenience form: JSON values by the contract's own names.
type form struct {
	attrs, data []member
	given       map[string]string // what the client called each member, by the path that the contract gives it
	kind        schemas.Kind      // what happened; "": feedback or a rating, by what is given
	source      string            // of an event that names none; "": feedbackSource
}

type member struct {
	name  string
	value jsontext.Value
}

// short are the convenience names and the contract's names for the same. A name with a dot is a member of data.
var short = map[string]string{
	"id": "id", "tenant": "tenantid", "tenantid": "tenantid", "time": "time", "source": "source",
	"text": "data.value_text", "rating": "data.value_number", "customer": "data.customer_id",
	"product": "data.product_id", "question": "data.question_text", "about": "causationid",
	"decision": "data.decision_text", "promise": "data.promise_due", "code": "data.resolution_code",
}

// kindOf is the JSON type of each member of data.
var kindOf = func() map[string]string {
	m := map[string]string{}
	for _, f := range schemas.Fields() {
		m["data."+f.Name] = f.Type
	}
	return m
}()

// allowedNames lists what a form may hold, the short names first.
var allowedNames = func() string {
	names := []string{"text", "rating", "channel", "id", "tenant", "customer", "product", "question", "time", "source", "tenantid", "about",
		"decision", "promise", "code"}
	for _, f := range schemas.Fields() {
		if f.Name != "channel" {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}()

// path is the contract's path for a name in a form; "": the form does not know the name.
func path(name string) string {
	if p, ok := short[name]; ok {
		return p
	}
	if p := "data." + name; kindOf[p] != "" {
		return p
	}
	return ""
}

// set takes one member of a form.
func (f *form) set(name string, value jsontext.Value) *schemas.Problem {
	p := path(name)
	if p == "" {
		return &schemas.Problem{Field: shorten(name), Bound: allowedNames, Detail: "is not a name that is known here", Reason: schemas.ReasonSchema}
	}
	if before, ok := f.given[p]; ok {
		return &schemas.Problem{Field: name, Bound: "once", Detail: "is given already, as " + before, Reason: schemas.ReasonSchema}
	}
	if v := string(value); v == "null" || v == `""` {
		return nil
	}
	f.given[p] = name
	if bare, ok := strings.CutPrefix(p, "data."); ok {
		f.data = append(f.data, member{bare, value})
	} else {
		f.attrs = append(f.attrs, member{p, value})
	}
	return nil
}

// shorten keeps a name that a stranger chose from filling the answer.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range s {
		if i >= 64 {
			return s[:i] + "…"
		}
	}
	return s
}

func parseJSON(b []byte) (*form, schemas.Problems) {
	if !jsontext.Value(b).IsValid() {
		_, ps := schemas.DecodeStructured(b, time.Time{}) // which explains why
		return nil, ps
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	if d.PeekKind() != '{' {
		return nil, schemas.Problems{{Bound: `an object such as {"channel":"web","text":"…","rating":4}`,
			Detail: "is not an object; several at once go to POST /v1/events", Reason: schemas.ReasonSchema}}
	}
	f := &form{given: map[string]string{}}
	var ps schemas.Problems
	d.ReadToken() // the JSON is valid, so reading it cannot fail
	for d.PeekKind() == '"' {
		name, _ := d.ReadToken()
		key := name.String()
		value, _ := d.ReadValue()
		if p := f.set(key, value.Clone()); p != nil && len(ps) < schemas.MaxProblems {
			ps = append(ps, *p)
		}
	}
	return f, ps
}

func parseURLEncoded(b []byte) (*form, schemas.Problems) {
	values, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, schemas.Problems{{Bound: "name=value&name=value, percent-encoded", Detail: "is not a form: " + shorten(err.Error()), Reason: schemas.ReasonParse}}
	}
	f := &form{given: map[string]string{}}
	var ps schemas.Problems
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			if !utf8.ValidString(v) {
				ps = append(ps, notUTF8(shorten(name))...)
				continue
			}
			if p := f.set(name, formValue(path(name), v)); p != nil && len(ps) < schemas.MaxProblems {
				ps = append(ps, *p)
			}
		}
	}
	return f, ps
}

// formValue makes JSON of a form's value: of a member that is not a string what the value says, if it is JSON.
func formValue(path, v string) jsontext.Value {
	if kind := kindOf[path]; kind != "" && kind != "string" && jsontext.Value(v).IsValid() {
		return jsontext.Value(v)
	}
	return quoted(v)
}

func parseText(b []byte) (*form, schemas.Problems) {
	f := &form{given: map[string]string{}}
	if !utf8.Valid(b) {
		return nil, notUTF8("text")
	}
	if len(bytes.TrimSpace(b)) > 0 {
		f.set("text", quoted(string(b)))
	}
	return f, nil
}

func notUTF8(field string) schemas.Problems {
	return schemas.Problems{{Field: field, Bound: "UTF-8", Detail: "is not UTF-8", Reason: schemas.ReasonParse}}
}

func quoted(s string) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, s) // what is not UTF-8 was refused before
	return b
}

// has says whether the form gives the member at path.
func (f *form) has(path string) bool { return f.given[path] != "" }

// event makes the CloudEvent: what the form says, and the standard answer to what it does not. missing names what cannot
// be made up. key is the id of a form that has none; "": a new one is made, which sorts by time (UUID version 7).
func (f *form) event(key string, now time.Time) (raw []byte, missing schemas.Problems) {
	kind, source := f.kind, f.source
	if kind == "" {
		kind = schemas.FeedbackReceived
		if !f.has("data.value_text") {
			kind = schemas.RatingSubmitted
			if !f.has("data.value_number") {
				missing = schemas.Problems{{Field: "text", Bound: "text, rating or both", Detail: "is missing", Reason: schemas.ReasonSchema}}
			}
		}
	}
	if source == "" {
		source = feedbackSource
	}
	if key == "" && !f.has("id") {
		key = uuid.Must(uuid.NewV7()).String()
	}
	f.scale()
	b := append([]byte(nil), `{"specversion":"1.0","type":`...)
	b = append(b, quoted(kind.Type())...)
	for _, m := range f.attrs {
		b = appendMember(b, m.name, m.value)
	}
	for _, standard := range [...]struct{ name, value string }{
		{"id", key}, {"source", source}, {"tenantid", feedbackTenant},
		{"time", now.UTC().Format("2006-01-02T15:04:05.000Z")},
	} {
		if !f.has(standard.name) {
			b = appendMember(b, standard.name, quoted(standard.value))
		}
	}
	b = append(b, `,"datacontenttype":"application/json","data":`...)
	open := len(b)
	for _, m := range f.data {
		b = appendMember(b, m.name, m.value)
	}
	if len(b) == open {
		b = append(b, '{')
	} else {
		b[open] = '{' // in place of the first comma
	}
	return append(b, "}}"...), missing
}

func appendMember(b []byte, name string, value jsontext.Value) []byte {
	b = append(append(append(b, ',', '"'), name...), '"', ':')
	return append(b, value...)
}

// scale gives a rating without a scale the usual one of its type, 1 to 5 where it names none.
func (f *form) scale() {
	if !f.has("data.value_number") || f.has("data.scale_min") || f.has("data.scale_max") {
		return
	}
	fieldType := `"rating"`
	for _, m := range f.data {
		if m.name == "field_type" {
			fieldType = string(m.value)
		}
	}
	lo, hi := "1", "5"
	switch fieldType {
	case `"nps"`:
		lo, hi = "0", "10"
	case `"ces"`:
		hi = "7"
	case `"number"`:
		return
	}
	f.data = append(f.data, member{"scale_min", jsontext.Value(lo)}, member{"scale_max", jsontext.Value(hi)})
	if !f.has("data.field_type") {
		f.data = append(f.data, member{"field_type", quoted("rating")})
	}
}

// rename gives the problems of the event the names that the client used.
func (f *form) rename(ps schemas.Problems) schemas.Problems {
	out := ps[:0]
	for _, p := range ps {
		if f.kind == "" && p.Field == "data.value_number" && p.Value == "" && !f.has(p.Field) {
			continue // said better by missing: text would have done as well
		}
		if name, ok := f.given[p.Field]; ok {
			p.Field = name
		} else {
			p.Field = strings.TrimPrefix(p.Field, "data.")
		}
		out = append(out, p)
	}
	return out
}
