package channels

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	twilio "github.com/twilio/twilio-go/client"
)

// vector is one signed request, made with another implementation than ours.
type vector struct {
	Scheme  string
	File    string
	Secret  string
	URL     string
	Headers map[string]string
	Time    time.Time // when it arrives
}

func (v *vector) request(t *testing.T) *Request {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/samples", v.File))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	for k, value := range v.Headers {
		h.Set(k, value)
	}
	return &Request{Method: http.MethodPost, URL: v.URL, Header: h, Body: b}
}

// signed is when the vectors arrive that say nothing else.
var signed = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 30 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for i := range file.Vectors {
		if file.Vectors[i].Time.IsZero() {
			file.Vectors[i].Time = signed
		}
	}
	return file.Vectors
}

func check(v *vector, r *Request, now time.Time) error {
	s := schemes[v.Scheme]
	return s.Verify(r, []Secret{NewSecret([]byte(v.Secret))}, now, Tolerance)
}

func clone(r *Request) *Request {
	return &Request{Method: r.Method, URL: r.URL, Header: r.Header.Clone(), Body: bytes.Clone(r.Body)}
}

func TestEveryVectorVerifies(t *testing.T) {
	list := vectors(t)
	seen := map[string]bool{}
	for _, v := range list {
		now := v.Time
		seen[v.Scheme] = true
		if err := check(&v, v.request(t), now); err != nil {
			t.Errorf("%s: %v", v.Scheme, err)
		}
	}
	for name, s := range schemes {
		if !seen[name] && s.Family != Public && name != "standardwebhooks" {
			t.Errorf("the scheme %s has no vector", name)
		}
	}
}

// Every bit of body, signature, time, id and URL is turned once. Where the body is not signed, or a form means the same
// as before, the change is none.
func TestNoChangeOfOneBitVerifies(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		s := schemes[v.Scheme]
		refuse := func(what string, r *Request) {
			if check(&v, r, now) == nil {
				t.Errorf("%s: verifies with %s changed", v.Scheme, what)
			}
		}
		r := v.request(t)
		signed := s.Family == Keyed && !s.unsignedBody()
		for i := 0; signed && i < len(r.Body); i++ {
			for bit := range 8 {
				c := clone(r)
				c.Body[i] ^= 1 << bit
				if strings.Contains(s.Signed, "{params}") && sameForm(r.Body, c.Body) {
					continue
				}
				refuse(fmt.Sprintf("bit %d of byte %d of the body", bit, i), c)
			}
		}
		for name, values := range r.Header {
			if name == "Content-Type" || !covered(&s, name) {
				continue
			}
			for i := range values[0] {
				for bit := range 8 {
					b := []byte(values[0])
					b[i] ^= 1 << bit
					c := clone(r)
					c.Header[name] = []string{string(b)}
					refuse(fmt.Sprintf("bit %d of byte %d of %s", bit, i, name), c)
				}
			}
			c := clone(r)
			c.Header.Add(name, "again")
			refuse(name+" given twice", c)
			c.Header.Del(name)
			refuse(name+" left out", c)
		}
		for i := range r.URL {
			c := clone(r)
			c.URL = r.URL[:i] + string(r.URL[i]^1) + r.URL[i+1:]
			refuse("the URL", c)
		}
		if s.unsignedBody() {
			form, _ := url.ParseQuery(string(r.Body))
			for _, name := range []string{"signature", "timestamp", "token"} {
				changed := maps.Clone(form)
				changed[name] = []string{form[name][0][:3] + "x" + form[name][0][4:]}
				c := clone(r)
				c.Body = []byte(url.Values(changed).Encode())
				refuse(name, c)
			}
		}
	}
}

func sameForm(a, b []byte) bool {
	x, err1 := url.ParseQuery(string(a))
	y, err2 := url.ParseQuery(string(b))
	return err1 == nil && err2 == nil && x.Encode() == y.Encode()
}

func covered(s *Scheme, name string) bool {
	for _, n := range []string{s.Header, s.Timestamp, s.ID} {
		if http.CanonicalHeaderKey(n) == name {
			return true
		}
	}
	return s.Family == Basic && name == "Authorization" || s.Family == Token && name == TokenHeader
}

func TestOldAndFutureRequestsAreRefused(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		if s := schemes[v.Scheme]; s.Timestamp == "" {
			continue
		}
		for _, c := range []struct {
			at   time.Duration
			want bool
		}{{0, true}, {Tolerance, true}, {-Tolerance, true}, {Tolerance + time.Second, false}, {-Tolerance - time.Second, false}} {
			if err := check(&v, v.request(t), now.Add(c.at)); (err == nil) != c.want {
				t.Errorf("%s: %v after it was signed: %v", v.Scheme, c.at, err)
			}
		}
	}
}

func TestSecretsRotate(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		s := schemes[v.Scheme]
		right, wrong := NewSecret([]byte(v.Secret+"\n")), NewSecret([]byte("another-secret"))
		for claim, c := range map[string]struct {
			secrets []Secret
			want    bool
		}{
			"the new one beside the old one": {[]Secret{wrong, right}, true},
			"the old one beside the new one": {[]Secret{right, wrong}, true},
			"another one":                    {[]Secret{wrong}, false},
			"an empty one":                   {[]Secret{{}}, false},
			"none":                           {nil, false},
		} {
			err := s.Verify(v.request(t), c.secrets, now, Tolerance)
			if (err == nil) != c.want {
				t.Errorf("%s: %s: %v", v.Scheme, claim, err)
			}
			if err != nil && !errors.Is(err, ErrSignature) {
				t.Errorf("%s: %s: the error is not ErrSignature: %v", v.Scheme, claim, err)
			}
			if err != nil && strings.Contains(err.Error(), v.Secret) {
				t.Errorf("%s: the error shows the secret", v.Scheme)
			}
		}
	}
	// Standard Webhooks lets a sender sign with several keys at once.
	for _, v := range list {
		now := v.Time
		if v.Scheme == "formbricks" {
			r := v.request(t)
			r.Header.Set("webhook-signature", "v1,AAAA v2,BBBB "+r.Header.Get("webhook-signature"))
			if err := check(&v, r, now); err != nil {
				t.Errorf("one of several signatures fits: %v", err)
			}
		}
	}
}

// The verifiers that the providers publish say of every vector, as it is and changed, what ours says.
func TestTheProvidersOwnVerifiersAgree(t *testing.T) {
	list := vectors(t)
	theirs := map[string]func(r *Request, secret string) error{
		"formbricks": func(r *Request, secret string) error {
			wh, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				return err
			}
			return wh.VerifyIgnoringTimestamp(r.Body, r.Header)
		},
		"slack": func(r *Request, secret string) error {
			sv, err := slackgo.NewSecretsVerifier(r.Header, secret)
			if err != nil {
				return err
			}
			sv.Write(r.Body)
			return sv.Ensure()
		},
		"twilio": func(r *Request, secret string) error {
			validator := twilio.NewRequestValidator(secret)
			if !validator.ValidateBody(r.URL, r.Body, r.Header.Get("X-Twilio-Signature")) {
				return errors.New("refused")
			}
			return nil
		},
	}
	agreed := 0
	for _, v := range list {
		now := v.Time
		verify := theirs[v.Scheme]
		if verify == nil {
			continue
		}
		r := v.request(t)
		if v.Scheme == "slack" { // theirs holds the time against the real clock
			s := schemes["slack"]
			now = time.Now()
			r.Header.Set(s.Timestamp, fmt.Sprint(now.Unix()))
			r.Header.Set(s.Header, s.Prefix+sign(t, &s, r, v.Secret))
		}
		for i := -1; i < len(r.Body); i++ {
			c := clone(r)
			if i >= 0 {
				c.Body[i] ^= 1
			}
			ours, their := check(&v, c, now), verify(c, v.Secret)
			if (ours == nil) != (their == nil) || (ours == nil) != (i < 0) {
				t.Errorf("%s, byte %d changed: ours says %v, theirs %v", v.Scheme, i, ours, their)
			}
			agreed++
		}
	}
	if agreed < 1000 {
		t.Errorf("only %d requests were compared", agreed)
	}
}

func TestTwilioSignsTheURLWithAndWithoutItsPort(t *testing.T) {
	list := vectors(t)
	for _, v := range list {
		now := v.Time
		if v.Scheme != "twilio" {
			continue
		}
		r := v.request(t)
		r.URL = strings.Replace(r.URL, "acme.example/", "acme.example:443/", 1)
		if err := check(&v, r, now); err != nil {
			t.Errorf("the same URL with :443: %v", err)
		}
		// The JSON form: the hash of the body is in the URL, and the URL is signed.
		s := schemes["twilio"]
		body := []byte(`{"a":1}`)
		j := &Request{URL: fmt.Sprintf("https://a.example/h?bodySHA256=%x", sha256.Sum256(body)), Header: http.Header{}, Body: body}
		j.Header.Set(s.Header, sign(t, &s, j, v.Secret))
		validator := twilio.NewRequestValidator(v.Secret)
		if err := check(&v, j, now); err != nil || !validator.ValidateBody(j.URL, j.Body, j.Header.Get(s.Header)) {
			t.Errorf("the JSON form: %v", err)
		}
		j.Body = []byte(`{"a":2}`)
		if check(&v, j, now) == nil {
			t.Error("the JSON form verifies with another body")
		}
	}
}

// sign signs with our own code, for what no vector holds.
func sign(t *testing.T, s *Scheme, r *Request, secret string) string {
	t.Helper()
	texts, err := s.signed(r)
	if err != nil {
		t.Fatal(err)
	}
	return s.mac(texts[len(texts)-1], []byte(secret))
}

func TestSendGridSignsWithAKeyPair(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1795428000, 0)
	s := schemes["sendgrid"]
	r := &Request{Header: http.Header{}, Body: []byte("--x\r\n")}
	r.Header.Set(s.Timestamp, "1795428000")
	sum := sha256.Sum256([]byte("1795428000--x\r\n"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(s.Header, base64.StdEncoding.EncodeToString(sig))
	secrets := []Secret{NewSecret([]byte(base64.StdEncoding.EncodeToString(der)))}
	if err := s.Verify(r, secrets, now, Tolerance); err != nil {
		t.Error(err)
	}
	for i := range r.Body {
		c := clone(r)
		c.Body[i] ^= 1
		if s.Verify(c, secrets, now, Tolerance) == nil {
			t.Errorf("verifies with byte %d changed", i)
		}
	}
	for _, bad := range []string{"", "!", "AAAA", base64.StdEncoding.EncodeToString(der[:20])} {
		if s.Verify(r, []Secret{NewSecret([]byte(bad))}, now, Tolerance) == nil {
			t.Errorf("verifies with the key %q", bad)
		}
	}
}

func TestASecretNeverPrints(t *testing.T) {
	const value = "hush-hush-value"
	s := NewSecret([]byte(value))
	b, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": []Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{string(b), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %X %d %t", s, s, s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", &s, []Secret{s}, struct{ S Secret }{s})} {
		if strings.Contains(out, value) || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", value)) || strings.Contains(out, "104 117") {
			t.Errorf("prints as %s", out)
		}
	}
}
