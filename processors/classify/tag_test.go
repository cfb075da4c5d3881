package classify

import (
	"strings"
	"testing"
	"time"
)

// TestTagsAreNoWords tells tags from what only looks like one.
func TestTagsAreNoWords(t *testing.T) {
	for _, row := range []struct {
		text  string
		tag   string
		block bool
	}{
		{`<div class="bad awful terrible">Great`, `<div class="bad awful terrible">`, true},
		{"<br>next", "<br>", true},
		{"<BR />next", "<BR />", true},
		{"</p>", "</p>", true},
		{"<b>bold</b>", "<b>", false},
		{`<a href='x>y' title="it's > bad">`, `<a href='x>y' title="it's > bad">`, false},
		{"<img\nsrc=bad.png>", "<img\nsrc=bad.png>", false},
		{"<my-tag>", "<my-tag>", false},
		{"< b > c", "", false},
		{"<3 love", "", false},
		{"<y and y> z", "", false},
		{"<a@example.com>", "", false},
		{"<https://example.com/a>", "", false},
		{"<a href=<b>", "", false},
		{`<a title="open`, "", false},
		{"<", "", false},
		{"</", "", false},
		{"<>", "", false},
		{"<a", "", false},
		{"<ä>", "", false},
	} {
		if n, block := tagLength(row.text); row.text[:n] != row.tag || block != row.block {
			t.Errorf("%q: tag %q, ends a sentence: %v; want %q, %v", row.text, row.text[:n], block, row.tag, row.block)
		}
	}
}

// TestSpansAreThoseOfTheTextWithItsTags holds mentions to the bytes of the text as it came.
func TestSpansAreThoseOfTheTextWithItsTags(t *testing.T) {
	text := `<div class="bad awful terrible">Great product</div><p>The delivery was late.</p>`
	l := mustLoad(t).Classify(Input{Text: text})
	var got []string
	for _, m := range l.Mentions {
		got = append(got, text[m.Start:m.End])
	}
	if want := "Great product|The delivery was late"; strings.Join(got, "|") != want {
		t.Errorf("mentions of %q, want %s", got, want)
	}
}

// TestTagsTakeLinearTime reads texts that begin many tags and end none; a search from each for its end would take hours.
func TestTagsTakeLinearTime(t *testing.T) {
	c := mustLoad(t)
	for _, part := range []string{"<a", "<a ", `<a b="`, "<", "</a", `<a b="'>`, "<a b=c "} {
		start := time.Now()
		c.Classify(Input{Text: strings.Repeat(part, 1<<20/len(part))})
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("1 MiB of %q takes %v", part, d)
		}
	}
}
