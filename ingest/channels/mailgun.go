package channels

import (
	"encoding/json"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// mailgun reads what a route forwards: a form with the mail taken apart, the reply alone in stripped-text.
func mailgun(d *Delivery) ([]schemas.Event, error) {
	form, err := d.form()
	if err != nil {
		return nil, err
	}
	get := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if get("from") == "" && get("sender") == "" {
		return nil, nil
	}
	var pairs [][]string
	_ = json.Unmarshal([]byte(get("message-headers")), &pairs) // without them the letter is only less well known
	header := func(name string) string {
		for _, p := range pairs {
			if len(p) == 2 && strings.EqualFold(p[0], name) {
				return p[1]
			}
		}
		return get(name)
	}
	f := finds{d: d}
	f.addLetter(&letter{
		id: header("Message-Id"), from: first(get("sender"), get("from")), subject: get("subject"), text: get("body-plain"),
		html: get("body-html"), stripped: get("stripped-text"), inReplyTo: header("In-Reply-To"), thread: header("References"),
		at: when(first(get("Date"), get("timestamp"))), header: header,
	})
	return f.events, nil
}
