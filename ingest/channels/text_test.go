package channels

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestPlainKeepsWordsAndDropsWhatNobodySees(t *testing.T) {
	for _, c := range []struct{ claim, in, want string }{
		{"composed form", "Cafe\u0301", "Café"},
		{"composed across what nobody sees", "A\x03\u0301 e\u200b\u0301", "Á é"},
		{"zero-width spaces", "no\u200b refund\ufeff\u2060", "no refund"},
		{"soft hyphens", "Kunden\u00addienst", "Kundendienst"},
		{"direction marks", "\u202eabc\u202c \u2066x\u2069", "abc x"},
		{"joiners within emoji stay", "👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"},
		{"a joiner within a Persian word stays", "می\u200cخواهم", "می\u200cخواهم"},
		{"a joiner within a Latin word goes", "ref\u200dund", "refund"},
		{"controls", "a\x00b\x1b[31mc\x7f", "ab[31mc"},
		{"line ends", "a\r\nb\rc", "a\nb\nc"},
		{"gaps", "a\n\n\n \n\nb  \n", "a\n\nb"},
		{"bytes that are not UTF-8", "a\xffb", "a\uFFFDb"},
		{"hidden tags", "hi\U000E0041\U000E0042", "hi"},
		{"nothing", " \u200b \n", ""},
	} {
		if got := plain(c.in); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.claim, c.in, got, c.want)
		}
	}
}

func TestHTMLBecomesWhatAReaderSees(t *testing.T) {
	for _, c := range []struct{ claim, in, want string }{
		{"paragraphs", "<p>One</p><p>Two</p>", "One\n\nTwo"},
		{"line breaks", "a<br>b<BR/>c", "a\nb\nc"},
		{"white space is one blank", "a\n   b\t c", "a b c"},
		{"words in elements are not torn", "un<b>believ</b>able <i>slow</i>", "unbelievable slow"},
		{"entities", "&lt;b&gt; &amp;amp; &#39;x&#39;&nbsp;y &euro;", "<b> &amp; 'x'\u00a0y €"},
		{"scripts and styles", "a<script>if (a<b) x('</p>')</script><style>p{}</style>b", "ab"},
		{"a script without an end", "a<script>b", "a"},
		{"quotations", "mine<blockquote>theirs<blockquote>older</blockquote>still theirs</blockquote>mine again", "mine\nmine again"},
		{"lists", "<ul><li>a</li><li>b</li></ul>", "a\nb"},
		{"tables", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\n c"},
		{"comments", "a<!-- <p>x</p> -->b", "ab"},
		{"an unfinished comment", "a<!-- b", "a"},
		{"attributes with brackets", `<a title="a > b" href='x>y'>c</a>`, "c"},
		{"a bracket that begins nothing", "1 < 2 and 3 > 2", "1 < 2 and 3 > 2"},
		{"an unfinished tag", "a <b", "a <b"},
		{"no HTML at all", "just words", "just words"},
		{"the head", "<html><head><title>t</title></head><body>b</body></html>", "b"},
		{"a mark that looks like HTML after decoding", "&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"},
	} {
		if got := htmlText(c.in); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.claim, c.in, got, c.want)
		}
	}
}

// Twice the input may not take much more than twice the steps; the count of bytes is the measure, not the clock.
func TestHTMLOfManyUnfinishedTagsIsReadInOneGo(t *testing.T) {
	for _, unit := range []string{"<a ", "<a href=\"", "<!-", "</", "<script", "<blockquote>", "<p><b", "<a ='"} {
		in := strings.Repeat(unit, 300_000/len(unit))
		if got := htmlText(in); len(got) > len(in)+10 {
			t.Errorf("%q repeated grows", unit)
		}
	}
}

func TestRepliesAreWithoutWhatTheyQuote(t *testing.T) {
	for _, c := range []struct{ claim, in, want string }{
		{"quoted lines", "Mine.\n\n> yours\n> and yours", "Mine."},
		{"words below the quotation", "> yours\n\nMine.", "Mine."},
		{"an English introduction", "Mine.\n\nOn Fri, 20 Nov 2026 at 10:00, Acme <a@b.example> wrote:\n> yours", "Mine."},
		{"an introduction over two lines", "Mine.\n\nOn Fri, 20 Nov 2026 at 10:00,\nAcme <a@b.example> wrote:\n\n> yours", "Mine."},
		{"a German one", "Meins.\n\nAm 20.11.2026 um 10:00 schrieb Acme:\n> deins", "Meins."},
		{"a French one", "À moi.\n\nLe ven. 20 nov. 2026 à 10:00, Acme a écrit :\n> à toi", "À moi."},
		{"the customer's own sentence stays", "On Friday your driver wrote:\nNobody at home. I was at home!", "On Friday your driver wrote:\nNobody at home. I was at home!"},
		{"a signature", "Mine.\n-- \nLena\n+43 1", "Mine."},
		{"two hyphens within words are none", "Mine -- and more.\n--more", "Mine -- and more.\n--more"},
		{"a phone's signature", "Mine.\n\nSent from my iPhone", "Mine."},
		{"Outlook", "Mine.\n\nFrom: Acme <a@b.example>\nSent: Friday\nTo: Lena\nSubject: x\n\nyours", "Mine."},
		{"the original message", "Mine.\n-----Original Message-----\nFrom: x", "Mine."},
		{"quotes alone are kept", "> only quoted", "> only quoted"},
		{"nothing", "", ""},
	} {
		if got := replyText(c.in); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.claim, c.in, got, c.want)
		}
	}
}

func TestTimesOfEveryProviderAreRead(t *testing.T) {
	for _, in := range []string{"2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z", "2026-11-23T11:00:00+01:00", "2026-11-23T11:00:00+0100", "1795428000",
		"1795428000.0002", "1795428000000", "1795428000000000", "Mon Nov 23 10:00:00 +0000 2026", "Mon, 23 Nov 2026 11:00:00 +0100", "23 Nov 2026 11:00:00 +0100 (CET)",
		"2026-11-23 10:00:00 UTC", "2026-11-23 10:00", "2026-11-23T10:00"} {
		if got := when(in).UTC().Format("2006-01-02T15:04:05Z"); got != "2026-11-23T10:00:00Z" {
			t.Errorf("%q is read as %s", in, got)
		}
	}
	for _, in := range []string{"", "soon", "0", "-5", "1e300", "NaN", "Inf"} {
		if !when(in).IsZero() {
			t.Errorf("%q is read as a time", in)
		}
	}
}

// What is cleaned is clean: cleaning it again changes nothing.
func FuzzText(f *testing.F) {
	for _, s := range []string{"a\u200b", "<p>a<b>", "> q\n\nOn Fri x wrote:\n> y", "\xff\u202e", "e\u0301\u200d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, clean := range map[string]func(string) string{"plain": plain, "html": htmlText, "reply": replyText} {
			got := clean(s)
			if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.ContainsRune(got, 0) {
				t.Errorf("%s(%q) = %q is not clean", name, s, got)
			}
			if again := plain(got); again != got {
				t.Errorf("%s(%q) = %q, cleaned again %q", name, s, got, again)
			}
		}
	})
}
