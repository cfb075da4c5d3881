package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// transport answers requests.
type transport func(*http.Request) *http.Response

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r), nil }

// Who is over its rate waits as long as it is told and goes on, for however long that takes; who is told nothing asks again
// soon.
func TestPublishKeepsToItsRate(t *testing.T) {
	for claim, c := range map[string]struct {
		after string // header Retry-After
		times int    // that it is told to wait
		took  time.Duration
	}{
		"told seconds":          {"7", 3, 21 * time.Second},
		"told nothing":          {"", 3, 300 * time.Millisecond},
		"told nonsense":         {"-5", 2, 200 * time.Millisecond},
		"told too long":         {"86400", 2, 2 * time.Minute},
		"for more than an hour": {"60", 100, 100 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			p := newPublication(&publishOptions{url: "http://gateway", batch: 10, parallel: 1}, "file", io.Discard)
			p.client.Transport = transport(func(r *http.Request) *http.Response {
				io.Copy(io.Discard, r.Body)
				w := &http.Response{StatusCode: http.StatusAccepted, Header: http.Header{}, Body: http.NoBody, Request: r}
				if asked++; asked <= c.times {
					w.StatusCode = http.StatusTooManyRequests
					w.Header.Set("Retry-After", c.after)
				}
				return w
			})
			p.client.Timeout = 0
			began := time.Now()
			err := p.send(context.Background(), strings.NewReader(`{"text":"late"}`+"\n"))
			if took := time.Since(began); err != nil || took != c.took || p.accepted.Load() != 1 {
				t.Errorf("%s: it took %v, want %v; %d accepted, %v", claim, took, c.took, p.accepted.Load(), err)
			}
		})
	}
}
