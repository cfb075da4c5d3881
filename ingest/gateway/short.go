package gateway

import (
	"time"

	"github.com/earshot/earshot/schemas"
)

// FormDefaults are what [FromForm] takes for what a form does not say.
type FormDefaults struct {
	ID     string    // "": a new one, UUID version 7
	Tenant string    // "": "default"
	Now    time.Time // when the feedback was given, if the form does not say
}

// FromForm turns feedback in the convenience form, a JSON object such as POST /v1/feedback takes, into the bytes of a
// CloudEvent that keeps the contract. It is for senders that read such objects from a file and send them in batches.
func FromForm(b []byte, d FormDefaults) ([]byte, schemas.Problems) {
	f, ps := parseJSON(b)
	if f == nil {
		return nil, ps
	}
	if d.Tenant != "" && !f.has("tenantid") {
		f.set("tenant", quoted(d.Tenant))
	}
	raw, missing := f.event(d.ID, d.Now)
	_, more := schemas.DecodeStructured(raw, d.Now)
	return raw, append(append(ps, missing...), f.rename(more)...)
}
