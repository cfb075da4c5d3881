package delivery

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Webhook posts an alert in Alertmanager's form, signed as Standard Webhooks (standardwebhooks.com) says: the id is the
// delivery's key, so that a repetition can be told from news.
type Webhook struct {
	name    string
	url     Secret
	secrets []Secret // the newest first; all sign, so that a receiver can change over; none where the file says 'unsigned'
	client  *http.Client
}

// Name is the receiver's name.
func (r *Webhook) Name() string { return r.name }

// Traits: it wants to know of acknowledgements, which Alertmanager's form has no word for: the body then has a member
// "acknowledged" besides, with "by" and "at", and the status stays "firing".
func (r *Webhook) Traits() Traits { return Traits{Listens: true} }

// Deliver posts the signed body.
func (r *Webhook) Deliver(ctx context.Context, n Notification) error {
	body, err := json.Marshal(groupOf(r.name, &n))
	if err != nil {
		return &Error{r.name, "encode the body: " + err.Error(), true, false}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return &Error{r.name, "its address is no URL", true, false}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "earshot")
	req.Header.Set("webhook-id", n.Key)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(n.Now.Unix(), 10))
	if len(r.secrets) > 0 {
		req.Header.Set("webhook-signature", sign(r.secrets, n.Key, n.Now, body))
	}
	return do(r.client, r.name, req)
}

// sign is the signature header: one signature for each secret, HMAC-SHA256 over id, timestamp and body.
func sign(secrets []Secret, id string, at time.Time, body []byte) string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		key, _ := webhookSecret(s) // was read once when the configuration was
		h := hmac.New(sha256.New, key)
		fmt.Fprintf(h, "%s.%d.%s", id, at.Unix(), body)
		out[i] = "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return strings.Join(out, " ")
}

// newSecret is how a person makes a secret.
const newSecret = `"echo whsec_$(head -c 32 /dev/urandom | base64)" makes one`

// webhookSecret reads a secret as the standard writes it: whsec_ and base64, of 24 to 64 bytes.
func webhookSecret(s Secret) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("wants 'whsec_' and 24 to 64 bytes in base64: %s", newSecret)
	}
	return key, nil
}
