package gateway

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

const eventMedia = schemas.ContentTypeEvent + ", " + schemas.ContentTypeBatch + ", or application/json with or without ce-* headers"

// events takes CloudEvents: POST /v1/events. The mode is told by the content type, as the HTTP binding of CloudEvents
// says; application/json without ce-* headers is taken as an event or, if it is an array, as a batch.
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) {
	media, ok := mediaType(r)
	binary := !strings.HasPrefix(media, "application/cloudevents") && hasAttributes(r.Header)
	isJSON := media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
	limit := g.cfg.MaxBatchBytes
	switch {
	case ok && binary && (isJSON || media == ""), media == schemas.ContentTypeEvent:
		limit = schemas.MaxEventBytes
	case media == schemas.ContentTypeBatch, media == "application/json":
	default:
		ok = false
	}
	if !ok {
		writeProblem(w, badMedia(media, eventMedia))
		return
	}
	b, release, ok := g.body(w, r, limit)
	if !ok {
		return
	}
	defer release()
	now := g.cfg.Now()
	switch {
	case binary:
		g.one(w, r, b, now, func() (*schemas.Event, []byte, schemas.Problems) { return decodeBinary(r.Header, media, b, now) })
	case media == schemas.ContentTypeBatch || media == "application/json" && isArray(b):
		g.batch(w, r, b, now)
	default:
		g.one(w, r, b, now, func() (*schemas.Event, []byte, schemas.Problems) {
			e, ps := schemas.DecodeStructured(b, now)
			return e, b, ps
		})
	}
}

func isArray(b []byte) bool {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '['
		}
	}
	return false
}

// one takes a request of a single event, which decode reads; it returns the event and the bytes for the log.
func (g *Gateway) one(w http.ResponseWriter, r *http.Request, b []byte, now time.Time, decode func() (*schemas.Event, []byte, schemas.Problems)) {
	e, raw, ps := decode()
	if len(ps) > 0 {
		g.metrics.count(noChannel, outcomeInvalid, 1)
		writeProblem(w, invalid(1, 1, faults(0, ps)))
		return
	}
	g.publish(w, r, []*schemas.Event{e}, [][]byte{raw})
}

func (g *Gateway) batch(w http.ResponseWriter, r *http.Request, b []byte, now time.Time) {
	decoded, at, ps := schemas.DecodeBatch(b, now, g.cfg.MaxBatchEvents)
	if len(ps) > 0 {
		g.metrics.count(noChannel, outcomeInvalid, 1)
		writeProblem(w, invalid(0, 0, faults(at, ps)))
		return
	}
	events, raw := make([]*schemas.Event, len(decoded)), make([][]byte, len(decoded))
	var list []fault
	faulty := 0
	for i := range decoded {
		d := &decoded[i]
		events[i], raw[i] = d.Event, d.Raw
		if len(d.Problems) > 0 {
			faulty++
			list = append(list, faults(i, d.Problems)...)
		}
	}
	if faulty > 0 {
		g.metrics.count(noChannel, outcomeInvalid, faulty)
		writeProblem(w, invalid(len(decoded), faulty, list))
		return
	}
	g.publish(w, r, events, raw)
}

// attributePrefix is how net/http spells the prefix of attributes in headers.
const attributePrefix = "Ce-"

func hasAttributes(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, attributePrefix) {
			return true
		}
	}
	return false
}

// decodeBinary reads an event in binary mode and returns it with its structured form, in which the log keeps it.
func decodeBinary(h http.Header, media string, b []byte, now time.Time) (*schemas.Event, []byte, schemas.Problems) {
	attrs := schemas.Attributes{}
	var twice schemas.Problems
	for name, values := range h {
		bare, ok := strings.CutPrefix(name, attributePrefix)
		if !ok || bare == "" {
			continue
		}
		bare = strings.ToLower(bare)
		if len(values) > 1 {
			twice = append(twice, schemas.Problem{Field: bare, Bound: "one header ce-" + bare,
				Detail: "is given more than once", Reason: schemas.ReasonSchema})
		}
		attrs[bare] = unquote(textproto.TrimString(values[0]))
	}
	slices.SortFunc(twice, func(a, b schemas.Problem) int { return strings.Compare(a.Field, b.Field) })
	if media != "" {
		attrs["datacontenttype"] = media
	}
	e, ps := schemas.DecodeBinary(attrs, b, now)
	if ps = append(twice, ps...); len(ps) > 0 {
		return nil, nil, ps
	}
	raw := schemas.AppendBinary(make([]byte, 0, len(b)+1024), attrs, b)
	// The log keeps the structured form, so that is what must keep the contract, its size above all.
	e, ps = schemas.DecodeStructured(raw, now)
	return e, raw, ps
}

// unquote undoes how the HTTP binding of CloudEvents writes attributes in headers: quoted, if at all, then
// percent-encoded.
func unquote(v string) string {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		var b strings.Builder
		inner := v[1 : len(v)-1]
		for i := 0; i < len(inner); i++ {
			if inner[i] == '\\' && i+1 < len(inner) {
				i++
			}
			b.WriteByte(inner[i])
		}
		v = b.String()
	}
	return schemas.PercentDecode(v)
}
