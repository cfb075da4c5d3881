package channels

import (
	"maps"
	"slices"
)

// channel is what is known of one channel.
type channel struct {
	scheme string  // of [schemes]; token: it has none of its own
	adapt  Adapter // nil: the source's mapping says
	// handshake answers a request by which the provider makes sure of the address; nil answer: it is not one. It is asked
	// after the signature was verified where proven is true, else before.
	handshake func(r *Request, s *Source) *Reply
	proven    bool
	success   *Reply // what the provider wants to read; nil: whatever the caller says
}

// table is every channel by name.
var table = map[string]channel{
	"zendesk":      {scheme: "zendesk", adapt: zendesk},
	"intercom":     {scheme: "intercom", adapt: intercom},
	"freshdesk":    {scheme: "token", adapt: freshdesk},
	"chatwoot":     {scheme: "chatwoot", adapt: chatwoot},
	"typeform":     {scheme: "typeform", adapt: typeform},
	"surveymonkey": {scheme: "surveymonkey", adapt: surveymonkey, handshake: anyHead},
	"formbricks":   {scheme: "formbricks", adapt: formbricks},
	"googleforms":  {scheme: "token", adapt: googleForms},
	"appstore":     {scheme: "token", adapt: appStore},
	"googleplay":   {scheme: "token", adapt: googlePlay},
	"trustpilot":   {scheme: "token", adapt: trustpilot},
	"slack":        {scheme: "slack", adapt: slack, handshake: urlVerification, proven: true},
	"telegram":     {scheme: "telegram", adapt: telegram},
	"whatsapp":     {scheme: "whatsapp", adapt: whatsApp, handshake: hubChallenge},
	"twilio":       {scheme: "twilio", adapt: twilioSMS, success: &Reply{ContentType: "text/xml", Body: []byte("<Response/>\n")}},
	"x":            {scheme: "x", adapt: xMentions, handshake: crc},
	"discourse":    {scheme: "discourse", adapt: discourse},
	"github":       {scheme: "github", adapt: github},
	"mailgun":      {scheme: "mailgun", adapt: mailgun},
	"postmark":     {scheme: "basic", adapt: postmark},
	"sendgrid":     {scheme: "sendgrid", adapt: sendgrid},
	"mail":         {scheme: "token", adapt: mailFile},
	"generic":      {scheme: "token"},
}

// Names lists the channels, sorted.
func Names() []string { return slices.Sorted(maps.Keys(table)) }

// ForChannel returns the adapter of a channel; nil for generic, whose sources bring a mapping, and for what is no channel.
func ForChannel(name string) Adapter { return table[name].adapt }
