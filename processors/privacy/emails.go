package privacy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestLocal is how many bytes the local part of an address has at most (RFC 5321).
const longestLocal = 64

// emails finds e-mail addresses, also those of which the signs are written as words.
func (s *scanner) emails() {
	text := s.t.s
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '@':
			start, end := s.local(i), s.domain(i+1)
			if start < i && end > 0 && s.add(start, end, Email) {
				i = end - 1
				continue
			}
		case ' ':
			if !sign(text[i+1:]) {
				continue
			}
		default:
			continue
		}
		if start, end := s.spoken(i); end > 0 && s.add(start, end, Email) {
			i = end - 1
		}
	}
}

// local returns where the local part before the sign begins. Of the signs that RFC 5322 allows in it, those count that are
// used; the others are rather those of an address of the web.
func (s *scanner) local(at int) int {
	text, i := s.t.s, at
	for i > 0 && at-i < longestLocal {
		r, size := utf8.DecodeLastRuneInString(text[:i])
		if !(addressLetter(r) || r < utf8.RuneSelf && (wordByte(byte(r)) || strings.ContainsRune(".%&'+-~", r))) {
			break
		}
		i -= size
	}
	for i < at && !wordByte(text[i]) && text[i] < utf8.RuneSelf { // a quote or bracket before it belongs to the sentence
		i++
	}
	return i
}

// addressLetter holds for letters beyond ASCII that addresses have. Those of scripts without spaces belong to the sentence.
func addressLetter(r rune) bool {
	return r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsMark(r)) && !unicode.Is(unicode.Han, r) && !unicode.Is(unicode.Hiragana, r)
}

// domain returns where the domain ends that begins at a place: at its last label that can be a top-level one, which is not
// the first. 0: there is none.
func (s *scanner) domain(at int) (end int) {
	text, i := s.t.s, at
	for labels := 1; ; labels++ {
		start := i
		for i < len(text) {
			r, size := utf8.DecodeRuneInString(text[i:])
			if !(addressLetter(r) || r == '-' || r < utf8.RuneSelf && wordByte(byte(r)) && r != '_') {
				break
			}
			i += size
		}
		label := strings.TrimRight(text[start:i], "-")
		if label == "" {
			return end
		}
		if labels > 1 && topLevel(label) {
			end = start + len(label)
		}
		dot := s.dot(i)
		if labels == 1 && dot == 0 && strings.HasPrefix(text[i:], "。") && i+3 < len(text) && letter(text[i+3]) {
			dot = len("。")
		}
		if dot == 0 {
			return end
		}
		i += dot
	}
}

// dot is the length of a dot at a place, also of one that is written as a word between spaces.
func (s *scanner) dot(at int) int {
	text := s.t.s
	if at == len(text) {
		return 0
	}
	if text[at] == '.' {
		return 1
	}
	if text[at] != ' ' {
		return 0
	}
	word, end := s.word(at)
	if end < len(text) && text[end] == ' ' && s.m.spoken["dot"][strings.ToLower(word)] {
		return end + 1 - at
	}
	return 0
}

// dotBefore is where a dot begins that is written as a word between spaces and ends at a place; 0: there is none.
func (s *scanner) dotBefore(end int) int {
	if end < 3 || s.t.s[end-1] != ' ' {
		return 0
	}
	at := strings.LastIndexByte(s.t.s[max(0, end-17):end-1], ' ')
	if at += max(0, end-17); at <= 0 || s.dot(at) != end-at {
		return 0
	}
	return at
}

// word is the word behind a space, and where it ends; one of more than 16 bytes is none.
func (s *scanner) word(space int) (string, int) {
	text := s.t.s
	end := space + 1
	for end < len(text) && end-space <= 16 && text[end] != ' ' && text[end] != '\n' {
		end++
	}
	return text[space+1 : end], end
}

// topLevel says whether a label can be the last of a domain.
func topLevel(label string) bool {
	n := utf8.RuneCountInString(label)
	return n >= 2 && n <= 24 && label[0] != '-' && (!strings.ContainsAny(label, "0123456789") || strings.HasPrefix(strings.ToLower(label), "xn--"))
}

// spoken finds an address of which the sign is a word or stands by itself: "ann at example dot com", "ann @ example.com". The
// place is that of the space before the word, or of the sign. Of "at" people make other use: something else must say that it
// is an address. That is its local part or its provider, or a word before it that speaks of mail.
func (s *scanner) spoken(at int) (start, end int) {
	text := s.t.s
	sign, after, space := "@", at+1, at
	if text[at] == ' ' {
		sign, after = s.word(at)
		if sign = strings.ToLower(sign); !s.m.spoken["sign"][sign] || after == len(text) || text[after] != ' ' {
			return 0, 0
		}
	} else if at > 0 && text[at-1] == ' ' {
		space--
	}
	if after < len(text) && text[after] == ' ' {
		after++
	}
	if end = s.domain(after); end == 0 {
		return 0, 0
	}
	start = s.local(space)
	said := false // a dot of the local part is a word
	for at := s.dotBefore(start); at > 0; at = s.dotBefore(start) {
		earlier := s.local(at)
		if earlier == at || space-earlier > longestLocal {
			break
		}
		start, said = earlier, true
	}
	local := strings.ToLower(text[start:space])
	if local == "" || s.m.spoken["never"][local] {
		return 0, 0
	}
	if sign != "at" || said || strings.ContainsAny(local, "._+-0123456789") || s.m.spoken["provider"][strings.ToLower(s.label(after))] {
		return start, end
	}
	before := strings.ToLower(text[max(0, start-nearBytes):start])
	before = before[strings.LastIndexAny(before, "\n!?;.")+1:]
	for _, w := range strings.FieldsFunc(before, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' }) {
		if s.m.spoken["before"][w] {
			return start, end
		}
	}
	return 0, 0
}

// label is the first label of a domain.
func (s *scanner) label(at int) string {
	end := at
	for end < len(s.t.s) && (wordByte(s.t.s[end]) || s.t.s[end] == '-') {
		end++
	}
	return s.t.s[at:end]
}
