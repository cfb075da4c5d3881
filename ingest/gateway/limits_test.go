package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

func TestTheLogsErrorsBecomeAnswersThatSayWhenToComeBack(t *testing.T) {
	for _, c := range []struct {
		claim string
		err   error
		code  int
		typ   string
		after string
	}{
		{"busy", fmt.Errorf("publish: %w", schemas.ErrBusy), 503, typeBusy, "1"},
		{"unavailable", fmt.Errorf("publish: %w", schemas.ErrUnavailable), 503, typeUnavailable, "5"},
		{"no answer in time", context.DeadlineExceeded, 503, typeUnavailable, "5"},
		{"a refusal nobody foresaw", errors.New("subject not allowed"), 500, typeInternal, ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, nil)
			h.log.setErr(c.err)
			for range 3 {
				w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured)
				if a := read(t, w); w.Code != c.code || a.Type != c.typ || w.Header().Get("Retry-After") != c.after {
					t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
				}
			}
			h.log.setErr(nil)
			if w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured); w.Code != 202 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			// One line when the log fails, one when it is back; a busy log is no change of state.
			want := 2
			if c.typ == typeBusy {
				want = 0
			}
			if n := strings.Count(h.out.String(), "\n"); n != want {
				t.Errorf("%d lines were logged, want %d:\n%s", n, want, h.out)
			}
			if strings.Contains(h.out.String(), "crushed") {
				t.Error("the log holds a customer's words")
			}
		})
	}
}

func TestTheLogGetsALimitedTime(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.PublishTimeout = 10 * time.Millisecond })
	h.log.wait = make(chan struct{}) // never closed
	if w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured); w.Code != 503 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestOneAddressSendsNoMoreThanItsRate(t *testing.T) {
	now := clock
	h := newHouse(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.EventsPerSecond, c.MaxBatchEvents, c.Burst = 2, 4, 4
	})
	post := func(addr string, n int) *httptest.ResponseRecorder {
		events := make([]string, n)
		for i := range events {
			events[i] = event(fmt.Sprint(i))
		}
		r := httptest.NewRequest("POST", "/v1/events", strings.NewReader("["+strings.Join(events, ",")+"]"))
		r.Header.Set("Content-Type", batched)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		return w
	}
	for i, c := range []struct {
		claim string
		pass  time.Duration
		addr  string
		n     int
		code  int
		after string
	}{
		{"a burst is granted", 0, "192.0.2.1:1000", 3, 202, ""},
		{"two more than the one that is left: half a second, rounded up", 0, "192.0.2.1:1001", 2, 429, "1"},
		{"a refusal costs nothing", 0, "192.0.2.1:1002", 1, 202, ""},
		{"nothing is left: the body is not even read", 0, "192.0.2.1:1003", 1, 429, "1"},
		{"another address has its own", 0, "192.0.2.2:1000", 4, 202, ""},
		{"four need two seconds", 0, "192.0.2.1:1004", 4, 429, "1"},
		{"after one second there are two", time.Second, "192.0.2.1:1005", 2, 202, ""},
		{"four are two seconds away when one is there", 500 * time.Millisecond, "192.0.2.1:1006", 4, 429, "2"},
		{"after a long time there is a burst, not more", time.Hour, "192.0.2.1:1007", 4, 202, ""},
	} {
		now = now.Add(c.pass)
		w := post(c.addr, c.n)
		if w.Code != c.code || w.Header().Get("Retry-After") != c.after {
			t.Fatalf("%d %s: %d, Retry-After %q; want %d, %q", i, c.claim, w.Code, w.Header().Get("Retry-After"), c.code, c.after)
		}
		if w.Code == 429 && read(t, w).Type != typeRate {
			t.Errorf("%s", w.Body)
		}
	}
	if n := len(h.clients.bucket); n != 1 {
		t.Errorf("%d addresses are remembered, the one that has been quiet for an hour should be forgotten", n)
	}
}

func TestBytesInFlightAreBounded(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxBatchBytes, c.MaxInFlightBytes = 1024, 1024 })
	h.log.wait, h.log.in = make(chan struct{}), make(chan struct{})
	first := make(chan *httptest.ResponseRecorder)
	body := "[" + event("1") + strings.Repeat(" ", 400) + "]" // more than half of what may be in flight
	go func() { first <- h.do("POST", "/v1/events", body, "Content-Type", batched) }()
	<-h.log.in
	w := h.do("POST", "/v1/events", body, "Content-Type", batched)
	if a := read(t, w); w.Code != 429 || a.Type != typeOverload || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	close(h.log.wait)
	if w := <-first; w.Code != 202 {
		t.Errorf("the first: %d %s", w.Code, w.Body)
	}
	h.log.in = nil
	if w := h.do("POST", "/v1/events", body, "Content-Type", batched); w.Code != 202 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

func TestMetricsCountEventsByChannelAndOutcome(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.EventsPerSecond, c.MaxBatchEvents = 0.001, 3 })
	post := func(body string) { h.do("POST", "/v1/events", body, "Content-Type", batched) }
	post("[" + event("1") + "," + event("2", "support", "email") + "," + event("3") + "]")
	post("[{},{}," + event("1") + "]")
	h.do("GET", "/nowhere/secret-text", "")
	page := h.do("GET", "/metrics", "").Body.String()
	for _, line := range []string{
		`earshot_ingest_events_total{channel="support",outcome="accepted"} 2`,
		`earshot_ingest_events_total{channel="email",outcome="accepted"} 1`,
		`earshot_ingest_requests_total{code="202",route="events"} 1`,
		`earshot_ingest_requests_total{code="429",route="events"} 1`,
		`earshot_ingest_requests_total{code="404",route="other"} 1`,
		`earshot_ingest_request_duration_seconds_count{route="events"} 2`,
		`earshot_ingest_in_flight_requests 1`, // the one that asks
		`earshot_ingest_in_flight_bytes 0`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
	h2 := newHouse(t, nil)
	h2.do("POST", "/v1/events", "[{},{},"+event("1")+"]", "Content-Type", batched)
	page += h2.do("GET", "/metrics", "").Body.String()
	if !strings.Contains(page, `earshot_ingest_events_total{channel="unknown",outcome="invalid"} 2`) {
		t.Error("two faulty events are not counted")
	}
	if strings.Contains(page, "crushed") || strings.Contains(page, "secret") {
		t.Error("a label holds what a client chose")
	}
}
