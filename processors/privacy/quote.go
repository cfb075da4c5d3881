package privacy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// LongestQuote is how many characters of what a customer said leave the store.
const LongestQuote = 200

// What is masked in a quote besides: addresses of the web, names by which people are known on a platform, and every run of
// digits long enough to be an account or an order. A quote is read in chats and mailboxes, so too much is masked rather
// than too little; the event's id leads to the whole text.
var (
	webAddress = regexp.MustCompile(`(?i)\b(?:https?://|www\.)\S+`)
	longNumber = regexp.MustCompile(`\+?\(?\p{Nd}(?:[ ()/.\-–]{0,2}\p{Nd}){5,}`)
	handle     = regexp.MustCompile(`(^|[^\p{L}\p{N}])@[\p{L}\p{N}_]{2,}`)
)

// Quote makes a quote of a text: on one line, masked, and shortened. A nil Masker masks what Quote masks besides.
func (m *Masker) Quote(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if m != nil {
		text, _ = m.Mask(text)
	}
	text = webAddress.ReplaceAllString(text, "[link]")
	text = longNumber.ReplaceAllString(text, "[number]")
	text = handle.ReplaceAllString(text, "$1[name]")
	if utf8.RuneCountInString(text) > LongestQuote {
		text = string([]rune(text)[:LongestQuote-1]) + "…"
	}
	return text
}
