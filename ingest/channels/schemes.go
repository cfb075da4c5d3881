package channels

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
)

// schemes are how the channels' senders prove themselves, as their documentation says. SHA-1 is what Intercom, SurveyMonkey
// and Twilio use; inside HMAC it is still sound.
var schemes = map[string]Scheme{
	"zendesk": {Hash: sha256.New, Base64: true, Header: "X-Zendesk-Webhook-Signature", Signed: "{ts}{body}",
		Timestamp: "X-Zendesk-Webhook-Signature-Timestamp"},
	"intercom": {Hash: sha1.New, Header: "X-Hub-Signature", Prefix: "sha1=", Signed: "{body}"},
	"chatwoot": {Hash: sha256.New, Header: "X-Chatwoot-Signature", Prefix: "sha256=", Signed: "{ts}.{body}",
		Timestamp: "X-Chatwoot-Timestamp"},
	"typeform":         {Hash: sha256.New, Base64: true, Header: "Typeform-Signature", Prefix: "sha256=", Signed: "{body}"},
	"surveymonkey":     {Hash: sha1.New, Base64: true, Header: "Sm-Signature", Signed: "{body}"},
	"formbricks":       standardWebhooks,
	"standardwebhooks": standardWebhooks,
	"slack": {Hash: sha256.New, Header: "X-Slack-Signature", Prefix: "v0=", Signed: "v0:{ts}:{body}",
		Timestamp: "X-Slack-Request-Timestamp"},
	"telegram": {Family: Token, Header: "X-Telegram-Bot-Api-Secret-Token"},
	"whatsapp": hubSHA256,
	"github":   hubSHA256,
	"twilio":   {Hash: sha1.New, Base64: true, Header: "X-Twilio-Signature", Signed: "{url}{params}"},
	"x":        {Hash: sha256.New, Base64: true, Header: "X-Twitter-Webhooks-Signature", Prefix: "sha256=", Signed: "{body}"},
	"discourse": {Hash: sha256.New, Header: "X-Discourse-Event-Signature", Prefix: "sha256=",
		Signed: "{body}"},
	"mailgun": {Hash: sha256.New, Header: "form:signature", Signed: "{ts}{form:token}", Timestamp: "form:timestamp"},
	"sendgrid": {Family: Public, Header: "X-Twilio-Email-Event-Webhook-Signature", Signed: "{ts}{body}",
		Timestamp: "X-Twilio-Email-Event-Webhook-Timestamp"},
	"token": {Family: Token},
	"basic": {Family: Basic},
}

// hubSHA256 is what Meta and GitHub share.
var hubSHA256 = Scheme{Hash: sha256.New, Header: "X-Hub-Signature-256", Prefix: "sha256=", Signed: "{body}"}

// standardWebhooks is https://www.standardwebhooks.com; a secret begins with whsec_ and is base64 after it.
var standardWebhooks = Scheme{Hash: sha256.New, Base64: true, Header: "Webhook-Signature", Prefix: "v1,",
	Signed: "{id}.{ts}.{body}", Timestamp: "Webhook-Timestamp", ID: "Webhook-Id", Key: whsec}

func whsec(secret []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(string(bytes.TrimPrefix(secret, []byte("whsec_"))))
}

// unsignedBody says that the scheme proves who sent a request but not what is in it.
func (s *Scheme) unsignedBody() bool { return s.Family == Keyed && s.Header == "form:signature" }
