package privacy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A run is what may be one number or several: digits in groups, with little between them. Each group knows where it is.
type group struct{ start, end int }

func (g group) len() int { return g.end - g.start }

// mostGroups is how many groups of a run are tried together: a card has up to 19 digits, and some people write each by itself.
const mostGroups = 19

// numbers finds cards and telephone numbers. In each run the longest stretch of groups that is one of them by its form
// counts; after that, the longest that is one by the word before it.
func (s *scanner) numbers() {
	text := s.t.s
	for i := 0; i < len(text); {
		if !digit(text[i]) || i > 0 && (wordByte(text[i-1]) || text[i-1] == '#') {
			i++
			continue
		}
		groups := s.run(i)
		for first := 0; first < len(groups); {
			first += max(s.first(groups, first, false), 1)
		}
		for first := 0; first < len(groups); {
			first += max(s.first(groups, first, true), 1)
		}
		i = groups[len(groups)-1].end
	}
}

// most is how many digits the longest number has.
const most = 19

// first tries the stretches that begin at a group and returns how many groups the longest has that is a number of a person.
func (s *scanner) first(groups []group, at int, named bool) int {
	if named && s.says(groups[at].start) != Phone {
		return 0
	}
	n, digits := 0, 0
	for n < mostGroups && at+n < len(groups) && digits+groups[at+n].len() <= most {
		digits += groups[at+n].len()
		n++
	}
	for ; n > 0 && digits >= fewestDigits; n-- {
		// What has many groups is written digit by digit: such a number does not end among more of the same.
		among := n > 8 && !named && n == digits && at+n < len(groups) && groups[at+n].len() == 1
		if !among && !s.glued(groups, at-1) && !s.glued(groups, at+n-1) && s.number(groups, at, n, named) {
			return n
		}
		digits -= groups[at+n-1].len()
	}
	return 0
}

// glued says whether a group and the next are one thing: there is no space between them.
func (s *scanner) glued(groups []group, i int) bool {
	return i >= 0 && i+1 < len(groups) && strings.IndexByte(s.t.s[groups[i].end:groups[i+1].start], ' ') < 0
}

// run collects the groups of digits from a place on, as long as no more than one or two of the signs that stand within
// numbers are between them.
func (s *scanner) run(at int) (out []group) {
	text := s.t.s
	for {
		end := at
		for end < len(text) && digit(text[end]) {
			end++
		}
		out = append(out, group{at, end})
		next := end
		for next < len(text) && next-end <= 3 && strings.IndexByte(" -./()", text[next]) >= 0 {
			next++
		}
		between := text[end:next]
		if between == "" || len(between) > 2 && between != " / " && between != " - " || next == len(text) || !digit(text[next]) {
			return out
		}
		at = next
	}
}

// number adds the groups as what they are; false: they are no number of a person.
func (s *scanner) number(run []group, at, n int, named bool) bool {
	groups := run[at : at+n]
	c := s.candidate(groups)
	c.goesOn = at > 0 && run[at-1].len() == 1 || at+n < len(run) && run[at+n].len() == 1
	if len(c.digits) < fewestDigits || s.inName(&c) || s.measured(&c) {
		return false
	}
	switch {
	case c.card():
		return s.add(c.start, c.end, Card)
	case named && c.says == Phone && !c.date() && !c.address() && !c.counting() && len(c.digits) <= 15 && (len(c.digits) > fewestDigits || len(groups) > 1):
		return s.add(c.start, c.end, Phone)
	case !named && c.phone(s.cjk()):
		return s.add(c.start, c.end, Phone)
	}
	return false
}

// inName says whether the groups are a part of a name such as AB-1234567 or 1234567-xy.
func (s *scanner) inName(c *candidate) bool {
	text := s.t.s
	after, before := text[c.end:], text[:c.start]
	joined := func(sign byte) bool { return sign == '-' || sign == '_' || sign == '/' }
	return after != "" && (wordByte(after[0]) || len(after) > 1 && joined(after[0]) && wordByte(after[1])) ||
		len(before) > 1 && !c.plus && joined(before[len(before)-1]) && letter(before[len(before)-2])
}

func (s *scanner) candidate(groups []group) candidate {
	text := s.t.s
	first, last := groups[0], groups[len(groups)-1]
	c := candidate{groups: groups, start: first.start, end: last.end}
	var form, digits strings.Builder
	for i, g := range groups {
		if i > 0 {
			form.WriteByte('-')
			c.seps += text[groups[i-1].end:g.start]
		}
		form.WriteByte(byte('0' + min(g.end-g.start, 15)))
		digits.WriteString(text[g.start:g.end])
	}
	c.form, c.digits = form.String(), digits.String()
	if c.start > 0 && text[c.start-1] == '(' && (strings.Contains(c.seps, ")") || c.end < len(text) && text[c.end] == ')') {
		c.start, c.paren = c.start-1, strings.Contains(c.seps, ")")
		if !c.paren { // all of it is in brackets, which belong to the sentence
			c.start++
		}
	}
	if c.start > 0 && text[c.start-1] == '+' {
		c.start, c.plus = c.start-1, true
		if c.start > 0 && text[c.start-1] == '(' && strings.HasPrefix(c.seps, ")") {
			c.start--
		}
	}
	c.says = s.says(first.start)
	return c
}

// says is what the words before a place say of a number there; it remembers the last answer.
func (s *scanner) says(at int) Type {
	if s.said.at != at || s.said.t == "" {
		s.said.at, s.said.t = at, s.m.said(s.t.s[:at])
		if s.said.t == "" {
			s.said.t = silent
		}
	}
	return s.said.t
}

// said is what the nearest word before a number says of it. It is looked for in the same sentence and not far, and across
// another number only where it says that several can be called: "call 555-0100 or 555-0199", but "order 100 and 2".
func (m *Masker) said(before string) Type {
	before = before[max(0, len(before)-nearBytes):]
	for len(before) > 0 && !utf8.RuneStart(before[0]) {
		before = before[1:]
	}
	before = strings.ToLower(before)
	onlyPhone := false
	for n := 0; n < 6 && before != ""; n++ {
		rest := strings.TrimRightFunc(before, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
		between := before[len(rest):]
		if strings.ContainsAny(between, "\n!?;。！？") || n > 0 && strings.Contains(between, ".") {
			return ""
		}
		crossed := strings.ContainsAny(between, "0123456789")
		if n > 1 && crossed {
			return ""
		}
		onlyPhone = onlyPhone || crossed || strings.Contains(between, ".") // "tel. 030 …"
		word := lastWord(rest)
		t := m.words[word]
		if t == "" {
			t = m.ending(word)
		}
		if t == number {
			if mine := lastWord(strings.TrimRight(rest[:len(rest)-len(word)], " ")); m.words[mine] == own {
				return Phone
			}
			t = ""
		}
		if t == Phone || t != "" && t != own && !onlyPhone {
			return t
		}
		before = rest[:len(rest)-len(word)]
	}
	return ""
}

// lastWord is the word that a text ends with.
func lastWord(s string) string {
	at := strings.LastIndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
	if at >= 0 {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[max(at, 0):]
}

// ending finds a word at the end of, or in, a run of a script without spaces: the last one in it counts.
func (m *Masker) ending(run string) (found Type) {
	if run == "" || run[0] < utf8.RuneSelf {
		return ""
	}
	at := -1
	for i := range run {
		for j := i + 1; j <= len(run) && j-i <= 15; j++ {
			if t := m.words[run[i:j]]; t != "" && j >= at {
				found, at = t, j
			}
		}
	}
	return found
}

// measured says that a number counts or measures something: money, a share, a time.
func (s *scanner) measured(c *candidate) bool {
	if c.plus {
		return false
	}
	text := s.t.s
	before, after := strings.TrimRight(text[:c.start], " "), strings.TrimLeft(text[c.end:], " ")
	if r, _ := utf8.DecodeLastRuneInString(before); unicode.Is(unicode.Sc, r) || r == '#' || r == '№' {
		return true
	}
	if r, _ := utf8.DecodeRuneInString(after); unicode.Is(unicode.Sc, r) || r == '%' || r == '°' || r == '元' || r == '円' {
		return true
	}
	for _, unit := range [...]string{"eur", "usd", "gbp", "chf", "kr", "zł", "km", "kg", "ms", "mb", "gb", "kwh", "miles", "points", "punkte", "steps", "views", "pieces", "stück", "units"} {
		if rest, ok := cutFold(after, unit); ok && (rest == "" || !letter(rest[0])) {
			return true
		}
	}
	// A decimal part, a time of day, or more of a number with commas.
	return len(after) > 1 && text[c.end:] == after && (after[0] == ',' || after[0] == ':') && digit(after[1]) ||
		len(before) > 1 && before == text[:c.start] && (before[len(before)-1] == ',' || before[len(before)-1] == ':') && digit(before[len(before)-2])
}

// cjk says whether the text has Chinese characters.
func (s *scanner) cjk() bool {
	if s.han == nil {
		some := strings.IndexFunc(s.t.s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
		s.han = &some
	}
	return *s.han
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}
