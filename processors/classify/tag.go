package classify

import "unicode/utf8"

// blocks are the tags that end a sentence as a new line does.
var blocks = map[string]bool{"br": true, "p": true, "div": true, "li": true, "ul": true, "ol": true, "tr": true, "td": true, "th": true,
	"table": true, "hr": true, "h1": true, "h2": true, "h3": true, "h4": true, "blockquote": true, "section": true}

// longestTag is the longest name of a tag.
const longestTag = 20

// tagLength returns the length of the HTML tag at the head of s, which begins with "<", and whether it ends a sentence; 0: what
// stands there is text, as in "a < b > c", "<3" and "x <y and y> z". A tag is "<", perhaps "/", a name, and then ">" or blanks and
// attributes, of which one has a value. It holds no other "<", so that no byte of a text is searched twice for the end of a tag.
func tagLength(s string) (n int, block bool) {
	i := 1
	if i < len(s) && s[i] == '/' {
		i++
	}
	first := i
	for i < len(s) && i-first < longestTag && s[i] < 0x80 && (asciiClass[s[i]] == classLetter || i > first && (asciiClass[s[i]] == classDigit || s[i] == '-')) {
		i++
	}
	if i == first || i == len(s) {
		return 0, false
	}
	var lower [longestTag]byte
	for k, b := range []byte(s[first:i]) {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[k] = b
	}
	block = blocks[string(lower[:i-first])]
	switch s[i] {
	case '>':
		return i + 1, block
	case ' ', '\t', '\n', '\r', '/':
	default:
		return 0, false
	}
	bare, quote := true, byte(0) // no word but the name; the quotation mark that is open
	valued := false
	for ; i < len(s); i++ {
		switch b := s[i]; {
		case b == '<':
			return 0, false
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '>':
			if bare || valued {
				return i + 1, block
			}
			return 0, false
		case b == '=':
			valued = true
		case valued && (b == '"' || b == '\''):
			quote = b
		case b != ' ' && b != '\t' && b != '\n' && b != '\r' && b != '/':
			bare = false
		}
	}
	return 0, false
}

// linkLength returns the length of a web or mail address at the head of s, 0 if there is none.
func linkLength(s string) int {
	web := len(s) > 4 && (s[:4] == "http" || s[:4] == "HTTP" || s[:4] == "www.")
	if !web {
		return 0
	}
	n := 0
	for n < len(s) && s[n] > ' ' && s[n] < utf8.RuneSelf && s[n] != '"' && s[n] != '<' && s[n] != '>' {
		n++
	}
	if s[0] != 'w' && (n < 8 || s[4] != ':' && s[5] != ':') {
		return 0
	}
	return n
}
