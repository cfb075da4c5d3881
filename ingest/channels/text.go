package channels

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// plain makes a customer's words comparable: valid UTF-8 in the composed form (NFC), lines that end with one line feed, no
// characters that nobody sees, no space around.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = norm.NFC.String(invisible(norm.NFC.String(s))) // again, because what went may have stood between a letter and its mark
	lines := strings.Split(s, "\n")
	out, blank := lines[:0], 0
	for _, line := range lines {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if blank++; line != "" {
			blank = 0
		}
		if blank < 2 { // a gap is a gap, however many lines long
			out = append(out, line)
		}
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// invisible removes control characters, zero-width characters and marks of writing direction. The two joiners stay where
// they join: within emoji and within words of scripts that need them.
func invisible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	runes := []rune(s)
	var b strings.Builder
	for i, r := range runes {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case (r == 0x200C || r == 0x200D) && i > 0 && i+1 < len(runes) && joined(runes[i-1]) && joined(runes[i+1]):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden holds for what is removed unless it joins.
func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7F && r < 0xA0: // controls
		return true
	case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F: // zero width, direction
		return true
	case r == 0xAD, r == 0x34F, r == 0x61C, r == 0x180E, r == 0xFEFF, r == 0x2028, r == 0x2029:
		return true
	case r >= 0xE0000 && r <= 0xE007F: // tags, with which text can be hidden in text
		return true
	}
	return false
}

// joined holds for characters that a joiner may stand beside: those of scripts beyond Latin, Greek and Cyrillic, emoji
// and their variation selectors.
func joined(r rune) bool { return r >= 0x590 && !hidden(r) && !unicode.IsSpace(r) }
