package channels

import (
	"regexp"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// letter is a mail, whichever way it came.
type letter struct {
	id, from, subject string
	text, html        string
	stripped          string // the reply alone, where the provider found it
	inReplyTo, thread string
	order             string
	at                time.Time
	header            func(name string) string
}

// replyPrefix begins the subject of an answer, which repeats what somebody else wrote.
var replyPrefix = regexp.MustCompile(`(?i)^(re|aw|sv|antw|odp|rv|res|fw|fwd|wg|tr)\s*(\[\d+\])?\s*:`)

// add takes a letter. The subject is part of what the customer says, unless it repeats another's. What a machine sent is
// marked as a system's and counts for no figure: answers of absence, lists, notices of delivery (RFC 3834).
func (f *finds) addLetter(l *letter, meta ...string) {
	e := f.d.event(strings.Trim(l.id, "<> "), schemas.FeedbackReceived, "email", l.at)
	switch {
	case l.stripped != "":
		e.Data.Text = replyText(l.stripped)
	case strings.TrimSpace(l.text) != "":
		e.Data.Text = replyText(l.text)
	default:
		e.Data.Text = replyText(htmlText(l.html))
	}
	if subject := plain(l.subject); !replyPrefix.MatchString(subject) {
		e.Data.Text = titled(subject, e.Data.Text)
	}
	e.Data.CustomerID, e.Data.OrderID = address(l.from), l.order
	e.Data.InReplyTo = strings.Trim(l.inReplyTo, "<> ")
	if refs := strings.Fields(l.thread); len(refs) > 0 {
		e.Data.ConversationID = strings.Trim(refs[0], "<>")
	} else {
		e.Data.ConversationID = first(e.Data.InReplyTo, e.ID)
	}
	if why := automatic(l); why != "" {
		e.Data.ActorKind = "system"
		meta = append(meta, "automatic", why)
	}
	f.add(e, meta...)
}

// automatic says by which sign a letter was sent by a machine; "": by none.
func automatic(l *letter) string {
	if v := strings.ToLower(l.header("Auto-Submitted")); v != "" && v != "no" {
		return v
	}
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress", "List-Id", "List-Unsubscribe"} {
		if v := l.header(name); v != "" && !strings.EqualFold(v, "none") {
			return strings.ToLower(name)
		}
	}
	switch v := strings.ToLower(strings.TrimSpace(l.header("Precedence"))); v {
	case "bulk", "junk", "list", "auto_reply":
		return v
	}
	from := address(l.from)
	for _, robot := range []string{"mailer-daemon@", "postmaster@", "no-reply@", "noreply@", "donotreply@"} {
		if strings.HasPrefix(from, robot) {
			return "sender"
		}
	}
	if l.header("Return-Path") == "<>" {
		return "bounce"
	}
	return ""
}
