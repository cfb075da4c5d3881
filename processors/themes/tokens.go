package themes

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is one word, or one character of a script without spaces.
type token struct {
	norm       string // lower case, without apostrophes and plural s
	start, end uint32 // bytes of the text
	part       int32  // between two punctuation marks: no phrase goes beyond
	sentence   int32
	han        bool // of a script without spaces
}

// longestText is how many tokens of a text are read.
const longestText = 2000

// unspaced says whether a script puts no spaces between its words.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// tokens cuts a text. Web and mail addresses and @names are left out.
func tokens(text string, to []token) []token {
	to = to[:0]
	part, sentence := int32(0), int32(0)
	addresses := strings.Contains(text, "@") || strings.Contains(text, "://") || strings.Contains(text, "www.")
	for i := 0; i < len(text) && len(to) < longestText; {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case unspaced(r):
			to = append(to, token{norm: text[i : i+n], start: uint32(i), end: uint32(i + n), part: part, sentence: sentence, han: true})
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '@':
			end := i
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if unspaced(r) || !wordRune(r) && r != '@' {
					break
				}
				end += n
			}
			if addresses {
				if chunk := chunkAt(text, i, end); isAddress(text[i:chunk]) {
					i = chunk
					part++
					continue
				}
			}
			to = append(to, token{norm: normal(text[i:end]), start: uint32(i), end: uint32(end), part: part, sentence: sentence})
			i = end
			continue
		case strings.ContainsRune(".!?。！？\n", r):
			part, sentence = part+1, sentence+1
		case unicode.IsPunct(r) && r != '-' && r != '\'' && r != '’', unicode.IsSymbol(r):
			part++
		}
		i += n
	}
	return to
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '\'' || r == '’'
}

func isAddress(s string) bool {
	return strings.Contains(s, "@") || strings.Contains(s, "://") || strings.HasPrefix(s, "www.")
}

// chunkAt is where the run of ASCII without spaces that begins at i ends, at least end: an address is one.
func chunkAt(text string, i, end int) int {
	for i < len(text) && text[i] > ' ' && text[i] < utf8.RuneSelf {
		i++
	}
	return max(i, end)
}

// normal brings a word to the form in which it is counted: lower case, without apostrophes, an English plural without its s.
func normal(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) {
		word = strings.Map(func(r rune) rune {
			if r == '\'' || r == '’' {
				return -1
			}
			return unicode.ToLower(r)
		}, word)
	}
	if n := len(word); n > 3 && word[n-1] == 's' && !strings.ContainsRune("sui", rune(word[n-2])) && word[0] < utf8.RuneSelf {
		word = word[:n-1]
	}
	return word
}

//go:embed data/stop.txt
var stopText string

// stopWords are words that say nothing by themselves: no phrase begins or ends with one.
func stopWords() map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(stopText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, w := range strings.Fields(line) {
			out[normal(w)] = true
		}
	}
	return out
}

// phrase joins tokens to the text of a phrase, which cuts into the same tokens again.
func phrase(ts []token) string {
	var b strings.Builder
	for i := range ts {
		if i > 0 && !(ts[i].han && ts[i-1].han) {
			b.WriteByte(' ')
		}
		b.WriteString(ts[i].norm)
	}
	return b.String()
}
