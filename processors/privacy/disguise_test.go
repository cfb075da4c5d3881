package privacy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/earshot/earshot/processors/privacy"
)

// unseen are ways to write telephone numbers in further countries. Like foreign they were listed before the rules were held
// against them.
var unseen = []string{"4d dd dd dd", "9dd dd ddd", "07d-ddd dd dd", "08-ddd ddd dd", "04d ddd dddd", "7dd ddd ddd", "09dd ddd ddd", "07dd ddd ddd", "088 ddd dddd", "09d ddd dddd",
	"06d/ddd-dddd", "(067) ddd-dd-dd", "5ddd dddd", "2ddd dddd", "8 6dd ddddd", "09d ddd ddd", "05d ddd dddd", "0100 ddd dddd", "010dddddddd", "07dd dddddd", "03dd-ddddddd", "017dd-dddddd",
	"09d ddd dd dd", "01d-ddd dddd", "09dd-ddd-dddd", "6ddd dddd", "027 ddd dddd", "ndd dddd", "+358 40 ddd dddd", "+972 54-ddd-dddd", "+30 69d ddd dddd", "+47 9dd dd ddd", "+852 6ddd dddd"}

// disguised makes texts in which personal data is written so that a plain pattern misses it: with characters that nobody
// sees, as escapes, in other shapes of letters, with its signs as words, digit by digit.
type disguised struct{ corpus }

// between puts something between some of the characters.
func (c *disguised) between(s string, of ...string) string {
	var b strings.Builder
	some := false
	for i, r := range s {
		if i > 0 && (c.r.IntN(4) == 0 || !some && i > len(s)/2) {
			b.WriteString(c.pick(of...))
			some = true
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (c *disguised) unseen(s string) string {
	return c.between(s, "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u202c", "\ufe0f", "\u034f", "\U000e0061", "&#8203;", "&shy;", "%E2%80%8B")
}

// wide writes in full width, or in the bold letters of mathematics.
func (c *disguised) wide(s string) string {
	bold := c.r.IntN(3) == 0
	return strings.Map(func(r rune) rune {
		switch {
		case bold && r >= 'a' && r <= 'z':
			return 0x1d41a + r - 'a'
		case bold && r >= '0' && r <= '9':
			return 0x1d7ce + r - '0'
		case !bold && r > ' ' && r < 0x7f:
			return r + 0xfee0
		}
		return r
	}, s)
}

// apart writes digit by digit.
func (c *disguised) apart(s string) string {
	sep := c.pick(" ", " ", "-", ".")
	if strings.HasPrefix(s, "+") {
		sep = " "
	}
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '+' {
			return r
		}
		return -1
	}, s)
	return strings.ReplaceAll(strings.Join(strings.Split(digits, ""), sep), "+"+sep, "+")
}

// escape writes signs, and now and then all else, as escapes.
func (c *disguised) escape(s string) string {
	kind, all := c.r.IntN(6), c.r.IntN(3) == 0
	var b strings.Builder
	for _, r := range s {
		if plain := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z'; plain && !(all && c.r.IntN(2) == 0) || r == ' ' || r >= utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, [...]string{"&#%d;", "&#x%X;", "%%%02X", "&amp;#%d;", "\\u%04x", "%%25%02x"}[kind], r)
	}
	return b.String()
}

// words writes the signs of an address as words.
func (c *disguised) words(s string) string {
	local, domain, _ := strings.Cut(s, "@")
	at, dot := "@", "."
	switch c.r.IntN(5) {
	case 0:
		at = c.pick("(at)", "[at]", "{at}", "<at>", " (at) ", " [at] ", "(AT)")
	case 1:
		at, dot = c.pick("(at)", "[at]", " [at] "), c.pick("(dot)", "[dot]", " [dot] ", "[.]", " dot ")
	case 2:
		at, dot = " at ", " dot "
	case 3:
		at = c.pick(" @ ", " @", "[@]")
	default:
		at, dot = c.pick("@", "(at)"), c.pick(" dot ", "(dot)", " punkt ")
	}
	return local + at + strings.ReplaceAll(domain, ".", dot)
}

// mail is an address as it is disguised.
func (c *disguised) mail() string {
	s := strings.ReplaceAll(c.email(), "(at)", "@")
	switch c.r.IntN(4) {
	case 0:
		return c.unseen(s)
	case 1:
		return c.escape(s)
	case 2:
		return c.wide(s)
	}
	return c.words(s)
}

func (c *disguised) number(s string) string {
	switch c.r.IntN(5) {
	case 0:
		return c.unseen(s)
	case 1:
		return c.wide(s)
	case 2:
		return c.escape(s)
	case 3:
		return strings.NewReplacer(" ", "\u00a0", "-", c.pick("–", "\u2011", "－")).Replace(s)
	}
	return c.apart(s)
}

// innocent is what looks disguised and is nobody's.
func (c *disguised) innocent() string {
	return c.pick("We met at amazon dot com last week.", "I bought it at shop.example.com today.", "Look at example.com for more.", "It is cheaper at ikea.de.", "Find us @ example.com.",
		"option (a) and option (b).", "R&D &copy; 2026 &amp; more", "20%40 off?", "see https://example.org/a%20b?x=1%2C2&y=3", "Opened at 10.30 and closed at 18.45.", "the sign [dot] is missing",
		"My ratings: "+c.fill("x x x x x x x x x x x"), "1 2 3 4 5 6 7 8 9 10", "customer number "+c.fill("xdddddddd")+" is mine", "👨‍👩‍👧 love it", "item "+c.fill("xdddddddd"),
		"0 1 0 1 1 0 0 1 0 1 0 1", "It works at home. Com on!", "sizes 36 38 40 42 44", "between 2019 2020 and 2021", "points: "+c.fill("xdd xdd xdd"), "Meet me at noon dot.", "50%25 or 30%")
}

func (c *disguised) text() (string, []privacy.Span) {
	own := sentences["en"]
	var b strings.Builder
	var gold []privacy.Span
	say := func(sentence, what string, typ privacy.Type) {
		before, after, _ := strings.Cut(sentence, "%s")
		b.WriteString(before)
		if typ != "" {
			gold = append(gold, privacy.Span{Start: b.Len(), End: b.Len() + len(what), Type: typ})
		}
		b.WriteString(what + after + c.pick(" ", "\n"))
	}
	for range 1 + c.r.IntN(4) {
		switch n := c.r.IntN(20); {
		case n < 3:
			say(c.pick(own["fill"]...), "", "")
		case n < 6:
			say("%s", c.innocent(), "")
		case n < 8:
			say(c.pick(own["other"]...), c.lookalike(), "")
		case n < 12:
			say(c.pick(own["email"]...), c.mail(), privacy.Email)
		case n < 15:
			say(c.pick(own["phone"]...), c.number(c.phone("en")), privacy.Phone)
		case n < 18:
			say(c.pick(own["card"]...), c.number(c.card()), privacy.Card)
		case n < 19:
			s := c.iban()
			say(c.pick(own["iban"]...), c.pick(c.unseen(s), c.wide(s), c.escape(s), strings.ReplaceAll(s, " ", "\u00a0")), privacy.IBAN)
		default:
			sep := c.pick("", " ", ".", "")
			say(c.pick("My SSN is %s.", "SSN %s", "social security number: %s", "my ssn %s"), c.from(101, 665)+sep+c.from(10, 99)+sep+c.from(1000, 9999), privacy.NationalID)
		}
	}
	return b.String(), gold
}

// disguises is the seed of the texts that were not looked at.
const disguises = 6_151

func TestMaskingFindsWhatIsDisguised(t *testing.T) {
	m := masker(t)
	log := func(text string, s privacy.Span, kind string) {
		if testing.Verbose() {
			t.Logf("%s %s %q in %q", kind, s.Type, text[s.Start:s.End], text)
		}
	}
	c := &disguised{corpus{r: rand.New(rand.NewPCG(disguises, 17))}}
	got := tallies(m, 2000, c.text, log)
	var all tally
	for _, typ := range []privacy.Type{privacy.Email, privacy.Phone, privacy.Card, privacy.IBAN, privacy.NationalID} {
		x := got[typ]
		t.Attr("masking_disguised_"+string(typ), x.String())
		all.join(x)
		if x.precision() < 0.95 || x.recall() < 0.93 {
			t.Errorf("disguised %s: %s", typ, x)
		}
	}
	t.Attr("masking_disguised", all.String())
}
