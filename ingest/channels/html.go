package channels

import (
	"html"
	"strings"
)

// breaking are the elements that begin a new line.
var breaking = map[string]bool{"address": true, "article": true, "blockquote": true, "br": true, "div": true, "dd": true,
	"dt": true, "fieldset": true, "footer": true, "form": true, "h1": true, "h2": true, "h3": true, "h4": true, "h5": true,
	"h6": true, "header": true, "hr": true, "li": true, "main": true, "ol": true, "p": true, "pre": true, "section": true,
	"table": true, "tr": true, "ul": true}

// silent are the elements whose content is no text of the customer: markup, and what is quoted from somebody else.
var silent = map[string]bool{"script": true, "style": true, "head": true, "title": true, "template": true, "noscript": true,
	"iframe": true, "object": true, "svg": true, "math": true, "blockquote": true, "aside": true, "textarea": true, "select": true}

// raw are the elements in which "<" begins no element.
var raw = map[string]bool{"script": true, "style": true, "title": true, "textarea": true, "iframe": true}

// htmlText is the text that a reader of the HTML sees, without what it quotes. It understands broken HTML as text rather
// than lose words, and its time is linear in the length.
func htmlText(s string) string {
	var b strings.Builder
	quiet := "" // the silent element that is open
	nested := 0 // how many of the same name are open within it
	for s != "" {
		lt := strings.IndexByte(s, '<')
		if lt < 0 {
			lt = len(s)
		}
		if quiet == "" {
			b.WriteString(spaced(s[:lt]))
		}
		if s = s[lt:]; s == "" {
			break
		}
		name, closing, rest, ok := tag(s)
		if !ok {
			n := 1
			if rest == "" { // there is no tag any more
				n = len(s)
			}
			if quiet == "" {
				b.WriteString(spaced(s[:n]))
			}
			s = s[n:]
			continue
		}
		s = rest
		switch {
		case quiet != "":
			if name == quiet {
				if nested++; closing {
					nested -= 2
				}
				if nested < 0 {
					quiet, nested = "", 0
					b.WriteByte('\n')
				}
			}
		case !closing && silent[name]:
			if raw[name] {
				s = skipRaw(s, name)
			} else {
				quiet = name
			}
		case breaking[name]:
			if text := b.String(); text != "" && !strings.HasSuffix(text[max(0, len(text)-1):], "\n") {
				b.WriteByte('\n')
			}
			if name == "p" && closing {
				b.WriteByte('\n')
			}
		case !closing && (name == "td" || name == "th"):
			b.WriteByte(' ')
		}
	}
	return plain(html.UnescapeString(b.String()))
}

// spaced makes one blank of any white space, as HTML does.
func spaced(s string) string {
	if !strings.ContainsAny(s, "\n\r\t\f") && !strings.Contains(s, "  ") {
		return s
	}
	words := strings.Join(strings.Fields(s), " ")
	if s != "" && strings.ContainsRune(" \n\r\t\f", rune(s[0])) {
		words = " " + words
	}
	if len(words) > 1 && strings.ContainsRune(" \n\r\t\f", rune(s[len(s)-1])) {
		words += " "
	}
	return words
}

// skipRaw goes past the end tag of an element that holds no elements; without one, past everything.
func skipRaw(s, name string) string {
	for i := strings.Index(s, "</"); i >= 0; {
		if rest := s[i+2:]; len(rest) >= len(name) && strings.EqualFold(rest[:len(name)], name) {
			if end := strings.IndexByte(rest, '>'); end >= 0 {
				return rest[end+1:]
			}
			return ""
		}
		next := strings.Index(s[i+2:], "</")
		if next < 0 {
			return ""
		}
		i += 2 + next
	}
	return ""
}

// tag reads the tag or comment that s begins with; ok is false when s begins with a "<" that is only a character, and rest
// is "" then when there is no tag in all of s.
func tag(s string) (name string, closing bool, rest string, ok bool) {
	if strings.HasPrefix(s, "<!--") {
		if end := strings.Index(s[4:], "-->"); end >= 0 {
			return "", false, s[4+end+3:], true
		}
		return "", false, "", true
	}
	i := 1
	if i < len(s) && s[i] == '/' {
		closing = true
		i++
	}
	start := i
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || i > start && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	if i == start && !(i < len(s) && (s[i] == '!' || s[i] == '?')) {
		return "", false, s, false
	}
	name = strings.ToLower(s[start:i])
	quote := byte(0)
	for ; i < len(s) && i < maxTag; i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && s[i-1] == '=':
			quote = c
		case c == '>':
			return name, closing, s[i+1:], true
		}
	}
	// Too long, or with a quote that never ends: the next bracket is the end, so that reading stays linear.
	if end := strings.IndexByte(s, '>'); end >= 0 {
		return name, closing, s[end+1:], true
	}
	return "", false, "", false
}

// maxTag is how far quotes of attributes are minded.
const maxTag = 2 << 10
