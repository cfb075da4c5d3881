package privacy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded is a text as it is read by people: the digits and signs of all scripts as those of ASCII, what is written as an
// escape of HTML, of an address of the web or of JSON as what it stands for, and nothing that nobody sees. Patterns are
// written for this form.
type folded struct {
	s        string
	from, to []int // where what became a byte begins and ends in the original; nil: the text is as it was
}

// span is where bytes of the folded text are in the original.
func (t *folded) span(start, end int) (int, int) {
	if t.from == nil {
		return start, end
	}
	return t.from[start], t.to[end-1]
}

// survey is what a first look at a text says.
type survey struct {
	digits int
	at     bool // it may hold an address of e-mail
	fold   bool // it is not in its folded form
}

// look reads a text once. Most texts have nothing that is worth a second look.
func look(text string) (v survey) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case digit(c):
			v.digits++
		case c == '@':
			v.at = true
		case c == ' ':
			// "ann at example dot com", "ann arroba example.com"
			v.at = v.at || sign(text[i+1:])
		case c == '(' || c == '[' || c == '{' || c == '<':
			_, size := spelt(text[i:])
			v.fold = v.fold || size > 0
		case c == '&' || c == '%' || c == '\\':
			_, size := escaped(text[i:])
			v.fold = v.fold || size > 0
		case c < ' ' && c != '\n' && c != '\r' || c == 0x7f:
			v.fold = true
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(text[i:])
			v.fold = v.fold || !usual(r) && (foldRune(r) != r || unicode.Is(unicode.Mn, r))
			i += size - 1
		}
	}
	return v
}

// sign says whether a text begins with a word for @.
func sign(s string) bool {
	switch {
	case len(s) < 3:
		return false
	case s[0]|0x20 != 'a':
		return strings.HasPrefix(s, "ät ")
	case s[1]|0x20 == 't':
		return s[2] == ' '
	}
	return len(s) > 6 && (strings.EqualFold(s[:6], "arroba") || strings.EqualFold(s[:7], "arobase"))
}

// fold brings a text into that form.
func fold(text string) folded {
	t := folded{s: text}
	if !look(text).fold {
		return t
	}
	t = t.plain()
	if strings.ContainsAny(t.s, "([{<") {
		t = t.signs()
	}
	return t
}

// folder collects a folded text.
type folder struct {
	b        []byte
	from, to []int
}

func newFolder(size int) *folder {
	return &folder{make([]byte, 0, size), make([]int, 0, size), make([]int, 0, size)}
}

// add appends what stands for bytes of the original.
func (f *folder) add(from, to int, as ...byte) {
	for _, c := range as {
		f.b, f.from, f.to = append(f.b, c), append(f.from, from), append(f.to, to)
	}
}

func (f *folder) done() folded { return folded{string(f.b), f.from, f.to} }

// plain replaces characters and escapes.
func (t *folded) plain() folded {
	text, out := t.s, newFolder(len(t.s))
	var own [utf8.UTFMax]byte
	for i := 0; i < len(text); {
		r, size := escaped(text[i:])
		escape := size > 0
		if !escape {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		f := foldRune(r)
		switch {
		case f == nothing:
		case unicode.Is(unicode.Mn, r) && len(out.b) > 0 && out.b[len(out.b)-1] < utf8.RuneSelf && !letter(out.b[len(out.b)-1]):
			// an accent belongs to a letter
		case f < utf8.RuneSelf:
			out.add(i, i+size, byte(f))
		case escape:
			out.add(i, i+size, own[:utf8.EncodeRune(own[:], r)]...)
		default:
			for k := range size {
				out.add(i+k, i+size, text[i+k])
			}
		}
		i += size
	}
	return out.done()
}

// signs replaces "(at)" and "[dot]" by what they are read as, with the spaces around them.
func (t *folded) signs() folded {
	text, out := t.s, newFolder(len(t.s))
	for i := 0; i < len(text); {
		is, size := spelt(text[i:])
		if size == 0 {
			out.add(t.from[i], t.to[i], text[i])
			i++
			continue
		}
		from, to := t.from[i], t.to[i+size-1]
		if text[i+1]|0x20 != 'a' || text[i+2]|0x20 == 't' || text[i+2]|0x20 == 'r' { // "(a)" is also an item of a list
			for n := len(out.b); n > 0 && out.b[n-1] == ' '; n-- {
				from, out.b, out.from, out.to = out.from[n-1], out.b[:n-1], out.from[:n-1], out.to[:n-1]
			}
			for i+size < len(text) && text[i+size] == ' ' {
				to, size = t.to[i+size], size+1
			}
		}
		out.add(from, to, is)
		i += size
	}
	return out.done()
}

// spelt reads a sign of an e-mail address that is written as a word in brackets, and its length; 0: there is none.
func spelt(s string) (sign byte, size int) {
	i := 1
	for i < len(s) && i < 3 && s[i] == ' ' {
		i++
	}
	start := i
	for i < len(s) && i-start < 8 && s[i] != ' ' && s[i] != ')' && s[i] != ']' && s[i] != '}' && s[i] != '>' {
		i++
	}
	word := s[start:i]
	for i < len(s) && s[i] == ' ' && i-start < 10 {
		i++
	}
	if i == len(s) || s[i] != ')' && s[i] != ']' && s[i] != '}' && s[i] != '>' {
		return 0, 0
	}
	switch strings.ToLower(word) {
	case "at", "a", "ät", "@", "arroba", "arobase":
		return '@', i + 1
	case "dot", ".", "punkt", "point", "punto", "ponto":
		return '.', i + 1
	}
	return 0, 0
}

// nothing is what a character folds to that nobody sees.
const nothing rune = -1

// usual holds for letters that stand for themselves: those of most text beyond ASCII.
func usual(r rune) bool {
	return r >= 0xc0 && r <= 0x2af || r >= 0x370 && r <= 0x482 || r >= 0x3041 && r <= 0x3096 || r >= 0x30a1 && r <= 0x30fa || r >= 0x3400 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7a3
}

// foldRune is the ASCII character that a digit, a letter, a space or a sign of another script or shape stands for; others
// stand for themselves.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r == '\t' {
			return ' '
		}
		if r < ' ' && r != '\n' && r != '\r' || r == 0x7f {
			return nothing
		}
		return r
	case usual(r):
		return r
	}
	switch r {
	case 0xa0, 0x1680, 0x205f, 0x3000:
		return ' '
	case '‐', '‑', '‒', '–', '—', '―', '−', '－', '﹣':
		return '-'
	case '·', '•', '∙', '․':
		return '.'
	case '：':
		return ':'
	case 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xfeff, 0xffa0, 0xfffc:
		return nothing
	}
	switch {
	case r >= 0x2000 && r <= 0x200a || r == 0x202f:
		return ' '
	case r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, // controls, zero width, direction
		r >= 0x180b && r <= 0x180f, r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe01ef, unicode.Is(unicode.Me, r): // variants, tags, keycaps
		return nothing
	case r >= 0x2070 && r <= 0x209f: // raised and lowered digits belong to footnotes and formulas
		return r
	case r >= 0x2100 && r <= 0x24ff || r >= 0xfe50 && r <= 0xffef || r >= 0x1d400 && r <= 0x1d7ff || r >= 0x1f100 && r <= 0x1f1ff:
		var own [utf8.UTFMax]byte
		if d := norm.NFKD.Properties(own[:utf8.EncodeRune(own[:], r)]).Decomposition(); len(d) == 1 {
			return rune(d[0])
		}
	}
	if unicode.Is(unicode.Nd, r) {
		zero := r
		for unicode.Is(unicode.Nd, zero-1) && r-zero < 9 {
			zero--
		}
		return '0' + (r-zero)%10
	}
	return r
}

// escaped reads one character that is written as an escape of HTML (&#64; &commat;), of an address of the web (%40) or of
// JSON (\u0040), also one that was escaped again, and its length; 0: there is none.
func escaped(s string) (r rune, size int) {
	if len(s) < 3 {
		return 0, 0
	}
	switch s[0] {
	case '&':
		return entity(s)
	case '%':
		return percent(s)
	case '\\':
		if len(s) >= 6 && s[1] == 'u' {
			if v, err := strconv.ParseUint(s[2:6], 16, 32); err == nil {
				return rune(v), 6
			}
		}
	}
	return 0, 0
}

// escapes is how often something is escaped again at most.
const escapes = 4

func entity(s string) (r rune, size int) {
	i := 1
	for n := 0; n < escapes && strings.HasPrefix(s[i:], "amp;"); n++ {
		i += len("amp;")
	}
	end := i
	for end < len(s) && end-i < 16 && (wordByte(s[end]) || s[end] == '#') {
		end++
	}
	name := s[i:end]
	if end < len(s) && s[end] == ';' {
		end++
	}
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		base := 10
		if len(digits) > 1 && digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
		v, err := strconv.ParseUint(digits, base, 21)
		if err != nil {
			return 0, 0
		}
		return rune(v), end
	}
	switch name {
	case "commat":
		return '@', end
	case "period":
		return '.', end
	case "plus":
		return '+', end
	case "lpar":
		return '(', end
	case "rpar":
		return ')', end
	case "sol":
		return '/', end
	case "lowbar":
		return '_', end
	case "hyphen", "dash", "ndash", "mdash":
		return '-', end
	case "nbsp", "ensp", "emsp", "thinsp", "numsp":
		return ' ', end
	case "shy", "zwnj", "zwj", "lrm", "rlm", "ZeroWidthSpace", "NoBreak":
		return 0xad, end
	}
	return 0, 0
}

// percent reads a character of one or several bytes.
func percent(s string) (r rune, size int) {
	i := 1
	for n := 0; n < escapes && strings.HasPrefix(s[i:], "25"); n++ {
		i += len("25")
	}
	first, ok := hexByte(s[i:])
	if !ok {
		return 0, 0
	}
	if i += 2; first < utf8.RuneSelf {
		return rune(first), i
	}
	b := []byte{first}
	for len(b) < utf8.UTFMax && !utf8.FullRune(b) && i < len(s) && s[i] == '%' {
		i++
		for n := 0; n < escapes && strings.HasPrefix(s[i:], "25"); n++ {
			i += len("25")
		}
		next, ok := hexByte(s[i:])
		if !ok {
			return 0, 0
		}
		b, i = append(b, next), i+2
	}
	if r, n := utf8.DecodeRune(b); n == len(b) && r != utf8.RuneError {
		return r, i
	}
	return 0, 0
}

// hexByte reads two hexadecimal digits.
func hexByte(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	v, err := strconv.ParseUint(s[:2], 16, 8)
	return byte(v), err == nil
}
