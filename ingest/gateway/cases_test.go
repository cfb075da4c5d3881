package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

var answerSecret = []byte("0123456789abcdef0123456789abcdef")

func withLinks(c *Config) { c.AnswerKey = answerSecret }

const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"

// last is the event that was stored last.
func (h *house) last(t testing.TB) *schemas.Event {
	t.Helper()
	msgs := h.log.stored()
	if len(msgs) == 0 {
		t.Fatal("nothing was stored")
	}
	e, ps := schemas.DecodeStructured(msgs[len(msgs)-1].Data, clock)
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	return e
}

func TestStepsOfACaseBecomeEvents(t *testing.T) {
	h := newHouse(t, withLinks)
	for _, c := range []struct {
		claim, path, body string
		want              func(e *schemas.Event) bool
	}{
		{"open, on feedback", "c-1/open", `{"tenant":"acme","customer":"ann","text":"It broke","about":"/shop#r1","channel":"support"}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.CaseOpened && e.Data.CaseID == "c-1" && e.Causation == "/shop#r1" && e.Customer() == "ann" && e.Data.ActorKind == ""
		}},
		{"respond is an agent's and public", "c-1/respond", `{"text":"Sorry","agent_id":"bob"}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.AgentResponded && e.Data.ActorKind == "agent" && e.Data.Visibility == "public" && e.Source == "/v1/cases"
		}},
		{"a note stays internal", "c-1/respond", `{"text":"hm","visibility":"internal"}`, func(e *schemas.Event) bool { return e.Data.Visibility == "internal" }},
		{"propose", "c-1/propose", `{"decision":"A new one"}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.DecisionProposed && e.Data.DecisionText == "A new one"
		}},
		{"answer", "c-1/answer", `{"verdict":"agree"}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.DecisionAnswered && e.Data.Verdict == "agree" && e.Data.ActorKind == ""
		}},
		{"decide", "c-1/decide", `{"outcome":"replace","promise":"2026-12-01T00:00:00Z"}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.DecisionMade && e.Data.PromiseDue != ""
		}},
		{"resolve", "c-1/resolve", `{}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.CaseResolved && e.Data.ResolutionCode == "resolved"
		}},
		{"inform", "a/b/inform", `{}`, func(e *schemas.Event) bool { return e.Kind == schemas.CustomerInformed && e.Data.CaseID == "a/b" }},
		{"rate is on a scale of five", "c-1/rate", `{"rating":4}`, func(e *schemas.Event) bool {
			return e.Kind == schemas.FollowupRated && *e.Data.Number == 4 && *e.Data.ScaleMax == 5
		}},
		{"reopen", "c%20%2F1/reopen", `{}`, func(e *schemas.Event) bool { return e.Kind == schemas.CaseReopened && e.Data.CaseID == "c /1" }},
	} {
		w := h.do("POST", "/v1/cases/"+c.path, c.body, "Content-Type", asJSON)
		if w.Code != http.StatusAccepted {
			t.Errorf("%s: %d %s", c.claim, w.Code, w.Body)
			continue
		}
		if e := h.last(t); !c.want(e) {
			t.Errorf("%s: stored %+v", c.claim, e)
		}
	}
	for _, c := range []struct {
		claim, method, path, media, body string
		status                           int
	}{
		{"an unknown step", "POST", "c-1/dance", asJSON, `{}`, 404},
		{"no step", "POST", "c-1", asJSON, `{}`, 404},
		{"no case", "POST", "/open", asJSON, `{}`, 404},
		{"another method", "GET", "c-1/open", asJSON, ``, 405},
		{"another type", "POST", "c-1/open", "text/plain", `x`, 415},
		{"another case in the body", "POST", "c-1/open", asJSON, `{"case_id":"c-2"}`, 422},
		{"a verdict that is none", "POST", "c-1/answer", asJSON, `{"verdict":"maybe"}`, 422},
		{"a proposal without words", "POST", "c-1/propose", asJSON, `{}`, 422},
		{"a rating without a number", "POST", "c-1/rate", asJSON, `{"text":"fine"}`, 422},
		{"no JSON", "POST", "c-1/open", asJSON, `{`, 400},
		{"no object", "POST", "c-1/open", asJSON, `[]`, 422},
	} {
		before := len(h.log.stored())
		if w := h.do(c.method, "/v1/cases/"+c.path, c.body, "Content-Type", c.media); w.Code != c.status || len(h.log.stored()) != before {
			t.Errorf("%s: %d, want %d: %s", c.claim, w.Code, c.status, w.Body)
		}
	}
}

func TestAStepSentAgainIsTheSameStepWithTheSameLink(t *testing.T) {
	h := newHouse(t, withLinks)
	var got [2]taken
	for i := range got {
		w := h.do("POST", "/v1/cases/c-1/propose", `{"decision":"A new one","tenant":"acme"}`, "Content-Type", asJSON, "Idempotency-Key", "k1")
		if err := json.Unmarshal(w.Body.Bytes(), &got[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got[0].EventIDs[0] != got[1].EventIDs[0] || got[0].AnswerLink != got[1].AnswerLink || got[0].AnswerLink == "" {
		t.Errorf("sent twice: %+v and %+v", got[0], got[1])
	}
	if w := newHouse(t, nil).do("POST", "/v1/cases/c-1/propose", `{"decision":"x"}`, "Content-Type", asJSON); strings.Contains(w.Body.String(), "answer_link") {
		t.Errorf("without a key there is a link: %s", w.Body)
	}
}

// A key's bounds hold for steps too, and the customer's link needs no key.
func TestStepsNeedAKeyAndAnswersDoNot(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		withLinks(c)
		c.Keys = keyring{"good": {ID: "1", Tenant: "acme"}}
	})
	if w := h.do("POST", "/v1/cases/c-1/resolve", `{"tenant":"acme"}`, "Content-Type", asJSON); w.Code != 401 {
		t.Errorf("without a key: %d", w.Code)
	}
	if w := h.do("POST", "/v1/cases/c-1/resolve", `{"tenant":"globex"}`, "Content-Type", asJSON, "Authorization", "Bearer good"); w.Code != 403 {
		t.Errorf("for another tenant: %d", w.Code)
	}
	w := h.do("POST", "/v1/cases/c-1/resolve", `{"tenant":"acme"}`, "Content-Type", asJSON, "Authorization", "Bearer good")
	var got taken
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	u, err := url.Parse(got.AnswerLink)
	if err != nil {
		t.Fatal(err)
	}
	if w := h.do("POST", u.Path, "rating=5", "Content-Type", asForm); w.Code != 200 {
		t.Errorf("the customer is answered %d", w.Code)
	}
}

type keyring map[string]Grant

func (k keyring) Authenticate(key string, _ time.Time) (Grant, error) {
	g, ok := k[key]
	if !ok {
		return g, ErrUnproven
	}
	return g, nil
}

func verdictLink() Link {
	return Link{Kind: schemas.DecisionAnswered, Tenant: "acme", Case: "c-1", Asked: "/v1/cases#1", ID: "id-1", Channel: "support",
		Text: `We "replace" it <script>alert(1)</script> & pay`, Expires: clock.Add(time.Hour)}
}

func TestALinkCannotBeChangedNorOutliveItself(t *testing.T) {
	l := verdictLink()
	token := l.Token(answerSecret)
	if got, err := ReadLink(answerSecret, token, clock); err != nil || got != l {
		t.Errorf("read %+v (%v), want %+v", got, err, l)
	}
	for i := range token {
		for _, c := range "Ab-_9" {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				if _, err := ReadLink(answerSecret, changed, clock); err != ErrLink {
					t.Fatalf("changed at %d: %v", i, err)
				}
			}
		}
	}
	for _, bad := range []string{"", "x", token[1:], token[:len(token)-4], token + "A", token + "=", strings.Repeat("A", 200), "☃"} {
		if _, err := ReadLink(answerSecret, bad, clock); err != ErrLink {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ReadLink([]byte("another secret, long enough"), token, clock); err != ErrLink {
		t.Errorf("under another key: %v", err)
	}
	if _, err := ReadLink(answerSecret, token, clock.Add(time.Hour)); err != ErrExpired {
		t.Errorf("an hour later: %v", err)
	}
	l.Text = strings.Repeat("我们会更换它。", 500)
	long := l.Token(answerSecret)
	if got, err := ReadLink(answerSecret, long, clock); err != nil || !utf8.ValidString(got.Text) || !strings.HasSuffix(got.Text, "…") || len(long) > 1900 {
		t.Errorf("a long text: %v, %d characters", err, len(long))
	}
	if _, err := New(Config{Log: &recorder{}, Shards: 1, AnswerKey: []byte("short")}); err == nil {
		t.Error("a short key was taken")
	}
}

// page checks what every page has and returns it.
func page(t *testing.T, w *httptest.ResponseRecorder, status int) string {
	t.Helper()
	h := w.Header()
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if p := h.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; style-src 'sha256-") || !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy %q", p)
	}
	body := w.Body.String()
	if w.Code != status || strings.Contains(body, "<script") || strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, " style=") {
		t.Errorf("%d, want %d: %s", w.Code, status, body)
	}
	return body
}

func TestAnAnswerIsTakenOnceAndOpeningThePageTakesNothing(t *testing.T) {
	h := newHouse(t, withLinks)
	at := answerPrefix + verdictLink().Token(answerSecret)
	for range 3 { // a mail scanner, a preview, the customer
		body := page(t, h.do("GET", at, ""), 200)
		if !strings.Contains(body, "We &#34;replace&#34; it &lt;script&gt;alert(1)&lt;/script&gt; &amp; pay") || !strings.Contains(body, `lang="en"`) {
			t.Errorf("the page says: %s", body)
		}
	}
	if w := h.do("HEAD", at, ""); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d with %d bytes", w.Code, w.Body.Len())
	}
	for _, bad := range []string{"", "verdict=maybe", "verdict=counter", "verdict=counter&text=+%0d%0a+", "rating=5", "%zz", "verdict=agree&text=" + strings.Repeat("x", maxAnswerText+1)} {
		page(t, h.do("POST", at, bad, "Content-Type", asForm), 422)
	}
	if n := len(h.log.stored()); n > 0 {
		t.Fatalf("%d events were stored before an answer", n)
	}
	if body := page(t, h.do("POST", at, "verdict=counter", "Content-Type", asForm), 422); !strings.Contains(body, `role="alert"`) || !strings.Contains(body, `value="counter" aria-describedby="hint" checked`) {
		t.Errorf("what was chosen is lost: %s", body)
	}
	var all sync.WaitGroup // the customer is impatient
	for _, verdict := range []string{"agree", "disagree", "counter"} {
		all.Go(func() {
			if w := h.do("POST", at, "verdict="+verdict+"&text=Money+back%0d%0aplease", "Content-Type", asForm); w.Code != 200 || !strings.Contains(w.Body.String(), "Thank you") {
				t.Errorf("%s: %d %s", verdict, w.Code, w.Body)
			}
		})
	}
	all.Wait()
	ids, shards := map[schemas.EventID]bool{}, map[int]bool{}
	for _, m := range h.log.stored() {
		e, ps := schemas.DecodeStructured(m.Data, clock)
		if len(ps) > 0 {
			t.Fatal(ps)
		}
		ids[e.Identity()], shards[m.Shard] = true, true
		if e.Kind != schemas.DecisionAnswered || e.Tenant != "acme" || e.Data.CaseID != "c-1" || e.Causation != "/v1/cases#1" || e.Data.Text != "Money back\nplease" {
			t.Errorf("stored %+v", e)
		}
	}
	if len(ids) != 1 || len(shards) != 1 { // one identity in one shard: the worker stores the first and counts the others
		t.Errorf("%d identities in %d shards, want one of each", len(ids), len(shards))
	}
}

func TestAnswerPagesInOtherStates(t *testing.T) {
	h := newHouse(t, withLinks)
	rating := Link{Kind: schemas.FollowupRated, Tenant: "acme", Case: "c-1", ID: "id-2", Channel: "chat", Expires: clock.Add(time.Hour)}
	at := answerPrefix + rating.Token(answerSecret)
	for accept, want := range map[string]string{"": `lang="en"`, "zh-CN,zh;q=0.9": "您现在满意吗？", "de-AT": "Wie zufrieden", "fr": `lang="en"`, ";;;": `lang="en"`} {
		if body := page(t, h.do("GET", at, "", "Accept-Language", accept), 200); !strings.Contains(body, want) {
			t.Errorf("%q: %s", accept, body)
		}
	}
	rating.Language = "zh"
	if body := page(t, h.do("GET", answerPrefix+rating.Token(answerSecret), "", "Accept-Language", "en"), 200); !strings.Contains(body, `lang="zh"`) {
		t.Error("the language of the link does not count")
	}
	for _, bad := range []string{"rating=0", "rating=6", "rating=4.5", "verdict=agree", "rating="} {
		page(t, h.do("POST", at, bad, "Content-Type", asForm), 422)
	}
	page(t, h.do("POST", at, "rating=2&text=Still+broken", "Content-Type", asForm), 200)
	if e := h.last(t); e.Kind != schemas.FollowupRated || *e.Data.Number != 2 || *e.Data.ScaleMin != 1 || *e.Data.ScaleMax != 5 || e.Data.FieldType != "rating" {
		t.Errorf("stored %+v", e)
	}
	page(t, h.do("GET", answerPrefix+"nonsense", ""), 404)
	rating.Expires = clock.Add(-time.Second)
	page(t, h.do("POST", answerPrefix+rating.Token(answerSecret), "rating=5", "Content-Type", asForm), 410)
	h.log.setErr(schemas.ErrUnavailable)
	if body := page(t, h.do("POST", at, "rating=4&text=words", "Content-Type", asForm), 503); !strings.Contains(body, "has not arrived") {
		t.Errorf("the customer is not told: %s", body)
	}
	if w := newHouse(t, nil).do("GET", at, ""); w.Code != 404 {
		t.Errorf("without a key there are pages: %d", w.Code)
	}
}

func TestAnswerPagesAreLimited(t *testing.T) {
	h := newHouse(t, withLinks)
	at := answerPrefix + verdictLink().Token(answerSecret)
	for range visitsAtOnce {
		page(t, h.do("GET", at, ""), 200)
	}
	w := h.do("POST", at, "verdict=agree", "Content-Type", asForm)
	page(t, w, 429)
	if w.Header().Get("Retry-After") == "" || len(h.log.stored()) > 0 {
		t.Error("the limit does not hold, or does not say when it ends")
	}
}

// Words are there for every place of every language: an empty label would be a page that nobody can answer.
func TestEveryLanguageHasEveryWord(t *testing.T) {
	b, err := json.Marshal(answerWords)
	if err != nil || strings.Contains(string(b), `""`) {
		t.Errorf("a word is missing (%v): %s", err, b)
	}
}

func FuzzReadLink(f *testing.F) {
	f.Add(verdictLink().Token(answerSecret))
	f.Add("x")
	f.Fuzz(func(t *testing.T, token string) {
		l, err := ReadLink(answerSecret, token, clock)
		if err == nil && l.Token(answerSecret) != strings.TrimSpace(token) {
			t.Fatalf("%q reads as another link: %+v", token, l)
		}
	})
}
