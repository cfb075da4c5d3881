package channels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Mapping says where in a record of somebody else's making our fields are. It is how a channel without an adapter of its
// own, and every file, comes in. In JSON documents a place is a path (see [Mapping.Adapter]), in tables a column's name.
type Mapping struct {
	Items    string                       `json:"items"`    // path of the list of records in a document; "": the document, or its elements
	Type     string                       `json:"type"`     // CloudEvents type; "": feedback.received.v1 with words, else rating.submitted.v1
	Fields   map[string]string            `json:"fields"`   // our field → place; also id, time, tenant, text, rating, customer, product, question, scale
	Set      map[string]string            `json:"set"`      // our field → value, where the record has none
	Values   map[string]map[string]string `json:"values"`   // our field → their value → ours
	Metadata map[string]string            `json:"metadata"` // name → place
	Text     string                       `json:"text"`     // how the words are to be cleaned: "" or plain, html, reply
	Time     string                       `json:"time"`     // layout of times as Go writes it, 2006-01-02 15:04; "": the usual ones
	Zone     string                       `json:"zone"`     // IANA name of the zone of times that name none; "": UTC

	kind  schemas.Kind
	zone  *time.Location
	items path
	paths map[string]path // every place, parsed
}

// shortNames are the names by which the convenience form calls fields, and the contract's names for the same.
var shortNames = map[string]string{"text": "value_text", "rating": "value_number", "customer": "customer_id", "product": "product_id", "question": "question_text"}

// attributeFields are names of a mapping that are no members of data.
var attributeFields = []string{"id", "time", "tenant", "scale"}

// ParseMapping reads a mapping and names all its faults at once.
func ParseMapping(b []byte) (*Mapping, error) {
	m := &Mapping{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("read the mapping: something follows the JSON object")
	}
	return m, m.compile()
}

func (m *Mapping) compile() error {
	var errs []error
	m.zone = time.UTC
	if m.Zone != "" {
		zone, err := time.LoadLocation(m.Zone)
		if err != nil {
			errs = append(errs, fmt.Errorf("zone: %w; it is a name such as Europe/Vienna", err))
		} else {
			m.zone = zone
		}
	}
	if m.Type != "" {
		kind, ok := schemas.ParseType(m.Type)
		if !ok {
			errs = append(errs, fmt.Errorf("type: %q is no type of event, such as review.published.v1", m.Type))
		}
		m.kind = kind
	}
	if !slices.Contains([]string{"", "plain", "html", "reply"}, m.Text) {
		errs = append(errs, fmt.Errorf("text: %q, must be plain, html or reply", m.Text))
	}
	m.paths = map[string]path{}
	places := func(section string, of map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			p, err := parsePath(of[name])
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", section, name, err))
			}
			m.paths[of[name]] = p
		}
	}
	known := func(section string, names []string) {
		slices.Sort(names)
		for _, name := range names {
			if !knownField(name) {
				errs = append(errs, fmt.Errorf("%s: there is no field %q; 'earshot import -h' says where they are listed", section, name))
			}
		}
	}
	known("fields", slices.Collect(maps.Keys(m.Fields)))
	known("set", slices.Collect(maps.Keys(m.Set)))
	known("values", slices.Collect(maps.Keys(m.Values)))
	places("fields", m.Fields)
	places("metadata", m.Metadata)
	var err error
	if m.items, err = parsePath(m.Items); m.Items != "" && err != nil {
		errs = append(errs, fmt.Errorf("items: %w", err))
	}
	if !slices.ContainsFunc([]string{"text", "value_text", "rating", "value_number"}, func(n string) bool { return m.Fields[n] != "" }) {
		errs = append(errs, errors.New("fields: neither text nor rating is mapped"))
	}
	return errors.Join(errs...)
}

func knownField(name string) bool {
	if slices.Contains(attributeFields, name) || shortNames[name] != "" {
		return true
	}
	return slices.ContainsFunc(schemas.Fields(), func(f schemas.FieldSpec) bool { return f.Name == name && f.Type != "object" && f.Type != "array" })
}

// Places are the places that the mapping reads, for a table to be held against.
func (m *Mapping) Places() []string {
	seen := map[string]bool{}
	for _, of := range []map[string]string{m.Fields, m.Metadata} {
		for _, place := range of {
			for one := range strings.SplitSeq(place, "|") {
				seen[strings.TrimSpace(one)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Origin is where records come from and what they get that they do not say themselves.
type Origin struct {
	Tenant   string
	Source   string // CloudEvents source, such as /import/kiosk
	ID       string // of a record that has none
	Received time.Time
}

// scaleText is "1-5", "0 to 10" or "1..7".
var scaleText = regexp.MustCompile(`^\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|to|\.\.|/)\s*(-?\d+(?:\.\d+)?)\s*$`)

// Event makes an event of the record of which get returns the text at a place. It is strict: what does not keep the
// contract is a problem, each under the mapping's own name of its field, and then there is no event.
func (m *Mapping) Event(get func(place string) string, o Origin) (*schemas.Event, schemas.Problems) {
	e := schemas.Event{ID: o.ID, Source: o.Source, Tenant: o.Tenant, Time: o.Received}
	var ps schemas.Problems
	fault := func(name string, p *schemas.Problem) {
		p.Field = name
		ps = append(ps, *p)
	}
	names := slices.Sorted(maps.Keys(m.Fields))
	for name := range m.Set {
		if m.Fields[name] == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v := m.value(name, get)
		if v == "" {
			continue
		}
		if name == "text" || name == "value_text" {
			v = m.clean(v)
		}
		if p := m.assign(&e, name, v); p != nil {
			fault(name, p)
		}
	}
	var meta []string
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		meta = append(meta, name, get(m.Metadata[name]))
	}
	e.Data.Metadata = metadata(meta)
	m.finish(&e)
	if len(ps) > 0 {
		return nil, ps
	}
	kept, more := schemas.DecodeStructured(schemas.AppendStructured(nil, &e), o.Received)
	return kept, more
}

// value is what the record, or else the mapping, says of a field.
func (m *Mapping) value(name string, get func(string) string) string {
	v := ""
	if place := m.Fields[name]; place != "" {
		v = strings.TrimSpace(get(place))
	}
	if ours, ok := m.Values[name][v]; ok {
		v = ours
	}
	if v == "" {
		v = m.Set[name]
	}
	return v
}

func (m *Mapping) clean(s string) string {
	switch m.Text {
	case "html":
		return htmlText(s)
	case "reply":
		return replyText(s)
	}
	return plain(s)
}

func (m *Mapping) assign(e *schemas.Event, name, v string) *schemas.Problem {
	switch name {
	case "id":
		e.ID = v
	case "tenant":
		e.Tenant = v
	case "time":
		t, ok := m.parseTime(v)
		if !ok {
			return &schemas.Problem{Value: shown(v), Bound: "RFC 3339, or the mapping's time layout", Detail: "is not a time", Reason: schemas.ReasonSchema}
		}
		e.Time = t
	case "scale":
		ends := scaleText.FindStringSubmatch(v)
		if ends == nil {
			return &schemas.Problem{Value: shown(v), Bound: "two numbers, such as 1-5", Detail: "is not a scale", Reason: schemas.ReasonSchema}
		}
		lo, _ := strconv.ParseFloat(ends[1], 64) // the expression lets numbers only pass
		hi, _ := strconv.ParseFloat(ends[2], 64)
		e.Data.ScaleMin, e.Data.ScaleMax = &lo, &hi
	default:
		if long := shortNames[name]; long != "" {
			name = long
		}
		return e.Data.Set(name, v)
	}
	return nil
}

func (m *Mapping) parseTime(v string) (time.Time, bool) {
	if m.Time != "" {
		t, err := time.ParseInLocation(m.Time, v, m.zone)
		return t, err == nil
	}
	if t := when(v); !t.IsZero() {
		for _, zoneless := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
			if local, err := time.ParseInLocation(zoneless, v, m.zone); err == nil {
				return local, true
			}
		}
		return t, true
	}
	return time.Time{}, false
}

// finish fills in what follows from the rest: the kind, and the usual scale of a rating that has none.
func (m *Mapping) finish(e *schemas.Event) {
	e.Kind = m.kind
	if e.Kind == "" {
		e.Kind = schemas.FeedbackReceived
		if e.Data.Text == "" {
			e.Kind = schemas.RatingSubmitted
		}
	}
	d := &e.Data
	if d.Number == nil || d.ScaleMin != nil || d.ScaleMax != nil || d.FieldType == "number" {
		return
	}
	ends := map[string][2]float64{"nps": {0, 10}, "ces": {1, 7}}[d.FieldType]
	if ends == [2]float64{} {
		ends = [2]float64{1, 5}
	}
	d.ScaleMin, d.ScaleMax, d.FieldType = &ends[0], &ends[1], first(d.FieldType, "rating")
}

// shown keeps a stranger's value from filling a message.
func shown(s string) string {
	if r := []rune(s); len(r) > 64 {
		s = string(r[:64]) + "…"
	}
	return strconv.Quote(s)
}

// Lookup reads places of a JSON record as paths.
func (m *Mapping) Lookup(record any) func(place string) string {
	return func(place string) string { return m.paths[place].text(record) }
}

// Adapter returns an adapter for JSON documents of which the mapping says where things are. A record against the contract
// makes the whole delivery unreadable, because its sender should hear of it.
func (m *Mapping) Adapter() Adapter {
	return func(d *Delivery) ([]schemas.Event, error) {
		doc, err := ParseRecord(d.Body)
		if err != nil {
			return nil, err
		}
		records := []any{doc}
		if m.Items != "" {
			records = m.items.all(doc)
		}
		if len(records) == 1 {
			if list, ok := records[0].([]any); ok { // the place of a list stands for its elements
				records = list
			}
		}
		var events []schemas.Event
		for i, record := range records {
			b, err := json.Marshal(record)
			if err != nil {
				return nil, fmt.Errorf("%w: record %d: %w", ErrPayload, i, err)
			}
			e, ps := m.Event(m.Lookup(record), Origin{Tenant: d.Tenant, Source: "/" + d.Channel + "/" + schemas.Token(d.Source),
				ID: "record-" + schemas.KeyToken(d.Tenant, string(b)), Received: d.Received})
			if len(ps) > 0 {
				return nil, fmt.Errorf("%w: record %d: %w", ErrPayload, i, ps)
			}
			events = append(events, *e)
		}
		return events, nil
	}
}

// ParseRecord reads a JSON text for [Mapping.Lookup]; numbers keep the form they were written in.
func ParseRecord(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows the JSON", ErrPayload)
	}
	return doc, nil
}
