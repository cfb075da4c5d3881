package schemas

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Attributes are the context attributes of a CloudEvent in binary mode, names in lower case without the "ce-" prefix,
// values percent-decoded.
type Attributes map[string]string

// attributeNames are the context attributes that the contract reads, in the order in which faults are reported.
var attributeNames = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
	"tenantid", "correlationid", "causationid", "traceparent"}

func knownAttribute(name string) bool { return slices.Contains(attributeNames, name) }

// attributes takes all attributes of an event in binary mode, in a fixed order.
func (d *decoder) attributes(attrs Attributes) {
	for _, name := range attributeNames {
		if v, ok := attrs[name]; ok {
			d.attribute(name, v)
		}
	}
	var others []string
	for name := range attrs {
		if !knownAttribute(name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		d.attribute(name, attrs[name])
	}
}

// attribute takes one context attribute; unknown ones are extensions of others and are let pass. CloudEvents allows no
// control characters in a string attribute.
func (d *decoder) attribute(name, value string) {
	if !utf8.ValidString(value) {
		d.add(quoteName(name), quote(strings.ToValidUTF8(value, "\uFFFD")), "UTF-8", "is not UTF-8", ReasonParse)
		return
	}
	if i := strings.IndexFunc(value, isControl); i >= 0 {
		d.add(quoteName(name), quote(value), "no control characters", "holds a control character", ReasonSchema)
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

// isControl holds for C0, DEL and C1.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// DecodeRecord reads a message of the log, in whichever of the two modes it was stored.
func DecodeRecord(r *Record) (*Event, Problems) {
	ct := headerValue(r.Header, HeaderContentType)
	structured := len(ct) >= len(ContentTypeEvent) && strings.EqualFold(ct[:len(ContentTypeEvent)], ContentTypeEvent)
	if !structured {
		if attrs := binaryAttributes(r.Header); len(attrs) > 0 {
			if ct != "" {
				attrs["datacontenttype"] = ct
			}
			return DecodeBinary(attrs, r.Data, r.Time)
		}
	}
	return DecodeStructured(r.Data, r.Time)
}

// headerValue finds a header whatever its case. Where a message has it in several spellings the one in lower case wins,
// else the last in byte order: a replay must read what the first reading read.
func headerValue(h map[string]string, name string) string {
	if v, ok := h[name]; ok {
		return v
	}
	best := ""
	for k := range h {
		if k > best && strings.EqualFold(k, name) {
			best = k
		}
	}
	return h[best]
}

func binaryAttributes(h map[string]string) Attributes {
	var attrs Attributes
	var spelt map[string]string // the spelling each attribute was taken from; see headerValue for which wins
	for k, v := range h {
		if len(k) <= 3 || !strings.EqualFold(k[:3], "ce-") {
			continue
		}
		if attrs == nil {
			attrs, spelt = Attributes{}, map[string]string{}
		}
		name := strings.ToLower(k[3:])
		if k > spelt[name] {
			attrs[name], spelt[name] = PercentDecode(v), k
		}
	}
	return attrs
}

// PercentDecode undoes the percent-encoding that the CloudEvents HTTP and NATS bindings prescribe for header values. A
// sequence that is not an encoding stays as it is.
func PercentDecode(s string) string {
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
