package delivery

import (
	"context"
	"net/http"
	"strings"
)

// Slack posts into a channel through an incoming webhook, whose address is the secret. A message cannot be changed later,
// so the end of an alert is a second message.
type Slack struct {
	name   string
	url    Secret
	client *http.Client
}

// Name is the receiver's name.
func (r *Slack) Name() string { return r.name }

// Traits: a channel shows a repetition as a second message, and reads who looks after an alert.
func (r *Slack) Traits() Traits { return Traits{Listens: true, Forgetful: true} }

// Deliver posts the message: a line for notifications, and the whole as a block.
func (r *Slack) Deliver(ctx context.Context, n Notification) error {
	a := &n.Alert
	head := headline(&n)
	return post(ctx, r.client, r.name, r.url.Reveal(), map[string]any{
		"text": mrkdwn(head),
		"blocks": []any{
			map[string]any{"type": "header", "text": map[string]any{"type": "plain_text", "text": cut(head, 150)}},
			map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": cut(mrkdwn(cut(text(a), 2500)), 2900)}},
		},
	}, nil)
}

// mrkdwn escapes what Slack reads as markup, so that no customer's words call a whole channel.
func mrkdwn(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cut shortens to so many characters.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
