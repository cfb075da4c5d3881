package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

// scripted answers every call with what the test says, and remembers the call.
type scripted struct {
	call            *HookCall
	channel, source string
	answer          *HookAnswer
	err             error
}

func (s *scripted) Receive(channel, source string, call *HookCall, _ time.Time) (*HookAnswer, error) {
	s.call, s.channel, s.source = call, channel, source
	return s.answer, s.err
}

func pushed(id string) schemas.Event {
	return schemas.Event{ID: id, Source: "/zendesk/acme", Kind: schemas.FeedbackReceived, Tenant: "acme", Time: clock, Data: schemas.Data{Channel: "support", Text: "Late again."}}
}

func TestAHookIsAnsweredAfterTheLogHasItsEvents(t *testing.T) {
	s := &scripted{answer: &HookAnswer{Events: []schemas.Event{pushed("1"), pushed("2")}}}
	h := newHouse(t, func(c *Config) { c.Hooks, c.PublicURL = s, "https://feedback.acme.example/" })
	w := h.do("POST", "/v1/hooks/zendesk/acme?a=b", "the raw body \xff", "X-Sig", "s")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"accepted":2`) || len(h.log.stored()) != 2 {
		t.Errorf("%d %s, %d stored", w.Code, w.Body, len(h.log.stored()))
	}
	if s.channel != "zendesk" || s.source != "acme" || string(s.call.Body) != "the raw body \xff" || s.call.Header.Get("X-Sig") != "s" ||
		s.call.URL != "https://feedback.acme.example/v1/hooks/zendesk/acme?a=b" {
		t.Errorf("the call was %s %s %+v", s.channel, s.source, s.call)
	}
	h.log.setErr(schemas.ErrUnavailable)
	if w := h.do("POST", "/v1/hooks/zendesk/acme", "x"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without the log: %d", w.Code)
	}
}

func TestHookAnswers(t *testing.T) {
	broken := pushed("1")
	broken.Data.Text = ""
	for _, c := range []struct {
		claim  string
		method string
		answer *HookAnswer
		err    error
		code   int
		body   string
	}{
		{"nothing in it", "POST", &HookAnswer{}, nil, 200, `{"accepted":0,"ids":[],"event_ids":[]}`},
		{"what the provider wants to read", "POST", &HookAnswer{ContentType: "text/xml", Body: []byte("<Response/>")}, nil, 200, "<Response/>"},
		{"a handshake", "GET", &HookAnswer{ContentType: "text/plain", Body: []byte("777")}, nil, 200, "777"},
		{"a wrong signature", "POST", nil, fmt.Errorf("%w: no secret fits", ErrUnproven), 401, "not proven"},
		{"another method", "GET", nil, ErrNotACall, 405, "POST"},
		{"a method that nobody has", "DELETE", nil, nil, 405, "POST"},
		{"a body of another channel", "POST", nil, ErrUnreadable, 422, "nothing was stored"},
		{"an error that is none of these", "POST", nil, errors.New("?"), 401, "not proven"},
		{"an event against the contract", "POST", &HookAnswer{Events: []schemas.Event{broken}}, nil, 422, "value_text"},
	} {
		s := &scripted{answer: c.answer, err: c.err}
		h := newHouse(t, func(cfg *Config) { cfg.Hooks = s })
		w := h.do(c.method, "/v1/hooks/zendesk/acme", "body of a customer")
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %s", c.claim, w.Code, w.Body)
		}
		if len(h.log.stored()) > 0 {
			t.Errorf("%s: something was stored", c.claim)
		}
		if strings.Contains(h.out.String(), "body of a customer") {
			t.Errorf("%s: the log holds the body: %s", c.claim, h.out)
		}
	}
}

// Whoever does not know a secret can call as often as they like; the gateway's own log stays short.
func TestRefusedHooksDoNotFillTheLog(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Hooks = &scripted{err: ErrUnproven} })
	for i := range 200 {
		h.do("POST", fmt.Sprintf("/v1/hooks/x%%0a%%1b[31m/%d%s", i, strings.Repeat("y", 500)), "")
	}
	if n := strings.Count(h.out.String(), "\n"); n != 1 || h.out.Len() > 1000 {
		t.Errorf("%d lines, %d bytes: %s", n, h.out.Len(), h.out)
	}
	if strings.ContainsAny(h.out.String(), "\x1b") {
		t.Error("a control character got into the log")
	}
}

func TestWithoutHooksThereIsNoSuchPage(t *testing.T) {
	h := newHouse(t, nil)
	if w := h.do("POST", "/v1/hooks/zendesk/acme", "{}"); w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
}

func TestHookBodiesAreBounded(t *testing.T) {
	s := &scripted{answer: &HookAnswer{}}
	h := newHouse(t, func(c *Config) { c.Hooks, c.MaxBatchBytes = s, 1000 })
	if w := h.do("POST", "/v1/hooks/zendesk/acme", strings.Repeat("x", 1001)); w.Code != http.StatusRequestEntityTooLarge || s.call != nil {
		t.Errorf("%d, called %v", w.Code, s.call != nil)
	}
}
