package clickhouse_test

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// longestQuote is how many characters of what a customer said an alert carries.
const longestQuote = 200

// What is masked in a quote before it leaves the store: addresses, and runs of digits long enough to be a telephone
// number, a card, an account or an order. An alert is read in chats and mailboxes, so too much is masked rather than too
// little; the event's id leads to the whole text.
var (
	mailAddress = regexp.MustCompile(`[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}.\-]+\.\p{L}{2,}`)
	webAddress  = regexp.MustCompile(`(?i)\b(?:https?://|www\.)\S+`)
	account     = regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b`)
	number      = regexp.MustCompile(`\+?\(?\p{Nd}(?:[ ()/.\-–]{0,2}\p{Nd}){5,}`)
	handle      = regexp.MustCompile(`(^|[^\p{L}\p{N}])@[\p{L}\p{N}_]{2,}`)
)

// redact is what the views do to quotes, in Go: they mask once more what the worker has masked.
func redact(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	text = mailAddress.ReplaceAllString(text, "[mail]")
	text = webAddress.ReplaceAllString(text, "[link]")
	text = account.ReplaceAllString(text, "[account]")
	text = number.ReplaceAllString(text, "[number]")
	text = handle.ReplaceAllString(text, "$1[name]")
	if utf8.RuneCountInString(text) > longestQuote {
		text = string([]rune(text)[:longestQuote-1]) + "…"
	}
	return text
}
