package delivery_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/delivery"
)

type kind struct {
	name  string
	start func(t *testing.T, f *fake) (config string)
}

var kinds = []kind{
	{"alertmanager", func(t *testing.T, f *fake) string {
		f.serve(t, f.handler("/api/v2/alerts", func(_ *http.Request, body []byte) {
			var alerts []struct {
				Labels, Annotations map[string]string
				StartsAt, EndsAt    time.Time
			}
			f.json(body, &alerts)
			for _, a := range alerts {
				if a.Labels["alertname"] == "" || a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt) || a.Annotations["summary"] == "" {
					f.fault("%+v", a)
				}
				for _, v := range a.Labels {
					if strings.ContainsAny(v, " <") {
						f.fault("words of a customer or figures are in a label: %v", a.Labels)
					}
				}
				f.note(fmt.Sprint(a.Labels), fmt.Sprint(a.Labels, a.StartsAt), word(a.EndsAt.Equal(at.Add(time.Hour)), false))
			}
		}))
		return "type: alertmanager\n    url: " + f.url
	}},
	{"webhook", func(t *testing.T, f *fake) string {
		secret := base64.StdEncoding.EncodeToString([]byte(hidden))
		old := base64.StdEncoding.EncodeToString([]byte("old" + hidden))
		f.serve(t, f.handler("/in", func(r *http.Request, body []byte) {
			id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
			h := hmac.New(sha256.New, []byte(hidden))
			fmt.Fprintf(h, "%s.%s.%s", id, stamp, body)
			if !slices.Contains(strings.Fields(r.Header.Get("webhook-signature")), "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil))) {
				f.fault("the signature does not hold: %v", r.Header)
			}
			if len(strings.Fields(r.Header.Get("webhook-signature"))) != 2 {
				f.fault("not both secrets sign")
			}
			var g struct {
				Version, Status, Receiver, GroupKey string
				CommonLabels                        map[string]string
				Acknowledged                        *struct{ By string }
				Alerts                              []struct {
					Status, Fingerprint string
					StartsAt, EndsAt    time.Time
				}
			}
			f.json(body, &g)
			if g.Version != "4" || len(g.Alerts) != 1 || g.Alerts[0].Status != g.Status || g.GroupKey == "" || g.CommonLabels["alertname"] == "" ||
				g.Status == "firing" != g.Alerts[0].EndsAt.IsZero() || !strings.HasPrefix(id, "a1b2") {
				f.fault("%+v", g)
			}
			if g.Acknowledged != nil && g.Acknowledged.By != "anna" {
				f.fault("acknowledged by %+v", g.Acknowledged)
			}
			f.note(g.Alerts[0].Fingerprint, id, word(g.Status == "resolved", g.Acknowledged != nil))
		}))
		return "type: webhook\n    url: " + f.url + "/in\n    secret: [whsec_" + secret + ", whsec_" + old + "]"
	}},
	{"slack", func(t *testing.T, f *fake) string {
		f.serve(t, f.handler("/services/"+hidden, func(_ *http.Request, body []byte) {
			var m struct {
				Text   string
				Blocks []struct {
					Type string
					Text struct{ Type, Text string }
				}
			}
			f.json(body, &m)
			if m.Text == "" || len(m.Blocks) != 2 || len([]rune(m.Blocks[0].Text.Text)) > 150 || len([]rune(m.Blocks[1].Text.Text)) > 3000 || m.Blocks[0].Text.Type != "plain_text" {
				f.fault("%.300v", m)
			}
			if strings.Contains(m.Text+m.Blocks[1].Text.Text, "<!channel>") {
				f.fault("a customer called the channel: %s", m.Blocks[1].Text.Text)
			}
			f.note("message", strings.Repeat("again", strings.Count(m.Text, "(may be a repetition)")), word(strings.Contains(m.Text, "[RESOLVED]"), strings.Contains(m.Text, "[LOOKED AFTER by anna]")))
		}))
		return "type: slack\n    url: " + f.url + "/services/" + hidden
	}},
	{"pagerduty", func(t *testing.T, f *fake) string {
		f.serve(t, f.handler("/v2/enqueue", func(_ *http.Request, body []byte) {
			var e struct {
				Key     string `json:"routing_key"`
				Action  string `json:"event_action"`
				Dedup   string `json:"dedup_key"`
				Payload *struct{ Summary, Source, Severity, Timestamp string }
			}
			f.json(body, &e)
			if e.Key != hidden || e.Dedup == "" || len(e.Dedup) > 255 {
				f.fault("%+v", e)
			}
			if p := e.Payload; e.Action == "trigger" && (p == nil || p.Summary == "" || len(p.Summary) > 1024 || p.Source == "" || !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity)) {
				f.fault("%+v", p)
			}
			f.note(e.Dedup, e.Dedup, word(e.Action == "resolve", e.Action == "acknowledge"))
		}))
		return "type: pagerduty\n    routing_key: " + hidden + "\n    url: " + f.url + "/v2/enqueue"
	}},
	{"email", func(t *testing.T, f *fake) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go f.smtp(c)
			}
		}()
		f.url = l.Addr().String()
		return "type: email\n    host: " + f.url + "\n    from: alerts@example.org\n    to: [care@example.org]\n    username: u\n    password: " + hidden + "\n    security: none"
	}},
}

var at = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// alert is an alert whose customers try to break out of every format.
func alert() schemas.Alert {
	return schemas.Alert{
		ID: "a1b2c3", Rule: "NegativeSpike", Severity: schemas.Critical, Cell: map[string]string{"tenant": "acme", "channel": "app"},
		Labels: map[string]string{"team": "care"}, Annotations: map[string]string{"runbook": "https://example.org/r"},
		Detector: "negative_spike", Reason: "count_and_share", Window: schemas.Seconds(15 * time.Minute), Observed: 37, Expected: 7.7,
		Probability: 1e-9, Total: 40, Customers: 37, Since: at.Add(-10 * time.Minute), RaisedAt: at, TopTheme: "crash-or-bug",
		Quotes: []schemas.AlertQuote{{Text: "<!channel> <b>Größe</b> \"falsch\"\r\nBcc: x@example.org"}, {Text: ".\r\n.\r\nQUIT"}, {Text: strings.Repeat("ü", 4000)}},
		Links:  map[string]string{"dashboard": "https://example.org/?alert=a1b2c3", "query": "earshot query"},
	}
}

func resolved() schemas.Alert {
	a := alert()
	a.ResolvedAt = at.Add(time.Hour)
	return a
}

// load makes the one receiver of a configuration.
func load(t *testing.T, config string) delivery.Receiver {
	t.Helper()
	file := filepath.Join(t.TempDir(), "receivers.yaml")
	if err := os.WriteFile(file, []byte("receivers:\n  - name: it\n    allow: [127.0.0.0/8]\n    "+config+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := delivery.Load(file)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

// What every receiver does, whatever its other side.
func TestEveryReceiverConforms(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			f := &fake{}
			r := load(t, k.start(t, f))
			if r.Name() != "it" {
				t.Errorf("it is named %q", r.Name())
			}
			tell := func(a schemas.Alert, word string) error {
				return r.Deliver(t.Context(), delivery.Notification{Alert: a, Key: a.ID + "-" + word, Now: at.Add(time.Minute)})
			}
			for _, status := range []int{500, 503, 429, 400, 404, 302, 307} {
				if status < 400 && k.name == "email" {
					continue
				}
				f.answer(status)
				err := tell(alert(), "raised")
				var e *delivery.Error
				if !errors.As(err, &e) || e.Permanent() != (status != 429 && status < 500) || !strings.Contains(err.Error(), "it") {
					t.Errorf("answered %d: %v (final %v)", status, err, e != nil && e.Permanent())
				}
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, r), hidden) {
					t.Errorf("answered %d: the secret is shown: %v", status, err)
				}
				if len(fmt.Sprint(err)) > 400 {
					t.Errorf("answered %d: an error of %d bytes", status, len(fmt.Sprint(err)))
				}
			}
			f.answer(0)
			acked := alert()
			acked.AckedBy, acked.AckedAt = "anna", at
			steps := []delivery.Notification{{Alert: alert(), Key: "a1b2c3-raised"}, {Alert: alert(), Key: "a1b2c3-raised", Again: true}}
			want := []string{"firing", "firing"}
			if r.Traits().Listens {
				steps, want = append(steps, delivery.Notification{Alert: acked, Key: "a1b2c3-acked", Acked: true}), append(want, "acked")
			}
			steps, want = append(steps, delivery.Notification{Alert: resolved(), Key: "a1b2c3-resolved"}), append(want, "resolved")
			for i, n := range steps {
				n.Now = at.Add(time.Duration(i+1) * time.Minute)
				if err := r.Deliver(t.Context(), n); err != nil {
					t.Fatalf("%s: %v", n.Key, err)
				}
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.got, want) {
				t.Errorf("the other side heard %q, want %q", f.got, want)
			}
			// A repetition has the key of what it repeats, or says that it may be one.
			if again := strings.TrimPrefix(f.keys[1], f.keys[0]); r.Traits().Forgetful != (again == "again") || !r.Traits().Forgetful && again != "" {
				t.Errorf("the repetition came as %q after %q", f.keys[1], f.keys[0])
			}
			if len(f.open) != 1 {
				t.Errorf("the other side knows %d incidents, want 1", len(f.open))
			}
			for _, open := range f.open {
				if open {
					t.Error("the incident is still open")
				}
			}
			for _, fault := range f.faults {
				t.Errorf("against its documentation: %s", fault)
			}
		})
	}
}

// A mail that was taken is not sent again because the server hangs up before its farewell.
func TestAMailServerWithoutFarewell(t *testing.T) {
	f := &fake{rude: true}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == "email" })
	err := load(t, kinds[i].start(t, f)).Deliver(t.Context(), delivery.Notification{Alert: alert(), Key: "k", Now: at})
	if err != nil || len(f.got) != 1 {
		t.Errorf("%v, %q", err, f.got)
	}
}

// A receiver that hangs up once it has heard everything may have it; one that was never reached has not.
func TestAnAnswerThatDoesNotCome(t *testing.T) {
	f := &fake{mute: true}
	f.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	chat := "type: slack\n    url: " + f.url
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == "email" })
	for _, config := range []string{chat, kinds[i].start(t, f)} {
		err := load(t, config).Deliver(t.Context(), delivery.Notification{Alert: alert(), Key: "k", Now: at})
		var e *delivery.Error
		if !errors.As(err, &e) || !e.Ambiguous() || e.Permanent() {
			t.Errorf("%v: not ambiguous", err)
		}
	}
}

// A receiver that is not there is tried again, and its address is not shown.
func TestAnAbsentReceiver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, config := range []string{
		"type: slack\n    url: http://" + address + "/" + hidden,
		"type: webhook\n    unsigned: true\n    url: http://u:" + hidden + "@" + address + "/",
		"type: email\n    host: " + address + "\n    from: a@b.example\n    to: [c@d.example]\n    security: none\n    password: " + hidden,
	} {
		err := load(t, config).Deliver(t.Context(), delivery.Notification{Alert: alert(), Key: "k", Now: at})
		var e *delivery.Error
		if !errors.As(err, &e) || e.Permanent() || e.Ambiguous() || strings.Contains(err.Error(), hidden) {
			t.Errorf("%v", err)
		}
	}
}

// Mail goes through the guard like everything else.
func TestMailDoesNotLeadInside(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "r.yaml")
	text := "receivers:\n  - name: m\n    type: email\n    host: " + l.Addr().String() + "\n    from: a@b.example\n    to: [c@d.example]\n    security: none\n    allow: [10.0.0.0/8]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := delivery.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := list[0].Deliver(ctx, delivery.Notification{Alert: alert(), Key: "k", Now: at}); err == nil || !strings.Contains(err.Error(), "closed network") {
		t.Errorf("a mail server inside: %v", err)
	}
}

func TestSeveritiesAreChosen(t *testing.T) {
	f := &fake{}
	r := load(t, kinds[0].start(t, f)+"\n    severities: [warning]")
	if err := r.Deliver(t.Context(), delivery.Notification{Alert: alert(), Key: "k", Now: at}); err != nil || len(f.got) != 0 {
		t.Errorf("told of another severity: %v, %q", err, f.got)
	}
	if !r.Traits().Refreshes {
		t.Error("an Alertmanager is not refreshed once its severities are chosen")
	}
}

func TestFaultsOfReceivers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "r.yaml")
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim, text string
		mode        os.FileMode
		want        []string
	}{
		{"a file that others can read", "receivers: []", 0o644, []string{"chmod 600"}},
		{"everything at once, with lines", "receivers:\n  - name: a\n    type: fax\n    url: https://x\n    colour: red\n  - name: a\n    type: slack\n    url: http://example.org/" + hidden + "\n" +
			"  - name: m\n    type: email\n    host: mail\n    from: \"x\\r\\nBcc: y\"\n    security: none\n  - name: p\n    type: pagerduty\n    severities: [loud]\n    routing_key_file: " + open + "\n" +
			"  - name: w\n    type: webhook\n    url: https://x\n    secret: [" + hidden + "]\n", 0o600,
			[]string{":2: type \"fax\"", "colour not found", ":6: name \"a\"", ":6: url: wants https", ":9: host", ":9: from and to", ":9: to: is missing", ":9: security",
				":14: severity \"loud\"", "chmod 400", ":18: secret: wants 'whsec_'"}},
		{"a secret under the wrong key", "receivers:\n  - name: a\n    type: slack\n    url: https://x\n    allow: " + hidden, 0o600, []string{":2: "}},
		{"a webhook that nobody signs", "receivers:\n  - name: a\n    type: webhook\n    url: https://x", 0o600, []string{":2: secret: is missing"}},
		{"an empty list is no secret", "receivers:\n  - name: a\n    type: webhook\n    url: https://x\n    secret: []", 0o600, []string{":2: secret: is missing"}},
		{"signed and unsigned", "receivers:\n  - name: a\n    type: webhook\n    url: https://x\n    unsigned: true\n    secret: [whsec_" + strings.Repeat("abcd", 8) + "]", 0o600, []string{":2: unsigned: there is a secret"}},
		{"what is never signed", "receivers:\n  - name: a\n    type: slack\n    url: https://x\n    unsigned: true", 0o600, []string{":2: unsigned: only a webhook"}},
		{"what is not known at the top", "receiver: []", 0o600, []string{"receiver not found"}},
	} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := delivery.Load(file)
		for _, want := range c.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: no %q in\n%v", c.claim, want, err)
			}
		}
		if strings.Contains(fmt.Sprint(err), hidden) {
			t.Errorf("%s: the secret is shown: %v", c.claim, err)
		}
	}
}
