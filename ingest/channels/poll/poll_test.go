package poll

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

var clock = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// memory is a log and a store of cursors.
type memory struct {
	mu       sync.Mutex
	events   []schemas.Event
	cursors  map[string][]byte
	saveErr  error
	logErr   error
	lastSeen int
}

func (m *memory) Publish(_ context.Context, msgs []schemas.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logErr != nil {
		return m.logErr
	}
	for _, msg := range msgs {
		e, ps := schemas.DecodeStructured(msg.Data, clock)
		if len(ps) > 0 {
			return ps
		}
		m.events = append(m.events, *e)
	}
	return nil
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) { return m.cursors[name], nil }

func (m *memory) Save(_ context.Context, name string, b []byte) error {
	if m.saveErr != nil {
		return m.saveErr
	}
	m.cursors[name] = b
	return nil
}

// item is one review, post or rating at a provider.
type item struct {
	id   int
	at   time.Time
	text string
}

// provider is a fake that speaks the documented API of every channel over the same items, newest first, two on a page.
type provider struct {
	mu       sync.Mutex
	items    []item
	requests []*http.Request
	url      string
}

const perPage = 2

func (p *provider) page(r *http.Request) (shown []item, number int, more bool) {
	items := slices.Clone(p.items)
	slices.SortFunc(items, func(a, b item) int { return b.at.Compare(a.at) })
	q := r.URL.Query()
	number, _ = strconv.Atoi(first(q.Get("page"), q.Get("token"), q.Get("cursor"), "1"))
	if before, err := strconv.Atoi(q.Get("before")); err == nil {
		items = slices.DeleteFunc(items, func(i item) bool { return i.id >= before })
		number = 1
	}
	lo, hi := min((number-1)*perPage, len(items)), min(number*perPage, len(items))
	return items[lo:hi], number, hi < len(items)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	shown, number, more := p.page(r)
	var list []map[string]any
	iso := func(t time.Time) string { return t.Format(time.RFC3339) }
	answer := map[string]any{}
	switch path := r.URL.Path; {
	case path == "/v1/apps/acme/customerReviews":
		for _, i := range shown {
			list = append(list, map[string]any{"type": "customerReviews", "id": fmt.Sprint(i.id), "attributes": map[string]any{"rating": 2, "title": "T", "body": i.text, "createdDate": iso(i.at)}})
		}
		answer["data"] = list
		if more {
			answer["links"] = map[string]any{"next": fmt.Sprintf("%s%s?cursor=%d", p.url, path, number+1)}
		}
	case path == "/androidpublisher/v3/applications/acme/reviews":
		for _, i := range shown {
			list = append(list, map[string]any{"reviewId": fmt.Sprint(i.id), "comments": []any{map[string]any{"userComment": map[string]any{"text": i.text, "starRating": 2, "lastModified": map[string]any{"seconds": fmt.Sprint(i.at.Unix())}}}}})
		}
		answer["reviews"] = list
		if more {
			answer["tokenPagination"] = map[string]any{"nextPageToken": fmt.Sprint(number + 1)}
		}
	case path == "/v1/business-units/acme/reviews":
		for _, i := range shown {
			list = append(list, map[string]any{"id": fmt.Sprint(i.id), "stars": 2, "text": i.text, "createdAt": iso(i.at)})
		}
		answer["reviews"] = list
	case path == "/posts.json":
		for _, i := range shown {
			list = append(list, map[string]any{"id": i.id, "user_id": 9, "post_type": 1, "post_number": 2, "topic_id": 1, "topic_slug": "s", "cooked": "<p>" + i.text + "</p>", "created_at": iso(i.at)})
		}
		answer["latest_posts"] = list
	case path == "/repos/acme/issues":
		for _, i := range shown {
			list = append(list, map[string]any{"id": i.id, "number": i.id, "title": "T", "body": i.text, "user": map[string]any{"id": 9, "login": "l"}, "created_at": iso(i.at)})
		}
		if more {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=1>; rel="first", <%s%s?page=%d>; rel="next"`, p.url, path, p.url, path, number+1))
		}
		json.NewEncoder(w).Encode(list)
		return
	case path == "/api/v2/surveys/satisfaction_ratings":
		list = []map[string]any{}
		for _, i := range shown {
			list = append(list, map[string]any{"id": i.id, "ticket_id": 1, "feedback": i.text, "ratings": map[string]any{"default_question": -103}, "created_at": iso(i.at)})
		}
		json.NewEncoder(w).Encode(list)
		return
	case path == "/v3/surveys/acme/responses/bulk":
		for _, i := range shown {
			list = append(list, map[string]any{"id": fmt.Sprint(i.id), "response_status": "completed", "date_modified": iso(i.at), "pages": []any{map[string]any{"questions": []any{map[string]any{"id": "q", "family": "open_ended", "answers": []any{map[string]any{"text": i.text}}}}}}})
		}
		answer["data"] = list
		if more {
			answer["links"] = map[string]any{"next": fmt.Sprintf("%s%s?page=%d", p.url, path, number+1)}
		}
	default:
		http.NotFound(w, r)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func ecKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func start(t *testing.T, channel string) (*provider, *memory, *Poller, *Source) {
	t.Helper()
	p := &provider{}
	for i := range 5 {
		p.items = append(p.items, item{100 + i, clock.Add(time.Duration(i-20) * time.Minute), fmt.Sprintf("Late again, %d", i)})
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	m := &memory{cursors: map[string][]byte{}}
	secret := []byte("the-token")
	if channel == "appstore" {
		_, secret = ecKey(t)
	}
	s := &Source{Channel: channel, Name: "acme", Tenant: "acme", BaseURL: srv.URL, Credential: NewCredential(secret, "kid", "iss")}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return p, m, &Poller{Log: m, Cursors: m, Shards: 1, Now: func() time.Time { return clock }}, s
}

func TestARoundBringsWhatIsNewAndNothingElse(t *testing.T) {
	for _, channel := range Names() {
		p, m, poller, s := start(t, channel)
		round := func(what string, want int) {
			t.Helper()
			before := len(m.events)
			n, err := poller.Round(t.Context(), s)
			if err != nil || n != want || len(m.events)-before != want {
				t.Errorf("%s: %s: %d events, %v; want %d", channel, what, n, err, want)
			}
		}
		for i := range 10 { // what was said long ago
			p.items = append(p.items, item{50 + i, clock.Add(-time.Duration(2000-i) * time.Hour), "Old"})
		}
		round("everything the first time", 15)
		p.requests = nil
		round("nothing when nothing is new", 0)
		if feeds[channel].newest && len(p.requests) > 4 {
			t.Errorf("%s: %d pages were asked for though the third goes back to what is old", channel, len(p.requests))
		}
		p.items = append(p.items, item{200, clock.Add(-time.Minute), "Brand new"})
		round("one more", 1)
		p.items = append(p.items, item{201, clock.Add(-30 * time.Minute), "Shown late"})
		if channel != "discourse" { // whose pages go by the id
			round("one that shows up late, with a time before the newest", 1)
		}
		m.saveErr = errors.New("away")
		p.items = append(p.items, item{202, clock, "Published, but the cursor was not saved"})
		if _, err := poller.Round(t.Context(), s); err == nil {
			t.Errorf("%s: the cursor cannot be saved and nobody says so", channel)
		}
		m.saveErr = nil
		round("again what was published before a kill", 1)
		ids := map[schemas.EventID]int{}
		for i := range m.events {
			ids[m.events[i].Identity()]++
		}
		if last := m.events[len(m.events)-1]; ids[last.Identity()] != 2 {
			t.Errorf("%s: it came under another identity the second time", channel)
		}
	}
}

func TestWhatTheLogDidNotTakeIsFetchedAgain(t *testing.T) {
	_, m, poller, s := start(t, "trustpilot")
	m.logErr = schemas.ErrUnavailable
	if _, err := poller.Round(t.Context(), s); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
	if len(m.cursors) > 0 {
		t.Error("the cursor moved")
	}
	m.logErr = nil
	if n, err := poller.Round(t.Context(), s); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A provider, or whoever speaks in its name, must not get us or our token to another place.
func TestNothingIsSentElsewhere(t *testing.T) {
	var visited int
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited++ }))
	defer elsewhere.Close()
	link := ""
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(link, "redirect:") {
			http.Redirect(w, r, strings.TrimPrefix(link, "redirect:"), http.StatusFound)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"data": []any{}, "links": map[string]any{"next": link}})
	}))
	defer bad.Close()
	host := strings.TrimPrefix(bad.URL, "http://")
	for _, link = range []string{elsewhere.URL + "/x", "redirect:" + elsewhere.URL, "//" + strings.TrimPrefix(elsewhere.URL, "http://") + "/x", "http://user@" + host + "/", "https://" + host + "/",
		"http://169.254.169.254/latest/meta-data", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://0x7f.1/", "file:///etc/passwd", "gopher://" + host, "http://" + host + ".evil.example/", "\x00", "http://localhost./"} {
		m := &memory{cursors: map[string][]byte{}}
		poller := &Poller{Log: m, Cursors: m, Shards: 1, Now: func() time.Time { return clock }}
		s := &Source{Channel: "surveymonkey", Name: "acme", Tenant: "t", BaseURL: bad.URL, Credential: NewCredential([]byte("the-token"), "", "")}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if _, err := poller.Round(t.Context(), s); err == nil || strings.Contains(err.Error(), "the-token") {
			t.Errorf("%q: %v", link, err)
		}
	}
	if visited > 0 {
		t.Errorf("the other host was visited %d times", visited)
	}
}

func TestFaultyAnswersMoveNoCursor(t *testing.T) {
	for claim, answer := range map[string]func(w http.ResponseWriter){
		"500": func(w http.ResponseWriter) { w.WriteHeader(500) }, "401": func(w http.ResponseWriter) { w.WriteHeader(401) },
		"429": func(w http.ResponseWriter) { w.WriteHeader(429) }, "no JSON": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"cut off":   func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); fmt.Fprint(w, `{"a"`) },
		"too large": func(w http.ResponseWriter) { w.Write(make([]byte, maxPage+2)) },
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		m := &memory{cursors: map[string][]byte{}}
		poller := &Poller{Log: m, Cursors: m, Shards: 1, Now: func() time.Time { return clock }}
		s := &Source{Channel: "trustpilot", Name: "acme", Tenant: "t", BaseURL: srv.URL}
		if _, err := poller.Round(t.Context(), s); err == nil || len(m.cursors) > 0 {
			t.Errorf("%s: %v, cursors %v", claim, err, m.cursors)
		}
		srv.Close()
	}
}

func TestEachProviderIsProvenToAsItWants(t *testing.T) {
	for channel, want := range map[string]func(h http.Header) bool{
		"googleplay": func(h http.Header) bool { return h.Get("Authorization") == "Bearer the-token" },
		"trustpilot": func(h http.Header) bool { return h.Get("Apikey") == "the-token" },
		"discourse":  func(h http.Header) bool { return h.Get("Api-Key") == "the-token" },
		"github":     func(h http.Header) bool { return h.Get("Authorization") == "Bearer the-token" },
		"freshdesk": func(h http.Header) bool {
			return h.Get("Authorization") == "Basic "+base64.StdEncoding.EncodeToString([]byte("the-token:X"))
		},
		"surveymonkey": func(h http.Header) bool { return h.Get("Authorization") == "Bearer the-token" },
	} {
		p, _, poller, s := start(t, channel)
		if _, err := poller.Round(t.Context(), s); err != nil || len(p.requests) == 0 || !want(p.requests[0].Header) {
			t.Errorf("%s: %v", channel, err)
		}
	}
}

func TestTheAppStoreTokenVerifies(t *testing.T) {
	key, file := ecKey(t)
	r := httptest.NewRequest("GET", "/", nil)
	if err := appStoreToken(r, NewCredential(file, "KID", "ISS"), clock); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(sig) != 64 || !ecdsa.Verify(&key.PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("the signature does not verify")
	}
	head, _ := base64.RawURLEncoding.DecodeString(parts[0])
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if string(head) != `{"alg":"ES256","kid":"KID","typ":"JWT"}` || string(claims) != `{"aud":"appstoreconnect-v1","exp":1795428600,"iat":1795428000,"iss":"ISS"}` {
		t.Errorf("%s %s", head, claims)
	}
	for _, bad := range [][]byte{nil, []byte("no pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})} {
		if err := appStoreToken(r, NewCredential(bad, "", ""), clock); err == nil {
			t.Errorf("the key %q was taken", bad)
		}
	}
}

func TestAServiceAccountIsExchangedForAToken(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p, m, poller, s := start(t, "googleplay")
	token := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.FormValue("assertion"), ".")
		sig, _ := base64.RawURLEncoding.DecodeString(parts[len(parts)-1])
		sum := sha256.Sum256([]byte(strings.Join(parts[:len(parts)-1], ".")))
		if rsa.VerifyPKCS1v15(&key.PublicKey, 5, sum[:], sig) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"access_token":"exchanged"}`)
	}))
	defer token.Close()
	account, _ := json.Marshal(map[string]string{"client_email": "a@example.com", "token_uri": token.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	s.Credential = NewCredential(account, "", "")
	if n, err := poller.Round(t.Context(), s); n != 5 || err != nil || len(m.events) != 5 {
		t.Errorf("%d, %v", n, err)
	}
	if got := p.requests[0].Header.Get("Authorization"); got != "Bearer exchanged" {
		t.Errorf("sent %q", got)
	}
}

func TestCredentialsNeverPrint(t *testing.T) {
	c := NewCredential([]byte("hush-hush"), "", "")
	for _, out := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %x %s", c, *c, c, c, c), fmt.Sprintf("%+v", Source{Credential: c})} {
		if strings.Contains(out, "hush") || strings.Contains(out, "68757368") {
			t.Errorf("prints as %s", out)
		}
	}
}

func TestAFaultySourceIsNamed(t *testing.T) {
	good := Source{Channel: "github", Name: "sdk", Tenant: "t", Account: "acme/sdk"}
	for _, c := range []struct {
		change func(*Source)
		want   string
	}{
		{func(*Source) {}, ""}, {func(s *Source) { s.Channel = "slack" }, "cannot be polled"}, {func(s *Source) { s.Name = "a b" }, "letters"},
		{func(s *Source) { s.Tenant = "" }, "tenant"}, {func(s *Source) { s.Channel = "discourse" }, "url"}, {func(s *Source) { s.BaseURL = "ftp://x" }, "url"},
		{func(s *Source) { s.BaseURL = "https://u:p@x" }, "url"}, {func(s *Source) { s.Every = time.Millisecond }, "every"},
	} {
		s := good
		c.change(&s)
		if err := s.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, found %v", c.want, err)
		}
	}
}

// A secret does not travel in the open.
func TestASecretIsNotSentInTheOpen(t *testing.T) {
	secret := NewCredential([]byte("s"), "", "")
	for _, c := range []struct {
		url        string
		credential *Credential
		good       bool
	}{
		{"https://forum.acme.example", secret, true}, {"http://forum.acme.example", nil, true}, {"http://127.0.0.1:3000", secret, true}, {"http://[::1]:3000", secret, true},
		{"http://localhost:3000", secret, true}, {"http://forum.acme.example", secret, false}, {"http://10.0.0.1", secret, false}, {"http://localhost.example", secret, false},
		{"http://127.0.0.1.example", secret, false}, {"http://2130706433", secret, false}, {"ftp://forum.acme.example", nil, false}, {"https://a@forum.acme.example", nil, false}, {"file:///etc/passwd", nil, false},
	} {
		s := Source{Channel: "discourse", Name: "a", Tenant: "t", BaseURL: c.url, Credential: c.credential}
		if err := s.Check(); (err == nil) != c.good {
			t.Errorf("%s, with a secret %v: %v", c.url, c.credential != nil, err)
		}
	}
}
