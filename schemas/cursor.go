package schemas

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks over JSON that is already known to be valid: it looks for ends of values and checks nothing. Names and
// values are substrings of text unless they hold escapes, so that reading an event costs few allocations.
type cursor struct {
	text string
	at   int
}

// peek skips white space and returns the first byte of the next value, or the bracket that closes the one around it.
func (c *cursor) peek() byte {
	for {
		switch b := c.text[c.at]; b {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.at++
		default:
			return b
		}
	}
}

// enter steps over the bracket that opens an object or an array.
func (c *cursor) enter() {
	c.peek()
	c.at++
}

// more says whether the object or array that was entered has another member, and steps over its closing bracket if not.
func (c *cursor) more() bool {
	if b := c.peek(); b == '}' || b == ']' {
		c.at++
		return false
	}
	return true
}

// quoted returns the next string as it is written, with its quotes.
func (c *cursor) quoted() string {
	c.peek()
	start := c.at
	end := start + 1
	for {
		end += strings.IndexByte(c.text[end:], '"')
		escapes := 0
		for c.text[end-1-escapes] == '\\' {
			escapes++
		}
		end++
		if escapes%2 == 0 {
			break
		}
	}
	c.at = end
	return c.text[start:end]
}

// str returns the next string, decoded.
func (c *cursor) str() string {
	s := c.quoted()
	inner := s[1 : len(s)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	b, _ := jsontext.AppendUnquote(make([]byte, 0, len(s)), s)
	return string(b)
}

// value returns the next value of any kind as it is written, and how deep it nests: 0 for a scalar.
func (c *cursor) value() (raw string, depth int) {
	switch c.peek() {
	case '"':
		return c.quoted(), 0
	case '{', '[':
	default:
		start := c.at
		for c.at < len(c.text) && !endsScalar(c.text[c.at]) {
			c.at++
		}
		return c.text[start:c.at], 0
	}
	start, level := c.at, 0
	for {
		switch c.text[c.at] {
		case '"':
			c.quoted()
			continue
		case '{', '[':
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		}
		c.at++
		if level == 0 {
			return c.text[start:c.at], depth
		}
	}
}

func endsScalar(b byte) bool {
	switch b {
	case ' ', '\t', '\n', '\r', ',', '}', ']':
		return true
	}
	return false
}
