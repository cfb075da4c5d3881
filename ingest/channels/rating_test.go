package channels

import (
	"fmt"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

// scale is a rating as it is kept: what was given, from where to where, of which kind.
func scale(d *schemas.Data) string {
	if d.Number == nil {
		return "none"
	}
	if d.ScaleMin == nil || d.ScaleMax == nil {
		return fmt.Sprintf("%g %s", *d.Number, d.FieldType)
	}
	return fmt.Sprintf("%g of %g-%g %s", *d.Number, *d.ScaleMin, *d.ScaleMax, d.FieldType)
}

func TestEveryScaleIsKeptAsItIs(t *testing.T) {
	one := func(channel, body string) string {
		events, err := ForChannel(channel)(&Delivery{Channel: channel, Source: "a", Tenant: "t", Body: []byte(body), Received: received})
		if err != nil {
			return err.Error()
		}
		var out []string
		for i := range events {
			out = append(out, scale(&events[i].Data))
		}
		return strings.Join(out, "; ")
	}
	typeform := func(kind, properties, title, answer string) string {
		return one("typeform", fmt.Sprintf(`{"event_type":"form_response","form_response":{"form_id":"f","token":"k","submitted_at":"2026-11-20T10:00:00Z",
			"definition":{"fields":[{"id":"q","ref":"r","type":%q,"title":%q,"properties":%s}]},"answers":[{"type":"number","number":%s,"field":{"id":"q","ref":"r","type":%q}}]}}`, kind, title, properties, answer, kind))
	}
	zendesk := func(score string) string {
		return one("zendesk", fmt.Sprintf(`{"ticket":{"id":"1"},"requester":{"id":"2"},"satisfaction":{"score":%q},"updated_at":"2026-11-20T10:00:00Z"}`, score))
	}
	freshdesk := func(v string) string {
		return one("freshdesk", fmt.Sprintf(`{"id":1,"ticket_id":2,"user_id":3,"created_at":"2026-11-20T10:00:00Z","ratings":{"default_question":%s}}`, v))
	}
	for i, c := range []struct{ got, want string }{
		{typeform("nps", "{}", "x", "0"), "0 of 0-10 nps"},
		{typeform("nps", "{}", "x", "10"), "10 of 0-10 nps"},
		{typeform("nps", "{}", "x", "11"), ""},
		{typeform("rating", `{"steps":10}`, "x", "10"), "10 of 1-10 rating"},
		{typeform("rating", `{"steps":3}`, "x", "1"), "1 of 1-3 rating"},
		{typeform("rating", `{"steps":3}`, "x", "4"), ""},
		{typeform("opinion_scale", `{"steps":11}`, "How was it?", "10"), "10 of 0-10 rating"},
		{typeform("opinion_scale", `{"steps":11}`, "Would you recommend us?", "10"), "10 of 0-10 nps"},
		{typeform("opinion_scale", `{"steps":7,"start_at_one":true}`, "x", "7"), "7 of 1-7 rating"},
		{typeform("opinion_scale", `{"steps":7}`, "x", "7"), ""},
		{typeform("number", "{}", "How many?", "12"), "12 number"},
		{zendesk("good"), "2 of 1-2 csat"},
		{zendesk("Bad"), "1 of 1-2 csat"},
		{zendesk("good with comment"), "2 of 1-2 csat"},
		{zendesk("offered"), ""},
		{freshdesk("103"), "7 of 1-7 csat"},
		{freshdesk("100"), "4 of 1-7 csat"},
		{freshdesk("-103"), "1 of 1-7 csat"},
		{freshdesk("5"), ""},
	} {
		if c.got != c.want {
			t.Errorf("%d: kept as %q, want %q", i, c.got, c.want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"1", "1 of 1-5 csat"}, {"5", "5 of 1-5 csat"}, {" 4.5 ", "4.5 of 1-5 csat"},
		{"0", "none"}, {"6", "none"}, {"-1", "none"}, {"", "none"}, {"five", "none"}, {"NaN", "none"}, {"Inf", "none"}, {"1e400", "none"}, {"99999999999999999999", "none"},
	} {
		var d schemas.Data
		if rate(&d, scalar(c.in), "csat", 1, 5); scale(&d) != c.want {
			t.Errorf("%q on 1 to 5 is kept as %s, want %s", c.in, scale(&d), c.want)
		}
	}
	for word, want := range map[string]string{"thumbs_up": "2 of 1-2 csat", "thumbs_down": "1 of 1-2 csat", "Unhappy": "1 of 1-3 csat", "neutral ": "2 of 1-3 csat", "happy": "3 of 1-3 csat",
		"okay": "2 of 1-3 csat", "great": "3 of 1-3 csat", "satisfied": "2 of 1-2 csat", "unsatisfied": "1 of 1-2 csat", "superb": "none", "": "none"} {
		var d schemas.Data
		if rateWord(&d, word); scale(&d) != want {
			t.Errorf("%q is kept as %s, want %s", word, scale(&d), want)
		}
	}
}

func TestAutomaticMailsAreMarkedByEverySign(t *testing.T) {
	for head, automatic := range map[string]bool{
		"": false, "Auto-Submitted: no": false, "Precedence: first-class": false, "X-Auto-Response-Suppress: None": false, "Return-Path: <lena@mail.example>": false,
		"Auto-Submitted: auto-replied": true, "Auto-Submitted: auto-generated; owner=x": true, "Precedence: bulk": true, "Precedence: Auto_Reply": true, "X-Autoreply: yes": true, "X-Autorespond: x": true,
		"X-Auto-Response-Suppress: All": true, "List-Id: <news.example>": true, "List-Unsubscribe: <mailto:x@y.example>": true, "Return-Path: <>": true,
		"From: Mail Delivery <MAILER-DAEMON@mx.example>": true, "From: no-reply@shop.example": true, "From: DoNotReply@shop.example": true,
	} {
		mail := "Message-Id: <1@x>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nSubject: Away\r\n"
		if !strings.HasPrefix(head, "From:") {
			mail += "From: Lena <lena@mail.example>\r\n"
		}
		if head != "" {
			mail += head + "\r\n"
		}
		events, err := ForChannel("mail")(&Delivery{Channel: "mail", Source: "a", Tenant: "t", Body: []byte(mail + "\r\nI am away.\r\n"), Received: received})
		if err != nil || len(events) != 1 {
			t.Errorf("%q: %d events, %v", head, len(events), err)
			continue
		}
		if got := events[0].Data.ActorKind == "system"; got != automatic {
			t.Errorf("%q: marked %v, want %v", head, got, automatic)
		}
	}
}
