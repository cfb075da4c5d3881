package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ring is keys in memory.
type ring map[string]Grant

func (r ring) Authenticate(key string, _ time.Time) (Grant, error) {
	if g, ok := r[key]; ok {
		return g, nil
	}
	return Grant{}, errors.New("the key is not known")
}

func TestAKeyAllowsWhatItIsFor(t *testing.T) {
	keys := ring{"all": {ID: "1"}, "acme": {ID: "2", Tenant: "acme"}, "support": {ID: "3", Tenant: "acme", Channels: []string{"support", "email"}}, "email": {ID: "4", Channels: []string{"email"}}}
	other := event("1", `"acme"`, `"other"`)
	correction := event("1", `feedback.received.v1`, `label.corrected.v1`, `"data":{`, `"data":{"event_ref":"/desk#1","axis":"polarity","new_value":"negative",`)
	for _, c := range []struct {
		claim, path, kind, key, body string
		code                         int
		says                         string
	}{
		{"no key", "/v1/events", structured, "", event("1"), 401, "earshot key create"},
		{"a wrong key", "/v1/events", structured, "Bearer nonsense", event("1"), 401, ""},

		{"the key of all", "/v1/events", structured, "Bearer all", event("1"), 202, ""},
		{"the key of the tenant", "/v1/events", structured, "Bearer acme", event("1"), 202, ""},
		{"the key of another tenant", "/v1/events", structured, "Bearer acme", other, 403, "tenantid"},
		{"the key of the channel", "/v1/events", structured, "Bearer support", event("1"), 202, ""},
		{"the key of another channel", "/v1/events", structured, "Bearer email", event("1"), 403, "data.channel"},
		{"a correction by the key of the tenant", "/v1/events", structured, "Bearer acme", correction, 202, ""},
		{"a correction by the key of the channel", "/v1/events", structured, "Bearer support", correction, 403, `"type"`},
		{"a receipt of an erasure", "/v1/events", structured, "Bearer all", event("1", "feedback.received", "customer.erase.done"), 422, "only a node"},
		{"one of a batch is not allowed", "/v1/events", batched, "Bearer acme", "[" + event("1") + "," + other + "]", 403, `"event":1`},
		{"the short form without a key", "/v1/feedback", "text/plain", "", "Late again", 401, ""},
		{"the short form of another tenant", "/v1/feedback", "text/plain", "Bearer acme", "Late again", 403, "tenantid"},
		{"the short form", "/v1/feedback", "application/json", "Bearer acme", `{"text":"Late again","tenant":"acme"}`, 202, ""},
	} {
		h := newHouse(t, func(cfg *Config) { cfg.Keys = keys })
		headers := []string{"Content-Type", c.kind}
		if c.key != "" {
			headers = append(headers, "Authorization", c.key)
		}
		w := h.do("POST", c.path, c.body, headers...)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s", c.claim, w.Code, w.Body)
		}
		if stored := len(h.log.stored()) > 0; stored != (c.code == http.StatusAccepted) {
			t.Errorf("%s: stored %v", c.claim, stored)
		}
		if c.code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", c.claim)
		}
		if strings.Contains(h.out.String(), "nonsense") {
			t.Errorf("%s: the log shows the key: %s", c.claim, h.out)
		}
	}
	h := newHouse(t, func(cfg *Config) { cfg.Keys = keys })
	for _, open := range []string{"/livez", "/readyz"} {
		if w := h.do("GET", open, ""); w.Code != http.StatusOK {
			t.Errorf("%s needs a key", open)
		}
	}
}

// A key may send what it may of one second at once, or one request however large; then the next waits until that is made up for.
func TestAKeyHasARateOfItsOwn(t *testing.T) {
	type sent struct {
		after  time.Duration // the one before
		events int
		code   int
		wait   string // seconds
	}
	for claim, c := range map[string]struct {
		rate  float64
		sends []sent
	}{
		"one by one":           {1, []sent{{0, 1, 202, ""}, {0, 1, 429, "1"}, {time.Second, 1, 202, ""}, {time.Second / 2, 1, 429, "1"}, {time.Second / 2, 1, 202, ""}}},
		"a second's":           {3, []sent{{0, 2, 202, ""}, {0, 1, 202, ""}, {0, 1, 429, "1"}, {time.Hour, 3, 202, ""}, {0, 1, 429, "1"}}},
		"a request of many":    {2, []sent{{0, 10, 202, ""}, {0, 1, 429, "5"}, {4 * time.Second, 1, 429, "1"}, {500 * time.Millisecond, 1, 202, ""}, {0, 10, 429, "1"}, {time.Second, 10, 202, ""}}},
		"less than one":        {0.1, []sent{{0, 1, 202, ""}, {5 * time.Second, 1, 429, "5"}, {5 * time.Second, 1, 202, ""}}},
		"none":                 {0, []sent{{0, 10, 202, ""}, {0, 10, 202, ""}}},
		"a clock that is late": {1, []sent{{0, 1, 202, ""}, {-time.Minute, 1, 429, "1"}, {time.Minute + time.Second, 1, 202, ""}}},
	} {
		now := clock
		h := newHouse(t, func(cfg *Config) {
			cfg.Keys, cfg.Now = ring{"own": {ID: "1", EventsPerSecond: c.rate}, "free": {ID: "2"}}, func() time.Time { return now }
		})
		for i, s := range c.sends {
			now = now.Add(s.after)
			var list []string
			for k := range s.events {
				list = append(list, event(fmt.Sprintf("%d-%d", i, k)))
			}
			w := h.do("POST", "/v1/events", "["+strings.Join(list, ",")+"]", "Content-Type", batched, "Authorization", "Bearer own")
			if w.Code != s.code || w.Header().Get("Retry-After") != s.wait {
				t.Errorf("%s: request %d: %d, again after %q s, want %d and %q", claim, i, w.Code, w.Header().Get("Retry-After"), s.code, s.wait)
			}
			if w := h.do("POST", "/v1/events", event(fmt.Sprintf("free-%d", i)), "Content-Type", structured, "Authorization", "Bearer free"); w.Code != 202 {
				t.Errorf("%s: another key: %d", claim, w.Code)
			}
		}
	}
}

// Whoever guesses is not told how near they came, and the operator is told of every kind of refusal, without a secret.
func TestARefusalTellsTheOperatorAndNobodyElse(t *testing.T) {
	keys := telling{ring{"acme": {ID: "k2", Tenant: "acme", Channels: []string{"email"}}}}
	answers := map[string]bool{}
	for _, c := range []struct {
		key  string
		code int
		says string
	}{
		{"", 401, "not known"}, {"nonsense", 401, "not known"}, {"revoked", 401, "k1 was revoked"}, {"acme", 403, `"key":"k2"`},
	} {
		h := newHouse(t, func(cfg *Config) { cfg.Keys = keys })
		for range 50 {
			w := h.do("POST", "/v1/events", event("1"), "Content-Type", structured, "Authorization", "Bearer "+c.key)
			if w.Code != c.code {
				t.Fatalf("%q: %d %s", c.key, w.Code, w.Body)
			}
			if c.code == 401 {
				answers[w.Body.String()+w.Header().Get("WWW-Authenticate")] = true
			}
		}
		log := h.out.String()
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, c.says) || !strings.Contains(log, `"client":"192.0.2.1"`) || strings.Contains(log, "crushed") ||
			c.key != "" && strings.Contains(log, `"`+c.key+`"`) {
			t.Errorf("%q: the log says %s", c.key, log)
		}
	}
	if len(answers) != 1 {
		t.Errorf("refusals can be told apart: %v", answers)
	}
}

// telling is a ring that says of one key that it was revoked.
type telling struct{ ring }

func (r telling) Authenticate(key string, now time.Time) (Grant, error) {
	if key == "revoked" {
		return Grant{}, errors.New("the key is not known: the key k1 was revoked")
	}
	return r.ring.Authenticate(key, now)
}
