package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
)

// clock is the time of every test.
var clock = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// recorder is a log in memory, for what HTTP says and does; what the real log does is tested where the two meet.
type recorder struct {
	mu   sync.Mutex
	msgs []schemas.Message
	err  error
	wait chan struct{} // not nil: Publish waits until it is closed
	in   chan struct{} // not nil: Publish says that it waits
}

func (l *recorder) Publish(ctx context.Context, msgs []schemas.Message) error {
	if l.wait != nil {
		if l.in != nil {
			l.in <- struct{}{}
		}
		select {
		case <-l.wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.msgs = append(l.msgs, msgs...)
	return nil
}

func (l *recorder) setErr(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *recorder) stored() []schemas.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]schemas.Message(nil), l.msgs...)
}

// house is a gateway over a recorder.
type house struct {
	*Gateway
	log *recorder
	reg *prometheus.Registry
	out *bytes.Buffer // what was logged
}

func newHouse(t testing.TB, change func(*Config)) *house {
	t.Helper()
	h := &house{log: &recorder{}, reg: prometheus.NewRegistry(), out: &bytes.Buffer{}}
	cfg := Config{Log: h.log, Shards: 4, Now: func() time.Time { return clock }, Registerer: h.reg, Gatherer: h.reg,
		Logger: zerolog.New(h.out)}
	if change != nil {
		change(&cfg)
	}
	var err error
	if h.Gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

// do sends one request; headers are name, value, name, value.
func (h *house) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w
}

// answer is any answer of the gateway.
type answer struct {
	Type, Title, Detail string
	Status              int
	Omitted             int
	Problems            []struct {
		Event *int
		schemas.Problem
	}
	Accepted int
	IDs      []string `json:"ids"`
	EventIDs []string `json:"event_ids"`
}

func read(t testing.TB, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("the answer is not JSON: %v: %s", err, w.Body)
	}
	if w.Code >= 400 {
		if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("the problem has content type %q", ct)
		}
		if a.Status != w.Code || a.Title == "" || a.Detail == "" || !strings.HasPrefix(a.Type, "/problems/") {
			t.Errorf("the problem is incomplete: %s", w.Body)
		}
	}
	return a
}

// event is a good event with the given id and changes to it: old, new, old, new.
func event(id string, changes ...string) string {
	e := `{"specversion":"1.0","id":"` + id + `","source":"/zendesk/acme","type":"feedback.received.v1",` +
		`"time":"2026-11-20T08:31:07Z","tenantid":"acme","data":{"channel":"support","value_text":"Parcel arrived crushed.","customer_id":"c1"}}`
	return strings.NewReplacer(changes...).Replace(e)
}

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

func TestRoutes(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct {
		claim, method, path string
		status              int
		allow               string
	}{
		{"an unknown page is 404", "GET", "/", 404, ""},
		{"a trailing slash is another page", "POST", "/v1/events/", 404, ""},
		{"events are posted", "GET", "/v1/events", 405, "POST"},
		{"feedback is posted", "PUT", "/v1/feedback", 405, "POST"},
		{"health is read", "POST", "/livez", 405, "GET, HEAD"},
		{"metrics are read", "DELETE", "/metrics", 405, "GET, HEAD"},
		{"alive", "GET", "/livez", 200, ""},
		{"alive, as others call it", "GET", "/healthz", 200, ""},
		{"alive, as Prometheus calls it", "HEAD", "/-/healthy", 200, ""},
		{"ready", "GET", "/readyz", 200, ""},
		{"ready, as Prometheus calls it", "GET", "/-/ready", 200, ""},
		{"metrics", "GET", "/metrics", 200, ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := h.do(c.method, c.path, "")
			if w.Code != c.status || w.Header().Get("Allow") != c.allow {
				t.Fatalf("%d, Allow %q; want %d, %q: %s", w.Code, w.Header().Get("Allow"), c.status, c.allow, w.Body)
			}
			if c.status >= 400 {
				read(t, w)
			}
		})
	}
}

func TestPanicBecomes500AndTheGatewayGoesOn(t *testing.T) {
	h := newHouse(t, nil)
	log := h.cfg.Log
	h.cfg.Log = panicking{}
	w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured)
	if a := read(t, w); w.Code != 500 || a.Type != typeInternal {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if s := h.out.String(); !strings.Contains(s, "panic") || strings.Contains(s, "crushed") {
		t.Fatalf("the log must name the panic and no text: %s", s)
	}
	h.cfg.Log = log
	if w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured); w.Code != 202 {
		t.Fatalf("after the panic: %d %s", w.Code, w.Body)
	}
}

type panicking struct{}

func (panicking) Publish(context.Context, []schemas.Message) error { panic("Parcel arrived crushed.") }

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{MaxBatchEvents: -1, EventsPerSecond: -1, PublishTimeout: -time.Second, MaxInFlightBytes: 1})
	for _, part := range []string{"Log", "Shards", "MaxBatchEvents", "EventsPerSecond", "PublishTimeout", "MaxInFlightBytes"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}

func TestTwoGatewaysCannotShareARegistry(t *testing.T) {
	h := newHouse(t, nil)
	if _, err := New(Config{Log: h.log, Shards: 1, Registerer: h.reg}); err == nil {
		t.Fatal("the second gateway's metrics would be lost silently")
	}
}

func TestReadiness(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	for _, c := range []struct {
		claim  string
		check  func(context.Context) error
		status int
		text   string
	}{
		{"a check that passes", func(context.Context) error { return nil }, 200, "ok"},
		{"a check that fails is named", func(context.Context) error { return io.ErrClosedPipe }, 503, "log: io: read/write on closed pipe"},
		{"a check that panics is a failed check", func(context.Context) error { panic("x") }, 503, "log: the check panicked"},
		{"a check that hangs is given up", func(context.Context) error { <-block; return nil }, 503, "log: no answer by"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, func(cfg *Config) {
				cfg.Ready = map[string]func(context.Context) error{"log": c.check}
				cfg.ReadyTimeout = 20 * time.Millisecond
			})
			w := h.do("GET", "/readyz", "")
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			w = h.do("GET", "/readyz?verbose", "")
			var v struct {
				Status string
				Checks []check
			}
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != c.status || len(v.Checks) != 1 || v.Checks[0].Name != "log" {
				t.Fatalf("%d %v %s", w.Code, err, w.Body)
			}
			if w := h.do("GET", "/livez", ""); w.Code != http.StatusOK {
				t.Fatalf("livez tests no dependency, got %d", w.Code)
			}
		})
	}
}

// A notice is shown to whoever asks for all, and turns nobody away.
func TestNoticesDoNotMakeUnready(t *testing.T) {
	h := newHouse(t, func(cfg *Config) {
		cfg.Ready = map[string]func(context.Context) error{"log": func(context.Context) error { return nil }}
		cfg.Notices = map[string]func(context.Context) error{"audit": func(context.Context) error { return io.ErrUnexpectedEOF }}
	})
	if w := h.do("GET", "/readyz", ""); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := h.do("GET", "/readyz?verbose", "")
	for _, want := range []string{`"status":"ok","draining"`, `{"name":"log","status":"ok"`, `{"name":"audit","status":"failed","error":"unexpected EOF"`} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d, want %s in %s", w.Code, want, w.Body)
		}
	}
}
