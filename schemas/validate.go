package schemas

import (
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// earliest is the oldest time an event may bear: older ones are a lost epoch, not a date.
var earliest = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)

// finish checks what can only be judged when the whole event has been read.
func (d *decoder) finish() {
	e := d.event
	if d.spec != "1.0" && !d.faulted("specversion") {
		if d.spec == "" {
			d.required("specversion", "")
		} else {
			d.add("specversion", quote(d.spec), "1.0", "is not a version of CloudEvents that is spoken here", ReasonSchema)
		}
	}
	d.required("id", e.ID)
	d.required("source", e.Source)
	if e.Source != "" && !isURIReference(e.Source) {
		d.add("source", quote(e.Source), "a URI reference, such as /zendesk/acme", "is not a URI reference", ReasonSchema)
	}
	d.required("type", e.Type)
	d.when()
	d.required("tenantid", e.Tenant)
	d.bounded("subject", e.Subject, MaxIDLength)
	d.bounded("correlationid", e.Correlation, MaxIDLength)
	d.bounded("causationid", e.Causation, 2*MaxIDLength+1)
	d.bounded("traceparent", e.TraceParent, MaxIDLength)
	if d.content != "" && !isJSON(d.content) {
		d.add("datacontenttype", quote(d.content), "application/json", "cannot be read", ReasonSchema)
	}
	if e.Type != "" {
		kind, ok := ParseType(e.Type)
		if !ok {
			d.add("type", quote(e.Type), kindNames(), "is not a kind of event that is known here", ReasonSchema)
		}
		e.Kind = kind
	}
	if d.noData {
		return
	}
	if !d.sawData {
		d.add("data", "", "a JSON object", "is missing", ReasonSchema)
		return
	}
	if e.Data.Channel == "" {
		e.Data.Channel = "other"
	}
	d.scale()
	if len(d.extra) > MaxMetadataBytes {
		d.add("data", fmt.Sprintf("%d bytes of unknown members", len(d.extra)), fmt.Sprintf("at most %d bytes", MaxMetadataBytes), "is too large", ReasonTooLarge)
	} else if len(d.extra) > 0 {
		e.Data.Extra = append(append([]byte{'{'}, d.extra...), '}')
	}
	if e.Kind != "" {
		d.kind()
	}
}

// isURIReference says whether s can be a URI reference (RFC 3986). Letters beyond ASCII are let pass, as in an IRI.
func isURIReference(s string) bool {
	plain := !strings.HasPrefix(s, "//")
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = tokenByte(c) || c == '/' || c == '.' || c == '~'
	}
	if plain {
		return true
	}
	_, err := url.Parse(s)
	return err == nil && !strings.ContainsAny(s, " <>\"\\^`{|}")
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

func kindNames() string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].Kind.Type()
	}
	return strings.Join(names, ", ")
}

func (d *decoder) required(name, value string) {
	if value == "" {
		if !d.faulted(name) {
			d.add(name, "", "required", "is missing", ReasonSchema)
		}
		return
	}
	d.bounded(name, value, MaxIDLength)
}

func (d *decoder) bounded(name, value string, limit int) {
	if len(value) <= limit {
		return
	}
	if n := utf8.RuneCountInString(value); n > limit {
		d.add(name, fmt.Sprintf("%d characters", n), fmt.Sprintf("at most %d characters", limit), "is too long", ReasonTooLarge)
	}
}

// when reads the time and holds it against the receipt.
func (d *decoder) when() {
	if d.time == "" {
		d.required("time", "")
		return
	}
	t, ok := parseTime(d.time)
	if !ok {
		d.add("time", quote(d.time), "RFC 3339, such as 2026-11-20T08:31:07Z", "is not a time", ReasonSchema)
		return
	}
	t = t.UTC().Truncate(time.Millisecond)
	switch latest := d.received.Add(MaxSkew); {
	case t.After(latest):
		d.add("time", quote(d.time), "at most "+latest.UTC().Format(time.RFC3339), "is in the future", ReasonSchema)
	case t.Before(earliest):
		d.add("time", quote(d.time), "at least "+earliest.Format(time.RFC3339), "is not a time anybody gave feedback", ReasonSchema)
	}
	d.event.Time = t
}

// scale holds a number against its scale, and a scale against its type.
func (d *decoder) scale() {
	lo, hi, x := d.event.Data.ScaleMin, d.event.Data.ScaleMax, d.event.Data.Number
	if lo != nil && hi != nil && *lo >= *hi {
		d.add("data.scale_max", fmt.Sprint(*hi), fmt.Sprintf("more than scale_min, %g", *lo), "is not above the scale's lowest answer", ReasonSchema)
		return
	}
	if x == nil {
		return
	}
	if lo == nil && hi == nil && d.event.Data.FieldType == "nps" {
		zero, ten := 0.0, 10.0
		lo, hi = &zero, &ten
	}
	if lo != nil && *x < *lo || hi != nil && *x > *hi {
		d.add("data.value_number", fmt.Sprint(*x), scaleBound(lo, hi), "is off its scale", ReasonSchema)
	}
}

func scaleBound(lo, hi *float64) string {
	switch {
	case lo == nil:
		return fmt.Sprintf("at most %g", *hi)
	case hi == nil:
		return fmt.Sprintf("at least %g", *lo)
	}
	return fmt.Sprintf("%g … %g", *lo, *hi)
}

// kind holds the data against what its kind requires.
func (d *decoder) kind() {
	spec, _ := d.event.Kind.Spec()
	for _, name := range spec.Required {
		if !d.event.Data.has(name) && !d.faulted("data."+name) {
			d.add("data."+name, "", "required by "+spec.Kind.Type(), "is missing", ReasonSchema)
		}
	}
	for _, name := range spec.AnyOf {
		if d.event.Data.has(name) || d.faulted("data."+name) {
			return
		}
	}
	if len(spec.AnyOf) > 0 {
		d.add("data", "", "one of "+strings.Join(spec.AnyOf, ", ")+" is required by "+spec.Kind.Type(), "is incomplete", ReasonSchema)
	}
}

// faulted says whether the field was given but wrong, so that it is not called missing as well.
func (d *decoder) faulted(path string) bool {
	for i := range d.problems {
		if d.problems[i].Field == path {
			return true
		}
	}
	return false
}

// has says whether the field was given; an empty string is the same as none.
func (data *Data) has(name string) bool {
	f := fieldByName[name]
	switch {
	case f.text != nil:
		return *f.text(data) != ""
	case f.number != nil:
		return *f.number(data) != nil
	case f.flag != nil:
		return *f.flag(data) != nil
	}
	return false
}

func validDate(s string, dateOnly bool) bool {
	if _, ok := parseTime(s); ok {
		return true
	}
	_, err := time.Parse(time.DateOnly, s)
	return dateOnly && err == nil && len(s) == len(time.DateOnly)
}

// parseTime reads RFC 3339 to the letter. time.Parse alone lets pass an hour of one digit, a comma and a zone of 99 hours.
func parseTime(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || len(s) > 64 || s[13] != ':' || strings.IndexByte(s, ',') >= 0 {
		return time.Time{}, false
	}
	if zone := s[len(s)-len("+00:00"):]; zone[3] == ':' && (zone[1:3] > "23" || zone[4:] > "59") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}
