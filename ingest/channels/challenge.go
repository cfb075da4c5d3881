package channels

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// Reply is an answer that a provider wants word for word.
type Reply struct {
	ContentType string
	Body        []byte
}

// maxChallenge bounds what is echoed.
const maxChallenge = 1 << 10

func echo(challenge string) *Reply {
	if challenge == "" || len(challenge) > maxChallenge {
		return nil
	}
	return &Reply{ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}
}

// urlVerification is Slack's: a signed request with a challenge to be echoed.
func urlVerification(r *Request, _ *Source) *Reply {
	var b struct{ Type, Challenge string }
	if json.Unmarshal(r.Body, &b) != nil || b.Type != "url_verification" {
		return nil
	}
	return echo(b.Challenge)
}

// hubChallenge is Meta's: a GET with a token that the operator chose, and a challenge to be echoed.
func hubChallenge(r *Request, s *Source) *Reply {
	q := r.query()
	if r.Method != http.MethodGet || q.Get("hub.mode") != "subscribe" || s.VerifyToken.Empty() {
		return nil
	}
	given, want := sha256.Sum256([]byte(q.Get("hub.verify_token"))), sha256.Sum256(s.VerifyToken.value)
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return nil
	}
	return echo(q.Get("hub.challenge"))
}

// crc is X's: a GET with a token to be signed with the same secret as requests are.
func crc(r *Request, s *Source) *Reply {
	token := r.query().Get("crc_token")
	if r.Method != http.MethodGet || token == "" || len(token) > maxChallenge || len(s.Secrets) == 0 {
		return nil
	}
	h := hmac.New(sha256.New, s.Secrets[0].value)
	h.Write([]byte(token))
	b, err := json.Marshal(map[string]string{"response_token": "sha256=" + base64.StdEncoding.EncodeToString(h.Sum(nil))})
	if err != nil {
		return nil // strings only: it cannot happen
	}
	return &Reply{ContentType: "application/json", Body: b}
}

// anyHead is SurveyMonkey's: it asks with HEAD whether somebody is there.
func anyHead(r *Request, _ *Source) *Reply {
	if r.Method != http.MethodHead && r.Method != http.MethodGet {
		return nil
	}
	return &Reply{ContentType: "text/plain; charset=utf-8"}
}
