package channels

import (
	"bufio"
	"encoding/json"
	"net/textproto"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// sendgrid reads what Inbound Parse posts: a multipart form whose fields may each be in a charset of their own, which the
// field charsets names.
func sendgrid(d *Delivery) ([]schemas.Event, error) {
	form, err := d.form()
	if err != nil {
		return nil, err
	}
	charsets := map[string]string{}
	if v := form["charsets"]; len(v) > 0 {
		_ = json.Unmarshal([]byte(v[0]), &charsets) // without it everything is taken for UTF-8
	}
	get := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return decodeCharset([]byte(v[0]), charsets[name])
		}
		return ""
	}
	if get("from") == "" {
		return nil, nil
	}
	// An incomplete head still has the lines before the fault.
	head, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(strings.TrimSpace(get("headers")) + "\r\n\r\n"))).ReadMIMEHeader()
	f := finds{d: d}
	f.addLetter(&letter{
		id: head.Get("Message-Id"), from: get("from"), subject: get("subject"), text: get("text"), html: get("html"),
		inReplyTo: head.Get("In-Reply-To"), thread: head.Get("References"), at: when(head.Get("Date")), header: head.Get,
	}, "spam_score", get("spam_score"))
	return f.events, nil
}
