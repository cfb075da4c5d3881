package channels

import (
	"regexp"

	"github.com/earshot/earshot/schemas"
)

// leadingScore is an answer such as "2 - driver was rude" to "rate us from 1 to 5".
var leadingScore = regexp.MustCompile(`^\s*([1-5])\s*(?:$|[-–—:.,;)]\s*|\s)(?s:(.*))$`)

// twilioSMS reads an incoming text message. A message that begins with a number from 1 to 5 by itself is an answer to a
// question on that scale. The commands to stop and start are the carrier's business.
func twilioSMS(d *Delivery) ([]schemas.Event, error) {
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
	sid := first(get("MessageSid"), get("SmsMessageSid"))
	if sid == "" || get("OptOutType") != "" {
		return nil, nil
	}
	f := finds{d: d}
	e := d.event(sid, schemas.MessagePosted, "chat", d.Received)
	e.Data.Text, e.Data.ActorKind, e.Data.CustomerID = get("Body"), "customer", get("From")
	e.Data.ConversationID = schemas.KeyToken(d.Tenant, get("To")+"/"+get("From"))
	if m := leadingScore.FindStringSubmatch(plain(get("Body"))); m != nil {
		e.Kind, e.Data.Text = schemas.RatingSubmitted, m[2]
		rate(&e.Data, scalar(m[1]), "csat", 1, 5)
	}
	f.add(e, "country", get("FromCountry"), "media", get("NumMedia"))
	return f.events, nil
}
