package channels

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func secrets(values ...string) []Secret {
	var out []Secret
	for _, v := range values {
		out = append(out, NewSecret([]byte(v)))
	}
	return out
}

func hooks(t *testing.T, sources ...Source) *Hooks {
	t.Helper()
	h, err := NewHooks(sources)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEveryVectorArrivesThroughItsHook(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		name, _, _ := strings.Cut(v.File, "/")
		h := hooks(t, Source{Channel: name, Name: "acme", Tenant: "acme", Secrets: secrets(v.Secret)})
		got, err := h.Receive(name, "acme", v.request(t), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Events) == 0 && name != "surveymonkey" { // whose hook is a notice only
			t.Errorf("%s: no event", name)
		}
		for _, wrong := range []struct{ channel, source string }{{name, "other"}, {"generic", "acme"}, {"", ""}} {
			if _, err := h.Receive(wrong.channel, wrong.source, v.request(t), now); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: to %v: %v, want ErrSignature", name, wrong, err)
			}
		}
		r := v.request(t)
		r.Method = http.MethodDelete
		if _, err := h.Receive(name, "acme", r, now); !errors.Is(err, ErrMethod) {
			t.Errorf("%s: DELETE: %v", name, err)
		}
	}
}

func TestHandshakes(t *testing.T) {
	now := signed
	slackScheme := schemes["slack"]
	h := hooks(t, Source{Channel: "slack", Name: "a", Tenant: "t", Secrets: secrets("unit-secret")},
		Source{Channel: "whatsapp", Name: "a", Tenant: "t", Secrets: secrets("app-secret"), VerifyToken: NewSecret([]byte("chosen"))},
		Source{Channel: "whatsapp", Name: "none", Tenant: "t", Secrets: secrets("app-secret")},
		Source{Channel: "x", Name: "a", Tenant: "t", Secrets: secrets("unit-secret")},
		Source{Channel: "surveymonkey", Name: "a", Tenant: "t", Secrets: secrets("a&b")})
	slackRequest := func(secret string) *Request {
		r := &Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(`{"type":"url_verification","challenge":"abc123"}`)}
		r.Header.Set(slackScheme.Timestamp, "1795428000")
		r.Header.Set(slackScheme.Header, "v0="+sign(t, &slackScheme, r, secret))
		return r
	}
	get := func(query string) *Request {
		return &Request{Method: http.MethodGet, URL: "https://a.example/v1/hooks/x/a?" + query, Header: http.Header{}}
	}
	for _, c := range []struct {
		claim, channel, source string
		r                      *Request
		want                   string // of the answer; "": refused
	}{
		{"Slack's challenge is echoed", "slack", "a", slackRequest("unit-secret"), "abc123"},
		{"but not an unsigned one", "slack", "a", slackRequest("wrong"), ""},
		{"Meta's challenge is echoed", "whatsapp", "a", get("hub.mode=subscribe&hub.verify_token=chosen&hub.challenge=777"), "777"},
		{"but not with another token", "whatsapp", "a", get("hub.mode=subscribe&hub.verify_token=guess&hub.challenge=777"), ""},
		{"nor with the app's secret", "whatsapp", "a", get("hub.mode=subscribe&hub.verify_token=app-secret&hub.challenge=777"), ""},
		{"nor with an empty token where none was chosen", "whatsapp", "none", get("hub.mode=subscribe&hub.verify_token=&hub.challenge=777"), ""},
		{"nor a challenge of any length", "whatsapp", "a", get("hub.mode=subscribe&hub.verify_token=chosen&hub.challenge=" + strings.Repeat("7", 2000)), ""},
		// The answer was computed by hand with openssl: HMAC-SHA256 of "abc".
		{"X's token is signed", "x", "a", get("crc_token=abc"), `{"response_token":"sha256=UHUe5NFrlo1oiI7Xxa6Czjc0WFkrt36s2aKI2R/8vy8="}`},
		{"SurveyMonkey is told that somebody is there", "surveymonkey", "a", &Request{Method: http.MethodHead, Header: http.Header{}}, "(empty)"},
	} {
		got, err := h.Receive(c.channel, c.source, c.r, now)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s: answered %+v", c.claim, got.Reply)
		case c.want == "":
		case err != nil:
			t.Errorf("%s: %v", c.claim, err)
		case got.Reply == nil || len(got.Events) > 0 || string(got.Reply.Body) != strings.TrimPrefix(c.want, "(empty)"):
			t.Errorf("%s: %+v", c.claim, got)
		}
	}
}

// Mailgun signs a token, not the mail: a token must not carry another mail than its own.
func TestATokenCarriesOneBodyOnly(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		if v.Scheme != "mailgun" {
			continue
		}
		h := hooks(t, Source{Channel: "mailgun", Name: "a", Tenant: "t", Secrets: secrets(v.Secret)}, Source{Channel: "mailgun", Name: "b", Tenant: "t", Secrets: secrets(v.Secret)})
		r := v.request(t)
		for range 2 { // a repetition is the provider's right
			if _, err := h.Receive("mailgun", "a", r, now); err != nil {
				t.Fatal(err)
			}
		}
		form, _ := url.ParseQuery(string(r.Body))
		form.Set("stripped-text", "All is well, thank you.")
		forged := clone(r)
		forged.Body = []byte(form.Encode())
		if _, err := h.Receive("mailgun", "a", forged, now.Add(time.Minute)); !errors.Is(err, ErrSignature) {
			t.Errorf("the token carried another body: %v", err)
		}
		if _, err := h.Receive("mailgun", "b", r, now); err != nil {
			t.Errorf("another source has tokens of its own: %v", err)
		}
	}
}

func TestAFaultySourceIsNamed(t *testing.T) {
	good := Source{Channel: "github", Name: "a", Tenant: "t", Secrets: secrets("s")}
	for _, c := range []struct {
		change func(*Source)
		want   string
	}{
		{func(s *Source) {}, ""},
		{func(s *Source) { s.Channel = "githob" }, `no channel "githob"`},
		{func(s *Source) { s.Name = "a/b" }, "letters"},
		{func(s *Source) { s.Tenant = "" }, "no tenant"},
		{func(s *Source) { s.Secrets = nil }, "no secret"},
		{func(s *Source) { s.Secrets = secrets("s", " \n") }, "an empty one"},
		{func(s *Source) { s.Auth = "none" }, "auth"},
		{func(s *Source) { s.Channel = "generic" }, "mapping"},
		{func(s *Source) { s.Tolerance = -1 }, "tolerance"},
	} {
		s := good
		c.change(&s)
		_, err := NewHooks([]Source{s})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, found %v", c.want, err)
		}
	}
	if _, err := NewHooks([]Source{good, good}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a source that is there twice: %v", err)
	}
}

func TestASourceMayProveItselfAnotherWay(t *testing.T) {
	now := signed
	h := hooks(t, Source{Channel: "chatwoot", Name: "old", Tenant: "t", Auth: "token", Secrets: secrets("tok")})
	body := []byte(`{"event":"message_created","id":1,"content":"hi","message_type":"incoming","conversation":{"id":2}}`)
	for claim, c := range map[string]struct {
		url, header, value string
		want               bool
	}{
		"in our header": {"", TokenHeader, "tok", true}, "as a bearer": {"", "Authorization", "Bearer tok", true},
		"in the query": {"https://a.example/h?token=tok", "", "", true}, "twice in the query": {"https://a.example/h?token=tok&token=tok", "", "", false},
		"wrong": {"", TokenHeader, "tik", false}, "empty": {"", TokenHeader, "", false}, "not at all": {"", "", "", false},
	} {
		r := &Request{Method: http.MethodPost, URL: c.url, Header: http.Header{}, Body: body}
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		got, err := h.Receive("chatwoot", "old", r, now)
		if (err == nil) != c.want || err == nil && len(got.Events) != 1 {
			t.Errorf("%s: %+v, %v", claim, got, err)
		}
	}
}

// A source is of one tenant, whatever is sent to it and whatever its mapping says.
func TestWhatIsSentDoesNotChooseItsTenant(t *testing.T) {
	source := func(mapping string) Source {
		m, err := ParseMapping([]byte(mapping))
		if err != nil {
			t.Fatal(err)
		}
		return Source{Channel: "generic", Name: "a", Tenant: "acme", Secrets: secrets("s"), Mapping: m}
	}
	if _, err := NewHooks([]Source{source(`{"fields":{"text":"t","tenant":"who"},"set":{"channel":"web"}}`)}); err == nil || !strings.Contains(err.Error(), "tenant") {
		t.Errorf("a mapping that reads the tenant: %v", err)
	}
	for mapping, want := range map[string]error{`{"fields":{"text":"t"},"set":{"channel":"web"}}`: nil, `{"fields":{"text":"t"},"set":{"channel":"web","tenant":"other"}}`: ErrPayload} {
		h := hooks(t, source(mapping))
		got, err := h.Receive("generic", "a", &Request{Method: http.MethodPost, Header: http.Header{TokenHeader: {"s"}}, Body: []byte(`{"t":"Late again","who":"other","tenant":"other","tenantid":"other"}`)}, received)
		if !errors.Is(err, want) || err == nil && (len(got.Events) != 1 || got.Events[0].Tenant != "acme") {
			t.Errorf("%s: %+v, %v", mapping, got, err)
		}
	}
}
