package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Hooks judges what providers push to /v1/hooks/<channel>/<source>: whether it is theirs, and what is in it. Its errors
// are [ErrUnproven], [ErrNotACall] and [ErrUnreadable], wrapped or not; nothing is stored after one.
type Hooks interface {
	Receive(channel, source string, call *HookCall, now time.Time) (*HookAnswer, error)
}

// HookCall is a request as a signature covers it.
type HookCall struct {
	Method string
	URL    string // as the sender called it: the public one
	Header http.Header
	Body   []byte
}

// HookAnswer is what a call brought.
type HookAnswer struct {
	Events      []schemas.Event
	ContentType string // of Body
	Body        []byte // what the provider wants to read; nil: the gateway's own answer
}

// Faults of a call.
var (
	ErrUnproven   = errors.New("the call is not proven to come from a source that is configured")
	ErrNotACall   = errors.New("the method is not one that a source is called with")
	ErrUnreadable = errors.New("the body is not what the channel sends")
)

// hookPrefix begins the address of every source.
const hookPrefix = "/v1/hooks/"

// hook takes a call of a source. Providers take any answer but one of success for a reason to send again, and some take
// only 200 for success, so that is the answer, after the log has the events.
func (g *Gateway) hook(w http.ResponseWriter, r *http.Request) {
	channel, source, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, hookPrefix), "/")
	call := &HookCall{Method: r.Method, URL: g.publicURL(r), Header: r.Header}
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		b, release, ok := g.body(w, r, g.cfg.MaxBatchBytes)
		if !ok {
			return
		}
		defer release()
		call.Body = b
	}
	now := g.cfg.Now()
	got, err := g.cfg.Hooks.Receive(channel, source, call, now)
	if err != nil {
		g.refuseHook(w, channel, source, err)
		return
	}
	raw := make([][]byte, len(got.Events))
	events := make([]*schemas.Event, len(got.Events))
	var list []fault
	for i := range got.Events {
		raw[i] = schemas.AppendStructured(nil, &got.Events[i])
		var ps schemas.Problems
		events[i], ps = schemas.DecodeStructured(raw[i], now)
		list = append(list, faults(i, ps)...)
	}
	if len(list) > 0 {
		g.metrics.count(noChannel, outcomeInvalid, len(events))
		writeProblem(w, invalid(len(events), len(events), list))
		return
	}
	answer := accepted{IDs: []string{}, EventIDs: []string{}}
	if len(events) > 0 {
		var ok bool
		if answer, ok = g.commit(w, r, events, raw); !ok {
			return
		}
	}
	body, kind := got.Body, got.ContentType
	if kind == "" {
		kind = "application/json"
		if body, err = json.Marshal(answer); err != nil {
			panic(err) // strings only: it cannot happen
		}
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body) // a provider that has gone will send again, and be counted as a duplicate
	}
}

// publicURL is the address under which the sender called, which behind a proxy only the operator knows.
func (g *Gateway) publicURL(r *http.Request) string {
	if g.cfg.PublicURL != "" {
		return strings.TrimRight(g.cfg.PublicURL, "/") + r.URL.RequestURI()
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

// refuseHook answers a call from which nothing was taken. The sender is not told what is wrong with its proof; the log
// is, once a second at most, so that nobody can fill it.
func (g *Gateway) refuseHook(w http.ResponseWriter, channel, source string, err error) {
	p := problem{Type: typeUnproven, Status: http.StatusUnauthorized,
		Detail: "there is no such source, or the request is not proven to come from it; nothing was stored"}
	outcome := outcomeUnproven
	switch {
	case errors.Is(err, ErrNotACall):
		p = problem{Type: typeMethod, Status: http.StatusMethodNotAllowed, Detail: "this page takes POST from providers, and their handshakes"}
		w.Header().Set("Allow", "GET, HEAD, POST, PUT")
	case errors.Is(err, ErrUnreadable):
		p = problem{Type: typeInvalid, Status: http.StatusUnprocessableEntity,
			Detail: "the body is not what this channel sends; nothing was stored, and sending it again will not help"}
		outcome = outcomeInvalid
	}
	g.metrics.count(noChannel, outcome, 1)
	if g.refusals.AllowN(g.cfg.Now(), 1) {
		g.cfg.Logger.Warn().Err(err).Str("channel", shorten(channel)).Str("source", shorten(source)).
			Msg("a hook was called and nothing was taken from it")
	}
	writeProblem(w, p)
}
