package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/earshot/earshot/schemas"
)

// The types of problems, as URI references (RFC 9457, section 3.1.1). They are stable: clients may switch on them.
const (
	typeInvalid     = "/problems/invalid-event"
	typeBody        = "/problems/unreadable-body"
	typeTooLarge    = "/problems/too-large"
	typeMediaType   = "/problems/unsupported-media-type"
	typeEncoding    = "/problems/unsupported-encoding"
	typeNotFound    = "/problems/not-found"
	typeMethod      = "/problems/method-not-allowed"
	typeTimeout     = "/problems/body-too-slow"
	typeRate        = "/problems/too-many-events"
	typeOverload    = "/problems/too-much-in-flight"
	typeBusy        = "/problems/busy"
	typeUnavailable = "/problems/log-unavailable"
	typeInternal    = "/problems/internal"
	typeUnproven    = "/problems/not-proven"
	typeForbidden   = "/problems/not-allowed"
)

// titles are the short names of the types; a type has one title whatever happened.
var titles = map[string]string{
	typeInvalid:     "The events do not keep the contract",
	typeBody:        "The body cannot be read",
	typeTooLarge:    "The request is too large",
	typeMediaType:   "The content type is not spoken here",
	typeEncoding:    "The content encoding is not spoken here",
	typeNotFound:    "There is no such page",
	typeMethod:      "The page does not take this method",
	typeTimeout:     "The body came too slowly",
	typeRate:        "This client sends too fast",
	typeOverload:    "Too many requests are under way",
	typeBusy:        "The log is busy",
	typeUnavailable: "The log cannot take writes now",
	typeInternal:    "The gateway failed",
	typeUnproven:    "The sender is not proven",
	typeForbidden:   "The key does not allow this",
}

// problem is the body of every answer that is not a success.
type problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail"`
	Problems []fault `json:"problems,omitempty"`
	Omitted  int     `json:"omitted,omitempty"` // faults beyond maxFaults

	retryAfter time.Duration // header Retry-After, rounded up to seconds; 0: none
}

// fault is one fault of one event.
type fault struct {
	Event *int `json:"event,omitempty"` // index of the event in the request, from 0; absent: the request as a whole
	schemas.Problem
}

// maxFaults bounds an answer: five thousand broken events must not become an answer of megabytes.
const maxFaults = 1000

// faults turns the problems of the event at index into faults; a negative index is the request as a whole.
func faults(index int, ps schemas.Problems) []fault {
	out := make([]fault, len(ps))
	for i := range ps {
		out[i].Problem = ps[i]
		if index >= 0 {
			out[i].Event = &index
		}
	}
	return out
}

// invalid is the answer to a request of n events of which faulty have the given faults. Nothing of it was published. What
// cannot be read at all is a 400, what is too large a 413, and what can be read but does not keep the contract a 422.
func invalid(n, faulty int, list []fault) problem {
	p := problem{Type: typeInvalid, Status: http.StatusUnprocessableEntity, Problems: list}
	for i := range list {
		switch {
		case list[i].Field == "" && list[i].Reason == schemas.ReasonTooLarge:
			p.Type, p.Status = typeTooLarge, http.StatusRequestEntityTooLarge
		case list[i].Reason == schemas.ReasonParse && p.Status != http.StatusRequestEntityTooLarge:
			p.Status = http.StatusBadRequest
		}
	}
	switch {
	case n == 1:
		p.Detail = plural(len(list), "fault") + "; nothing was stored"
	case faulty > 0:
		p.Detail = fmt.Sprintf("%s in %d of %d events; nothing was stored", plural(len(list), "fault"), faulty, n)
	default:
		p.Detail = "the batch cannot be taken; nothing was stored"
	}
	if len(list) > maxFaults {
		p.Problems, p.Omitted = list[:maxFaults], len(list)-maxFaults
	}
	return p
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func writeProblem(w http.ResponseWriter, p problem) {
	p.Title = titles[p.Type]
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Errorf("encode a problem: %w", err)) // strings and integers only: it cannot happen
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n')) // a client that has gone cannot be told
}
