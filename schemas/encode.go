package schemas

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendStructured appends the event in CloudEvents' structured JSON form. Decoding it gives an equal event, provided
// that e itself was decoded or keeps the contract: nothing is checked here, except that text which is not UTF-8 is made
// so with U+FFFD. An empty Type is taken from Kind.
func AppendStructured(dst []byte, e *Event) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	typ := e.Type
	if typ == "" {
		typ = e.Kind.Type()
	}
	for _, a := range [...]struct{ name, value string }{
		{`,"id":`, e.ID}, {`,"source":`, e.Source}, {`,"type":`, typ},
		{`,"time":`, e.Time.UTC().Format("2006-01-02T15:04:05.999Z07:00")},
		{`,"tenantid":`, e.Tenant}, {`,"subject":`, e.Subject}, {`,"correlationid":`, e.Correlation},
		{`,"causationid":`, e.Causation}, {`,"traceparent":`, e.TraceParent},
	} {
		if a.value != "" {
			dst = appendQuoted(append(dst, a.name...), a.value)
		}
	}
	dst = append(dst, `,"datacontenttype":"application/json","data":`...)
	return append(AppendData(dst, &e.Data), '}')
}

// AppendData appends the data of an event as a JSON object: what is the body of an event in binary mode.
func AppendData(dst []byte, data *Data) []byte {
	dst = append(dst, '{')
	first := len(dst)
	name := func(s string) {
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), s...), '"', ':')
	}
	for i := range fields {
		f := &fields[i]
		switch {
		case f.text != nil:
			if s := *f.text(data); s != "" {
				name(f.name)
				dst = appendQuoted(dst, s)
			}
		case f.number != nil:
			if x := *f.number(data); x != nil {
				name(f.name)
				dst = strconv.AppendFloat(dst, *x, 'g', -1, 64)
			}
		case f.flag != nil:
			if b := *f.flag(data); b != nil {
				name(f.name)
				dst = strconv.AppendBool(dst, *b)
			}
		case f.typ == consentField && (data.ConsentAnalytics != nil || data.ConsentContact != nil):
			name(f.name)
			dst = appendConsent(dst, data)
		case f.typ == metadataField && len(data.Metadata) > 0:
			name(f.name)
			dst = append(dst, data.Metadata...)
		case f.typ == attachField && len(data.Attachments) > 0:
			name(f.name)
			dst = append(dst, data.Attachments...)
		}
	}
	if extra := data.Extra; len(extra) > 2 {
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(dst, extra[1:len(extra)-1]...)
	}
	return append(dst, '}')
}

// AppendBinary appends an event that came in binary mode in CloudEvents' structured JSON form: every attribute as it was
// sent, extensions of others included, and data, which must be JSON, byte for byte. No data, no member data.
func AppendBinary(dst []byte, attrs Attributes, data []byte) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if name == "data" || name == "data_base64" { // no attributes, and the members of these names are taken
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = appendQuoted(dst, attrs[name])
	}
	if data = bytes.TrimSpace(data); len(data) > 0 {
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `"data":`...), data...)
	}
	return append(dst, '}')
}

func appendConsent(dst []byte, data *Data) []byte {
	dst = append(dst, '{')
	if data.ConsentAnalytics != nil {
		dst = strconv.AppendBool(append(dst, `"analytics":`...), *data.ConsentAnalytics)
		if data.ConsentContact != nil {
			dst = append(dst, ',')
		}
	}
	if data.ConsentContact != nil {
		dst = strconv.AppendBool(append(dst, `"contact":`...), *data.ConsentContact)
	}
	return append(dst, '}')
}

func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error is text that is not UTF-8, which is replaced
	return dst
}

// HeaderAttributes returns the event's context attributes as CloudEvents names them in headers, without the "ce-"
// prefix and not encoded: what an event in binary mode carries beside its data.
func (e *Event) HeaderAttributes() Attributes {
	attrs := Attributes{"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Type, "tenantid": e.Tenant,
		"time": e.Time.UTC().Format(time.RFC3339Nano)}
	if e.Type == "" {
		attrs["type"] = e.Kind.Type()
	}
	for name, v := range map[string]string{"subject": e.Subject, "correlationid": e.Correlation,
		"causationid": e.Causation, "traceparent": e.TraceParent} {
		if v != "" {
			attrs[name] = v
		}
	}
	return attrs
}
