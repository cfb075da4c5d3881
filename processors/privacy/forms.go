package privacy

import (
	"strings"
)

// candidate is a stretch of groups that is held against the forms of numbers.
type candidate struct {
	groups     []group
	digits     string // of all groups
	form       string // lengths of the groups, such as "3-3-4"
	seps       string // what is between them, in order
	start, end int    // in the text, with a sign before
	plus       bool   // it begins with +
	paren      bool   // its first group is in brackets
	goesOn     bool   // a digit by itself stands before or after it
	says       Type   // what the nearest word before it says of it; "": nothing
}

// card says whether it is the number of a payment card: the prefix and length of an issuer, groups as they are printed or
// every digit by itself, and a check digit.
func (c *candidate) card() bool {
	switch c.form {
	case "4-4-4-4", "4-6-5", "4-6-4", "4-4-4-4-3", "8-8", "2-2-2-2-2-2-2-2":
	default:
		if len(c.groups) > 1 && !c.single() {
			return false
		}
	}
	return !c.plus && c.says != other && issued(c.digits) && luhn(c.digits)
}

// single says whether every digit stands by itself, and no other single digit beside them.
func (c *candidate) single() bool {
	return len(c.groups) > 1 && len(c.digits) == len(c.groups) && !c.goesOn
}

// issued says whether an issuer has cards of this prefix and length (ISO/IEC 7812, as the networks publish their ranges).
func issued(d string) bool {
	n := len(d)
	if n < 13 || n > 19 {
		return false
	}
	two, four := d[:2], d[:4]
	switch {
	case d[0] == '4':
		return n == 13 || n == 16 || n == 19
	case two >= "51" && two <= "55", four >= "2221" && four <= "2720":
		return n == 16
	case two == "34", two == "37":
		return n == 15
	case two == "30", two == "36", two == "38", two == "39":
		return n == 14 || n == 16
	case two == "65", four == "6011", d[:3] >= "644" && d[:3] <= "649", two == "35", two == "62", two == "81":
		return n >= 16
	case two == "50", two >= "56" && two <= "58", two == "63", two == "67":
		return n >= 16 && n <= 19
	}
	return false
}

// phone says whether it is a telephone number by its form. cjk says whether the text is written in Chinese characters.
func (c *candidate) phone(cjk bool) bool {
	n := len(c.digits)
	if c.plus {
		return n >= 8 && n <= 15 && strings.LastIndexByte(c.seps, '(') <= 1 // a bracket further on begins another number
	}
	if c.says == other || c.says == "card" || c.date() || c.address() {
		return false
	}
	spaced := c.seps != "" && strings.Trim(c.seps, " ") == ""
	switch {
	case c.digits[:2] == "00" && c.digits[2] != '0' && n >= 11 && n <= 17:
		return true
	case c.paren && n >= 9 && n <= 12:
		return true
	case c.digits[0] == '0':
		return c.trunk()
	case c.american():
		return true
	}
	switch c.form {
	case ";": // a Chinese mobile in one
		return cjk && c.digits[0] == '1' && c.digits[1] >= '3'
	case "3-4-4": // the same in groups
		return c.digits[0] == '1' && c.digits[1] >= '3'
	case "1-3-3-4":
		return c.digits[0] == '1' || c.digits[0] == '8' // the long-distance digits of North America and Russia
	case "2-5-4", "2-4-4": // Brazil
		return c.part(1)[0] == '9' && c.seps == " -"
	case "3-3-3": // Spain, Portugal, Poland
		return spaced && c.digits[0] >= '5'
	case "3-2-2-2":
		return spaced && (c.digits[0] == '6' || c.digits[0] == '7' || c.digits[0] == '9')
	case "2-3-2-2":
		return spaced // Poland
	case "3-7":
		return spaced && c.digits[0] == '3' // an Italian mobile
	case "3-3-4":
		return spaced && c.digits[0] >= '2' // likewise, and of Greece or Colombia
	case "3-3-5":
		return cjk && c.digits[0] == '4'
	}
	return cjk && c.form == "3-3-4" && c.digits[0] == '4'
}

// trunk says whether digits that begin with the 0 of a long-distance call are a telephone number by their grouping.
func (c *candidate) trunk() bool {
	n, first := len(c.digits), c.groups[0].end-c.groups[0].start
	if n < 9 || n > 12 || c.digits[1] == '0' {
		return false
	}
	if len(c.groups) == 1 {
		// A bare number is one only where its beginning is that of a mobile network: 015–017 in Germany, 07 in Britain, 06 and
		// 07 in France and the Netherlands, 04 in Australia and Belgium, 070–090 in Japan, 010 in Korea.
		return n == 10 && strings.IndexByte("4679", c.digits[1]) >= 0 || n == 11 && (c.digits[1] == '7' || c.digits[1] == '1' || c.digits[1] == '8' || c.digits[1] == '9') || n == 12 && c.digits[1] == '1'
	}
	if c.single() { // not answers such as 0 1 0 1, nor counting
		return n >= 10 && n <= 11 && strings.ContainsAny(c.digits, "6789") && !strings.HasPrefix(c.digits, "0123")
	}
	for i, g := range c.groups[1:] {
		l := g.end - g.start
		extension := i == len(c.groups)-2 && c.seps[len(c.seps)-1] == '-'
		if l < 2 && !extension || l > 8 {
			return false
		}
	}
	return first >= 2 && first <= 5
}

// american says whether it has the form of a number of the North American plan: neither area nor exchange begins with 0 or
// 1, and the groups are 3-3-4.
func (c *candidate) american() bool {
	return (c.form == "3-3-4" || c.single() && len(c.digits) == 10) && c.digits[0] >= '2' && c.digits[3] >= '2' && len(c.seps) <= 4
}

// counting says whether the groups count up or down: 36 38 40 42.
func (c *candidate) counting() bool {
	if len(c.groups) < 4 {
		return false
	}
	value := func(i int) int {
		v := 0
		for _, d := range []byte(c.part(i)) {
			v = v*10 + int(d-'0')
		}
		return v
	}
	step := value(1) - value(0)
	for i := 2; i < len(c.groups); i++ {
		if value(i)-value(i-1) != step {
			return false
		}
	}
	return true
}

// date says whether the groups can be read as a date, such as 3.11.2026, 2026-11-03 or 03/11/26, or as a date and a time.
func (c *candidate) date() bool {
	if len(c.groups) < 3 || c.seps == "" || strings.IndexByte("-./", c.seps[0]) < 0 {
		return false
	}
	number := func(i int) int {
		v := 0
		for _, d := range []byte(c.part(i)) {
			v = v*10 + int(d-'0')
		}
		return v
	}
	a, b, y := number(0), number(1), number(2)
	la, lb, ly := len(c.part(0)), len(c.part(1)), len(c.part(2))
	switch {
	case la == 4 && lb <= 2 && ly <= 2:
		return a >= 1900 && a < 2100 && b >= 1 && b <= 12 && y >= 1 && y <= 31
	case la <= 2 && lb <= 2 && (ly == 4 || ly == 2):
		small, large := min(a, b), max(a, b)
		return small >= 1 && small <= 12 && large <= 31 && (ly == 2 && len(c.groups) == 3 || y >= 1900 && y < 2100)
	}
	return false
}

func (c *candidate) part(i int) string {
	from := 0
	for _, g := range c.groups[:i] {
		from += g.end - g.start
	}
	return c.digits[from : from+c.groups[i].end-c.groups[i].start]
}

// address says whether the groups are a version or an address of a network: dots only, and not in pairs.
func (c *candidate) address() bool {
	if c.seps == "" || c.single() && len(c.digits) >= 10 || strings.Trim(c.seps, ".") != "" || len(c.seps) != len(c.groups)-1 {
		return false
	}
	return c.form != "3-3-4" && c.form != "2-2-2-2-2" && (c.digits[0] != '0' || len(c.groups) > 5)
}
