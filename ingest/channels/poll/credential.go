package poll

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Credential is what a source proves itself with. It never prints.
type Credential struct {
	secret   []byte // a token, or a private key in PEM, or Google's service account in JSON
	keyID    string // of an App Store key
	issuerID string
}

// NewCredential takes the content of a secret file, and for the App Store the ids of the key and its issuer.
func NewCredential(secret []byte, keyID, issuerID string) *Credential {
	return &Credential{[]byte(strings.TrimSpace(string(secret))), keyID, issuerID}
}

// String hides the secret.
func (c *Credential) String() string { return "***" }

// GoString hides the secret from %#v.
func (c *Credential) GoString() string { return "***" }

// Format hides the secret from every other verb.
func (c *Credential) Format(f fmt.State, _ rune) { io.WriteString(f, "***") }

func (c *Credential) empty() bool { return c == nil || len(c.secret) == 0 }

// bearer sends the token, if there is one.
func bearer(r *http.Request, c *Credential, _ time.Time) error {
	if !c.empty() {
		r.Header.Set("Authorization", "Bearer "+string(c.secret))
	}
	return nil
}

// header sends the token in a header of the provider's, if there is one.
func header(name string) func(*http.Request, *Credential, time.Time) error {
	return func(r *http.Request, c *Credential, _ time.Time) error {
		if !c.empty() {
			r.Header.Set(name, string(c.secret))
		}
		return nil
	}
}

// basic sends the key as the name, as Freshdesk wants it.
func basic(r *http.Request, c *Credential, _ time.Time) error {
	if !c.empty() {
		r.SetBasicAuth(string(c.secret), "X")
	}
	return nil
}

// appStoreToken signs a token of ten minutes with the App Store key (ES256); Apple allows twenty.
func appStoreToken(r *http.Request, c *Credential, now time.Time) error {
	if c.empty() {
		return errors.New("the App Store needs a private key (.p8) with key_id and issuer_id")
	}
	token, err := signedToken(c.secret, map[string]any{"kid": c.keyID}, map[string]any{"iss": c.issuerID, "iat": now.Unix(),
		"exp": now.Add(10 * time.Minute).Unix(), "aud": "appstoreconnect-v1"})
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// signedToken is a JSON Web Token (RFC 7519), with ES256 or RS256 as the key is.
func signedToken(key []byte, head, claims map[string]any) (string, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return "", errors.New("the private key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", errors.New("the private key cannot be read; it must be PKCS #8")
	}
	head["typ"] = "JWT"
	switch parsed.(type) {
	case *ecdsa.PrivateKey:
		head["alg"] = "ES256"
	case *rsa.PrivateKey:
		head["alg"] = "RS256"
	default:
		return "", errors.New("the private key is neither ECDSA nor RSA")
	}
	var parts []string
	for _, v := range []map[string]any{head, claims} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b))
	}
	text := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize != 256 {
			return "", errors.New("the private key is not on P-256")
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			return "", err
		}
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		if sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:]); err != nil {
			return "", err
		}
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// serviceAccount is the key file that Google gives.
type serviceAccount struct {
	Email    string `json:"client_email"`
	Key      string `json:"private_key"`
	TokenURI string `json:"token_uri"`
}

// exchange makes an access token of a Google service account, which is good for an hour. What is no service account is
// a token already.
func (c *Credential) exchange(client *http.Client, scope string, now time.Time) (*Credential, error) {
	var account serviceAccount
	if c.empty() || c.secret[0] != '{' {
		return c, nil
	}
	if err := json.Unmarshal(c.secret, &account); err != nil || account.TokenURI == "" {
		return nil, errors.New("the service account's file cannot be read")
	}
	assertion, err := signedToken([]byte(account.Key), map[string]any{}, map[string]any{"iss": account.Email, "scope": scope,
		"aud": account.TokenURI, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		return nil, err
	}
	resp, err := client.PostForm(account.TokenURI, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}})
	if err != nil {
		return nil, fmt.Errorf("ask for an access token: %w", err)
	}
	defer resp.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&got); err != nil || resp.StatusCode != http.StatusOK || got.Token == "" {
		return nil, fmt.Errorf("ask for an access token: %s answers %s", account.TokenURI, resp.Status)
	}
	return &Credential{secret: []byte(got.Token)}, nil
}
