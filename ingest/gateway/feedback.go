package gateway

import (
	"net/http"
	"strings"

	"github.com/earshot/earshot/schemas"
)

const (
	feedbackMedia  = "application/json, application/x-www-form-urlencoded or text/plain"
	feedbackSource = "/v1/feedback" // of feedback that names no source
	feedbackTenant = "default"      // of feedback that names no tenant

	// headerIdempotent is taken as the id of feedback that has none: a retry with the same key is the same event.
	headerIdempotent = "Idempotency-Key"
)

// feedback takes the convenience form: POST /v1/feedback. It becomes a CloudEvent and is judged like any other.
func (g *Gateway) feedback(w http.ResponseWriter, r *http.Request) {
	media, ok := mediaType(r)
	var parse func([]byte) (*form, schemas.Problems)
	switch media {
	case "application/json":
		parse = parseJSON
	case "application/x-www-form-urlencoded":
		parse = parseURLEncoded
	case "text/plain":
		parse = parseText
	default:
		ok = false
	}
	if !ok {
		writeProblem(w, badMedia(media, feedbackMedia))
		return
	}
	b, release, ok := g.body(w, r, schemas.MaxEventBytes)
	if !ok {
		return
	}
	defer release()
	now := g.cfg.Now()
	g.one(w, r, b, now, func() (*schemas.Event, []byte, schemas.Problems) {
		f, ps := parse(b)
		if f == nil {
			return nil, nil, ps
		}
		key := unquote(strings.TrimSpace(r.Header.Get(headerIdempotent)))
		raw, missing := f.event(key, now)
		e, more := schemas.DecodeStructured(raw, now)
		if ps = append(append(ps, missing...), f.rename(more)...); len(ps) > 0 {
			return nil, nil, ps
		}
		return e, raw, nil
	})
}
