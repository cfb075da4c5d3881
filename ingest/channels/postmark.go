package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

// postmark reads an inbound mail. The part of the address after "+" (MailboxHash) names the order.
func postmark(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		FromFull                        struct{ Email string }
		From, Subject, MessageID, Date  string
		MailboxHash, TextBody, HtmlBody string
		StrippedTextReply               string
		Headers                         []struct{ Name, Value string }
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	if b.MessageID == "" {
		return nil, nil
	}
	header := func(name string) string {
		for _, h := range b.Headers {
			if strings.EqualFold(h.Name, name) {
				return h.Value
			}
		}
		return ""
	}
	f := finds{d: d}
	f.addLetter(&letter{
		id: first(header("Message-ID"), b.MessageID), from: first(b.FromFull.Email, b.From), subject: b.Subject, text: b.TextBody,
		html: b.HtmlBody, stripped: b.StrippedTextReply, inReplyTo: header("In-Reply-To"), thread: header("References"),
		order: b.MailboxHash, at: when(b.Date), header: header,
	}, "spam_score", header("X-Spam-Score"))
	return f.events, nil
}
