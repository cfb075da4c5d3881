package channels

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Family is how a sender proves itself.
type Family uint8

// The families.
const (
	Keyed  Family = iota // HMAC of the request with a shared key
	Token                // a shared token, sent as it is
	Basic                // name and password, as HTTP basic authentication
	Public               // ECDSA on P-256 with SHA-256; the secret is the sender's public key
)

// Scheme says what a channel signs and how. One table of them covers all channels.
//
// Signed is the text that the signature is over: {body}, {ts}, {id} (headers), {url} (as called), {params} (form fields,
// sorted, name and value joined), {form:name}. Header, Timestamp and ID are names of headers or "form:name".
type Scheme struct {
	Family    Family
	Hash      func() hash.Hash // of Keyed
	Base64    bool             // the signature is in base64, else in hex
	Header    string           // where the signature or token is
	Prefix    string           // before the signature
	Signed    string
	Timestamp string
	ID        string
	Key       func(secret []byte) ([]byte, error) // what of the secret is the key; nil: all of it
}

// Tolerance is how far a signed time may be from now, both ways, where a source says nothing else.
const Tolerance = 5 * time.Minute

// ErrSignature says that a request is not proven to be the provider's. What is wrong with it is for the operator's log;
// the sender is not told.
var ErrSignature = errors.New("the signature does not verify")

func unproven(why string) error { return fmt.Errorf("%w: %s", ErrSignature, why) }

// Verify returns nil when the request is proven with one of the secrets, else an error that is [ErrSignature]. All secrets
// are always tried, so that the time taken does not say which of them is right; several are for the days of a rotation.
func (s *Scheme) Verify(r *Request, secrets []Secret, now time.Time, tolerance time.Duration) error {
	if len(secrets) == 0 {
		return unproven("the source has no secret")
	}
	if s.Timestamp != "" {
		if err := inWindow(r.single(s.Timestamp), now, tolerance); err != nil {
			return err
		}
	}
	given := s.given(r)
	if len(given) == 0 {
		return unproven("there is no signature in " + s.Header)
	}
	signed, err := s.signed(r)
	if err != nil {
		return err
	}
	found := 0
	for _, secret := range secrets {
		if secret.Empty() {
			continue
		}
		for _, text := range signed {
			for _, g := range given {
				found |= s.matches(g, text, secret.value)
			}
		}
	}
	if found != 1 {
		return unproven("no secret of the source fits")
	}
	return nil
}

// maxSignatures is how many signatures one request may carry.
const maxSignatures = 8

// given are the signatures or tokens that the request carries, without their prefix.
func (s *Scheme) given(r *Request) []string {
	if s.Family == Token {
		return tokens(r, s.Header)
	}
	if s.Family == Basic {
		name, password, ok := basicAuth(r.single("Authorization"))
		if !ok {
			return nil
		}
		return []string{name + ":" + password}
	}
	var out []string
	for _, one := range strings.Split(r.single(s.Header), " ") {
		if sig, ok := strings.CutPrefix(one, s.Prefix); ok && sig != "" && len(out) < maxSignatures {
			out = append(out, sig)
		}
	}
	return out
}

// tokens finds a shared token: in the channel's own header, else in one of ours, as a bearer or in the query.
func tokens(r *Request, header string) []string {
	if header != "" {
		if v := r.single(header); v != "" {
			return []string{v}
		}
	}
	if v := r.single(TokenHeader); v != "" {
		return []string{v}
	}
	if v, ok := strings.CutPrefix(r.single("Authorization"), "Bearer "); ok && v != "" {
		return []string{v}
	}
	if v := r.query()["token"]; len(v) == 1 && v[0] != "" {
		return v
	}
	return nil
}

// TokenHeader carries the token of sources that prove themselves with one and have no header of their own.
const TokenHeader = "X-Earshot-Token"

func basicAuth(header string) (name, password string, ok bool) {
	encoded, ok := strings.CutPrefix(header, "Basic ")
	if !ok {
		return "", "", false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}

// matches is 1 when the signature over text was made with the secret, else 0. Fixed-length digests are compared, so that
// not even a token's length shows in the time taken.
func (s *Scheme) matches(given, text string, secret []byte) int {
	switch s.Family {
	case Token, Basic:
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256(secret)
		return subtle.ConstantTimeCompare(a[:], b[:])
	case Public:
		return verifyECDSA(given, text, secret)
	}
	key := secret
	if s.Key != nil {
		var err error
		if key, err = s.Key(secret); err != nil {
			return 0
		}
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.mac(text, key)))
}

func (s *Scheme) mac(text string, key []byte) string {
	h := hmac.New(s.Hash, key)
	h.Write([]byte(text))
	sum := h.Sum(nil)
	if s.Base64 {
		return base64.StdEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

// verifyECDSA holds an ASN.1 signature in base64 against a public key, in PEM or in bare base64.
func verifyECDSA(given, text string, secret []byte) int {
	der := secret
	if block, _ := pem.Decode(secret); block != nil {
		der = block.Bytes
	} else if b, err := base64.StdEncoding.DecodeString(string(secret)); err == nil {
		der = b
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return 0
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	sig, err := base64.StdEncoding.DecodeString(given)
	if !ok || err != nil {
		return 0
	}
	sum := sha256.Sum256([]byte(text))
	if ecdsa.VerifyASN1(key, sum[:], sig) {
		return 1
	}
	return 0
}

// inWindow holds a signed time, in seconds or in RFC 3339, against the clock.
func inWindow(given string, now time.Time, tolerance time.Duration) error {
	if given == "" {
		return unproven("there is no signed time")
	}
	t, err := time.Parse(time.RFC3339, given)
	if seconds, bad := strconv.ParseInt(given, 10, 64); bad == nil {
		t, err = time.Unix(seconds, 0), nil
	}
	if err != nil {
		return unproven("the signed time cannot be read")
	}
	if d := now.Sub(t); d > tolerance || d < -tolerance {
		return unproven(fmt.Sprintf("the signed time is %v from now, allowed are %v; is this machine's clock right?", d.Abs().Round(time.Second), tolerance))
	}
	return nil
}

// signed is what the signature is over: one text, or two where senders disagree about the URL.
func (s *Scheme) signed(r *Request) ([]string, error) {
	urls := []string{""}
	if strings.Contains(s.Signed, "{url}") {
		var err error
		if urls, err = spellings(r); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, u := range urls {
		var b strings.Builder
		for rest := s.Signed; rest != ""; {
			before, after, found := strings.Cut(rest, "{")
			b.WriteString(before)
			if !found {
				break
			}
			name, after, _ := strings.Cut(after, "}")
			rest = after
			switch name {
			case "body":
				b.Write(r.Body)
			case "ts":
				b.WriteString(r.single(s.Timestamp))
			case "id":
				b.WriteString(r.single(s.ID))
			case "url":
				b.WriteString(u)
			case "params":
				params, err := sortedParams(r)
				if err != nil {
					return nil, err
				}
				b.WriteString(params)
			default:
				b.WriteString(r.single(name))
			}
		}
		out = append(out, b.String())
	}
	return out, nil
}

// spellings are the URL with and without its standard port: Twilio signs now one, now the other.
func spellings(r *Request) ([]string, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return nil, unproven("the public URL is not known; set public_url")
	}
	with, without := *u, *u
	without.Host = u.Hostname()
	if with.Port() == "" {
		with.Host += map[bool]string{true: ":443", false: ":80"}[u.Scheme == "https"]
	}
	if strings.Contains(without.Host, ":") { // an IPv6 address
		without.Host = "[" + without.Host + "]"
	}
	return []string{with.String(), without.String()}, nil
}

// sortedParams joins the fields of a form, or, where the URL carries the body's hash instead, checks that and is empty.
func sortedParams(r *Request) (string, error) {
	if sum := r.query().Get("bodySHA256"); sum != "" {
		h := sha256.Sum256(r.Body)
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(h[:])), []byte(sum)) != 1 {
			return "", unproven("the body is not the one whose hash was signed")
		}
		return "", nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "", unproven("the body is not a form")
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if len(form[name]) > 1 {
			return "", unproven("a form field is given twice")
		}
		b.WriteString(name + form[name][0])
	}
	return b.String(), nil
}
