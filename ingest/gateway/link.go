package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

// MinAnswerKey is the shortest key that signs links: 128 bits.
const MinAnswerKey = 16

// LinkLife is how long a customer has to answer.
const LinkLife = 30 * 24 * time.Hour

// maxLinkText bounds the text that a link carries, in bytes, so that the whole stays below the 2,000 characters that every
// mail program takes.
const maxLinkText = 900

// Link is what a customer is asked and what becomes of the answer. It is carried, signed, by the link itself: the gateway
// keeps nothing of it. It can be read by whoever has it and names no customer.
//
// A link is used once. Its answer is the event "answer-" + ID of [answerSource]: another answer is another sending of the
// same event, which is counted as a duplicate and not stored, after a restart and in a race too.
type Link struct {
	Kind     schemas.Kind // decision.answered or followup.rated
	Tenant   string
	Case     string
	Asked    string    // source#id of the event that is answered
	ID       string    // identity of that event
	Channel  string    // of the case
	Text     string    // the decision that is proposed
	Language string    // of the page, BCP 47; "": as the browser wants it
	Expires  time.Time // whole seconds
}

// Faults of a link.
var (
	ErrLink    = errors.New("the link is not one of ours, or was changed")
	ErrExpired = errors.New("the link is too old")
)

// encoding is that of tokens: URL-safe base64 without padding, of which one text has one form.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// Token signs the link: HMAC-SHA256 over what it says, then that itself.
func (l Link) Token(key []byte) string {
	if len(l.Text) > maxLinkText {
		cut := maxLinkText
		for !utf8.RuneStart(l.Text[cut]) {
			cut--
		}
		l.Text = l.Text[:cut] + "…"
	}
	verdict := byte('r')
	if l.Kind == schemas.DecisionAnswered {
		verdict = 'v'
	}
	body := binary.BigEndian.AppendUint32([]byte{verdict}, uint32(l.Expires.Unix()))
	fields, err := json.Marshal([]string{l.Tenant, l.Case, l.Asked, l.ID, l.Channel, l.Text, l.Language})
	if err != nil {
		panic(err) // strings only: it cannot happen
	}
	body = append(body, fields...)
	return encoding().EncodeToString(append(sign(key, body), body...))
}

func sign(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("earshot/answer/1"))
	h.Write(body)
	return h.Sum(nil)
}

// ReadLink returns what a token says, if it is good. The error is [ErrLink] or [ErrExpired]; with the latter the link is
// readable.
func ReadLink(key []byte, token string, now time.Time) (Link, error) {
	token = strings.TrimSpace(token)
	b, err := encoding().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") || len(b) < sha256.Size+5 { // the decoder leaves out line ends: one link, one spelling
		return Link{}, ErrLink
	}
	mac, body := b[:sha256.Size], b[sha256.Size:]
	if !hmac.Equal(mac, sign(key, body)) {
		return Link{}, ErrLink
	}
	var f []string
	if err := json.Unmarshal(body[5:], &f); err != nil || len(f) != 7 {
		return Link{}, ErrLink
	}
	l := Link{Kind: schemas.FollowupRated, Tenant: f[0], Case: f[1], Asked: f[2], ID: f[3], Channel: f[4], Text: f[5], Language: f[6],
		Expires: time.Unix(int64(binary.BigEndian.Uint32(body[1:5])), 0).UTC()}
	if body[0] == 'v' {
		l.Kind = schemas.DecisionAnswered
	}
	if !now.Before(l.Expires) {
		return l, ErrExpired
	}
	return l, nil
}

// answerSource is the source of what customers answer by links.
const answerSource = "/v1/answers"

// event is the answer as an event. rating is 1 to 5.
func (l *Link) event(verdict string, rating float64, text string, now time.Time) *schemas.Event {
	e := &schemas.Event{ID: "answer-" + l.ID, Source: answerSource, Kind: l.Kind, Tenant: l.Tenant, Time: now.UTC().Truncate(time.Millisecond), Causation: l.Asked,
		Data: schemas.Data{Channel: l.Channel, CaseID: l.Case, Text: text, ActorKind: "customer"}}
	if l.Kind == schemas.DecisionAnswered {
		e.Data.Verdict = verdict
		return e
	}
	low, high := 1.0, 5.0
	e.Data.FieldType, e.Data.Number, e.Data.ScaleMin, e.Data.ScaleMax = "rating", &rating, &low, &high
	return e
}
