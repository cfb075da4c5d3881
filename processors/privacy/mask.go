package privacy

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Type is a type of personal data. It is what remains of it: a text with a masked telephone number holds "[phone]".
type Type string

// The types.
const (
	Email      Type = "email"    // an e-mail address
	Phone      Type = "phone"    // a telephone number
	Card       Type = "card"     // the number of a payment card
	IBAN       Type = "iban"     // an international bank account number
	NationalID Type = "id"       // a number that a state gives to a person, or a date of birth
	Name       Type = "name"     // a name, where a member of metadata says that it is one
	Address    Type = "address"  // likewise an address, postal or of a network
	Customer   Type = "customer" // the customer's own number or name, as the event gives it
)

// Span is personal data in a text: the bytes [Start, End).
type Span struct {
	Start, End int
	Type       Type
}

// Masker finds and masks personal data. It is a function of the text alone, so that a text that is read again from the
// log, or twice from two channels, is masked alike. It is safe for concurrent use.
type Masker struct {
	ids    []pattern
	ibans  map[string]int
	words  map[string]Type            // what a word says of the number behind it; "other": it is none of these
	fields map[string]Type            // by the name of a member
	spoken map[string]map[string]bool // words of addresses that are written out, by what they are there
}

// other is what a word says of a number that is neither a telephone's nor a card's: of an order, a parcel, an invoice.
const other Type = "other"

// number and own are words that say only together that a number can be called: "my number".
const (
	number Type = "number"
	own    Type = "own"
)

// silent says that no word tells anything of a number.
const silent Type = "silent"

// NewMasker returns a masker with the shipped patterns and those of the readers, which have the form of
// patterns/national_ids.tsv.
func NewMasker(more ...io.Reader) (*Masker, error) {
	m := &Masker{}
	var err error
	if m.ids, err = readPatterns(strings.NewReader(shippedIDs)); err != nil {
		return nil, fmt.Errorf("read the shipped patterns: %w", err)
	}
	for _, r := range more {
		added, err := readPatterns(r)
		if err != nil {
			return nil, err
		}
		m.ids = append(m.ids, added...)
	}
	if m.ibans, err = readLengths(shippedIBANs); err != nil {
		return nil, err
	}
	if m.words, err = readWords(shippedWords); err != nil {
		return nil, err
	}
	if m.fields, err = readFields(shippedFields); err != nil {
		return nil, err
	}
	if m.spoken, err = readSpoken(shippedSpoken); err != nil {
		return nil, err
	}
	return m, nil
}

// Mask returns the text with personal data replaced by its type in brackets, and whether there was any.
func (m *Masker) Mask(text string) (string, bool) {
	spans := m.Find(text)
	if len(spans) == 0 {
		return text, false
	}
	return replace(text, spans), true
}

// replace puts each span's type in its place.
func replace(text string, spans []Span) string {
	var b strings.Builder
	b.Grow(len(text) + 8*len(spans))
	at := 0
	for _, s := range spans {
		b.WriteString(text[at:s.Start])
		b.WriteByte('[')
		b.WriteString(string(s.Type))
		b.WriteByte(']')
		at = s.End
	}
	b.WriteString(text[at:])
	return b.String()
}

// neutral is what each type looked like before, in as many bytes as its mark has.
var neutral = strings.NewReplacer("[email]", "a@b.com", "[phone]", "0000000", "[card]", "000000", "[iban]", "000000", "[id]", "0000",
	"[customer]", "0000000000", "[name]", "@aaaaa", "[address]", "000000000")

// Neutral puts something of the same kind and length in the place of every mark, so that a classifier takes "[card]" for a
// number, which it was, and not for a word about paying. What it finds at some place of the result is at the same place of
// the masked text.
func Neutral(masked string) string {
	if strings.IndexByte(masked, '[') < 0 {
		return masked
	}
	return neutral.Replace(masked)
}

// fewestDigits is how many digits the shortest number has that can be personal data.
const fewestDigits = 6

// Find lists the personal data in a text, in order and without overlaps. What is told from other numbers by a check digit
// is looked for before what is told by its form, and that before what is told by the words around it.
func (m *Masker) Find(text string) []Span {
	seen := look(text)
	if !seen.fold && !seen.at && seen.digits < fewestDigits {
		return nil
	}
	s := scanner{m: m, t: folded{s: text}}
	if seen.fold {
		s.t = fold(text)
		seen = look(s.t.s)
	}
	if seen.at {
		s.emails()
	}
	if seen.digits >= fewestDigits {
		s.accounts()
		s.nationalIDs()
		s.numbers()
	}
	for i := range s.spans {
		s.spans[i].Start, s.spans[i].End = s.t.span(s.spans[i].Start, s.spans[i].End)
	}
	slices.SortFunc(s.spans, func(a, b Span) int { return a.Start - b.Start })
	return s.spans
}

// scanner is one search through one text.
type scanner struct {
	m     *Masker
	t     folded
	spans []Span
	taken []bool   // by byte, whether a span has it; nil: none has any
	han   *bool    // whether the text has Chinese characters; nil: nobody asked
	said  struct { // of the number looked at last
		at int
		t  Type
	}
}

// add keeps a span unless it overlaps one that was found before.
func (s *scanner) add(start, end int, t Type) bool {
	if s.taken == nil {
		s.taken = make([]bool, len(s.t.s))
	}
	if slices.Contains(s.taken[start:end], true) {
		return false
	}
	for i := start; i < end; i++ {
		s.taken[i] = true
	}
	s.spans = append(s.spans, Span{start, end, t})
	return true
}

// bounded says that a span is not the inside of a longer number or word of ASCII letters.
func (s *scanner) bounded(start, end int) bool {
	return (start == 0 || !wordByte(s.t.s[start-1])) && (end == len(s.t.s) || !wordByte(s.t.s[end]))
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// accounts finds IBANs: two letters of a country, its length, and a remainder of 1 modulo 97 (ISO 13616).
func (s *scanner) accounts() {
	text := s.t.s
	for i := 0; i+4 < len(text); i++ {
		if !letter(text[i]) || !letter(text[i+1]) || !digit(text[i+2]) || !digit(text[i+3]) || i > 0 && wordByte(text[i-1]) {
			continue
		}
		want := s.m.ibans[strings.ToUpper(text[i:i+2])]
		if want == 0 {
			continue
		}
		number, j := make([]byte, 0, want), i
		for j < len(text) && len(number) < want {
			c := text[j]
			if (c == ' ' || c == '-' || c == '.') && len(number) > 0 && j+1 < len(text) && (wordByte(text[j+1]) || c == ' ' && text[j+1] == ' ' && text[j-1] != ' ') {
				j++
				continue
			}
			if !wordByte(c) || c == '_' {
				break
			}
			number = append(number, upper(c))
			j++
		}
		if len(number) == want && (j == len(text) || !wordByte(text[j])) && remainder97(string(number[4:])+string(number[:4])) == 1 && s.add(i, j, IBAN) {
			i = j - 1
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// nationalIDs finds what the patterns describe, their check digits included.
func (s *scanner) nationalIDs() {
	text := s.t.s
	for i := 0; i < len(text); i++ {
		if !digit(text[i]) {
			continue
		}
		from, to, digits := s.stretch(i)
		before := strings.ToLower(text[max(0, from-nearBytes):from])
		before = before[strings.LastIndexAny(before, "\n!?")+1:]
		for k := range s.m.ids {
			p := &s.m.ids[k]
			if digits < p.digits || !p.expected(before) {
				continue
			}
			for _, at := range p.expr.FindAllStringIndex(text[from:to], -1) {
				start, end := from+at[0], from+at[1]
				if s.bounded(start, end) && p.check(bare(text[start:end])) {
					s.add(start, end, NationalID)
				}
			}
		}
		i = to
	}
}

// stretch is the letters and digits around a digit, with what goes on behind single signs: more digits, or a letter or two.
func (s *scanner) stretch(at int) (from, to, digits int) {
	text := s.t.s
	for from = at; from > 0 && wordByte(text[from-1]); from-- {
	}
	if from > 1 && (text[from-1] == ' ' || text[from-1] == '-') { // the letters of "AB 12 34 56 C"
		before := from - 1
		for before > 0 && wordByte(text[before-1]) {
			before--
		}
		if n := from - 1 - before; n > 0 && n <= 2 {
			from = before
		}
	}
	for to = at; ; {
		end, some := to, 0
		for end < len(text) && wordByte(text[end]) {
			if digit(text[end]) {
				some++
			}
			end++
		}
		if some == 0 && end-to > 2 {
			return from, to - 1, digits
		}
		digits, to = digits+some, end
		if to+1 >= len(text) || strings.IndexByte(" .-+", text[to]) < 0 || !wordByte(text[to+1]) {
			return from, to, digits
		}
		to++
	}
}

// bare is a number without what separates its groups, in capitals.
func bare(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := s[i]; digit(c) || letter(c) {
			out = append(out, upper(c))
		}
	}
	return string(out)
}
