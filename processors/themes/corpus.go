package themes

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// set is a set of small numbers, such as the places of customers.
type set struct {
	words []uint64
	n     int
}

func (s *set) put(i int) {
	for len(s.words) <= i/64 {
		s.words = append(s.words, 0)
	}
	if bit := uint64(1) << (i % 64); s.words[i/64]&bit == 0 {
		s.words[i/64] |= bit
		s.n++
	}
}

func (s *set) add(o set) {
	for i, w := range o.words {
		for ; w != 0; w &= w - 1 {
			s.put(i*64 + bits.TrailingZeros64(w))
		}
	}
}

func (s set) both(o set) (n int) {
	for i := range min(len(s.words), len(o.words)) {
		n += bits.OnesCount64(s.words[i] & o.words[i])
	}
	return n
}

func (s set) clone() set { return set{slices.Clone(s.words), s.n} }

// each yields the numbers in order.
func (s set) each(yield func(int) bool) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			if !yield(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// corpus is the texts of a tenant, cut, with their customers numbered.
type corpus struct {
	o      *Options
	texts  []Text
	cut    [][]token
	who    []int // customer of each text
	stop   map[string]bool
	seeded [][]bool         // of each text and sentence of it: a seeded theme speaks there
	first  map[string][]int // word → texts that have it
	sketch []uint32         // how many texts have a phrase, at most, by hash
	tests  int              // phrases that were looked at

	unhappy, content, recent, before set // customers; those who were content are not among the unhappy
}

func newCorpus(texts []Text, book *Book, o *Options) *corpus {
	c := &corpus{o: o, texts: texts, cut: make([][]token, len(texts)), who: make([]int, len(texts)), stop: stopWords(),
		seeded: make([][]bool, len(texts)), first: map[string][]int{}}
	number := map[string]int{}
	from := o.Until.Add(-o.Recent)
	for i := range texts {
		t := &texts[i]
		at, ok := number[t.Customer]
		if !ok {
			at = len(number)
			number[t.Customer] = at
		}
		c.who[i] = at
		c.cut[i] = tokens(t.Text, nil)
		c.seeded[i] = c.coverage(i, book)
		for _, tok := range c.cut[i] {
			if list := c.first[tok.norm]; len(list) == 0 || list[len(list)-1] != i {
				c.first[tok.norm] = append(list, i)
			}
		}
		if t.Unhappy {
			c.unhappy.put(at)
		}
		switch {
		case !t.At.Before(o.Until):
		case !t.At.Before(from):
			c.recent.put(at)
		case !t.At.Before(from.Add(-o.Before)):
			c.before.put(at)
		}
	}
	for at := range len(number) {
		if !c.unhappy.has(at) {
			c.content.put(at)
		}
	}
	return c
}

func (s set) has(i int) bool { return i/64 < len(s.words) && s.words[i/64]>>(i%64)&1 == 1 }

// coverage says in which sentences of a text a theme of the taxonomy speaks.
func (c *corpus) coverage(i int, book *Book) []bool {
	ts := c.cut[i]
	if len(ts) == 0 {
		return nil
	}
	out := make([]bool, ts[len(ts)-1].sentence+1)
	for _, m := range c.texts[i].Mentions {
		if own := book.Find(m.Theme); m.Theme == "" || own != nil && len(own.Phrases) > 0 {
			continue
		}
		for _, tok := range ts {
			if tok.start < m.End && m.Start < tok.end {
				out[tok.sentence] = true
			}
		}
	}
	return out
}

// candidate is a word or phrase that may name a theme.
type candidate struct {
	text   string
	words  int // or characters of a script without spaces
	han    bool
	who    set // customers who use it
	texts  set
	seeded int // texts in whose sentence a seeded theme speaks

	odds   float64 // z-score among the unhappy
	growth growth
	rank   float64
}

// Lengths of phrases.
const (
	longestPhrase = 3 // words
	longestRun    = 4 // characters of a script without spaces
	shortestRun   = 2
)

// phrases yields the phrases of a text that may be candidates, first and last token of each.
func (c *corpus) phrases(ts []token) func(func(i, j int) bool) {
	return func(yield func(i, j int) bool) {
		for i := range ts {
			if !c.opens(&ts[i]) {
				continue
			}
			most := longestPhrase
			if ts[i].han {
				most = longestRun
			}
			for j := i; j < len(ts) && j < i+most && ts[j].part == ts[i].part && ts[j].han == ts[i].han; j++ {
				if !c.opens(&ts[j]) || ts[i].han && j-i+1 < shortestRun || j == i && !bareWord(&ts[i]) {
					continue
				}
				if !yield(i, j) {
					return
				}
			}
		}
	}
}

// opens says whether a phrase may begin or end with a token.
func (c *corpus) opens(t *token) bool {
	digits := 0
	for _, r := range t.norm {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return !c.stop[t.norm] && digits < 5 && (t.han || utf8.RuneCountInString(t.norm) > 1 || digits > 0)
}

// bareWord says whether a word may be a theme by itself.
func bareWord(t *token) bool {
	return !t.han && utf8.RuneCountInString(t.norm) > 2 && strings.IndexFunc(t.norm, unicode.IsDigit) < 0
}

// sketchSize is how many counters the first pass has: more phrases than that share counters, which lets a rare one through
// to the second pass, where it is counted exactly.
const sketchSize = 1 << 22

func hashOf(ts []token) uint64 {
	h := uint64(14695981039346656037)
	for i := range ts {
		for k := range len(ts[i].norm) {
			h = (h ^ uint64(ts[i].norm[k])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h ^ h>>29
}

// candidates counts the phrases and keeps those that say something, the strongest first.
func (c *corpus) candidates() []*candidate {
	c.sketch = make([]uint32, sketchSize)
	last := make([]uint32, sketchSize) // the text that counted last, from 1
	for i, ts := range c.cut {
		for a, b := range c.phrases(ts) {
			if h := hashOf(ts[a:b+1]) % sketchSize; last[h] != uint32(i+1) {
				last[h] = uint32(i + 1)
				c.sketch[h]++
			}
		}
	}
	all := map[string]*candidate{}
	for i, ts := range c.cut {
		for a, b := range c.phrases(ts) {
			if c.sketch[hashOf(ts[a:b+1])%sketchSize] < uint32(c.o.Customers) {
				continue
			}
			text := phrase(ts[a : b+1])
			p := all[text]
			if p == nil {
				p = &candidate{text: text, words: b - a + 1, han: ts[a].han}
				all[text] = p
			}
			if p.texts.has(i) {
				continue
			}
			p.texts.put(i)
			p.who.put(c.who[i])
			if c.seeded[i][ts[a].sentence] {
				p.seeded++
			}
		}
	}
	var list []*candidate
	for _, p := range all {
		if p.who.n >= c.o.Customers && c.coheres(p) && !c.fragment(p) && (c.o.Redact == nil || c.o.Redact(p.text) == p.text) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *candidate) int { return cmp.Compare(a.text, b.text) })
	return c.strongest(maximal(list))
}

// fragment says whether a run of characters is part of a longer word: mostly the same character stands before or after it.
func (c *corpus) fragment(p *candidate) bool {
	const mostly = 0.7
	if !p.han {
		return false
	}
	words := make([]string, 0, longestRun)
	for _, tok := range tokens(p.text, nil) {
		words = append(words, tok.norm)
	}
	beside := [2]map[string]int{{}, {}}
	for i := range p.texts.each {
		ts := c.cut[i]
		for k := range ts {
			if !holds(ts, k, words) {
				continue
			}
			for side, at := range [2]int{k - 1, k + len(words)} {
				if at >= 0 && at < len(ts) && ts[at].part == ts[k].part && ts[at].han {
					beside[side][ts[at].norm]++
				}
			}
			break
		}
	}
	for _, side := range beside {
		for _, n := range side {
			if float64(n) >= mostly*float64(p.texts.n) {
				return true
			}
		}
	}
	return false
}

// lift is how many times as often as by chance the parts of a phrase must stand together.
const lift = 3

// coheres says whether the words of a phrase belong together, wherever it is divided.
func (c *corpus) coheres(p *candidate) bool {
	ts := tokens(p.text, nil)
	for k := 1; k < len(ts); k++ {
		a, b := c.texting(ts[:k]), c.texting(ts[k:])
		if float64(p.texts.n)*float64(len(c.texts)) < lift*float64(a)*float64(b) {
			return false
		}
	}
	return true
}

// texting is in how many texts a run of tokens stands, as the first pass counted, where it did.
func (c *corpus) texting(ts []token) int {
	if len(ts) > 1 && c.opens(&ts[0]) && c.opens(&ts[len(ts)-1]) {
		return int(c.sketch[hashOf(ts)%sketchSize])
	}
	return c.holding(ts)
}

// holding is in how many texts a run of tokens stands.
func (c *corpus) holding(ts []token) (n int) {
	words := make([]string, len(ts))
	for i := range ts {
		words[i] = ts[i].norm
	}
	if len(words) == 1 {
		return len(c.first[words[0]])
	}
	for _, i := range c.first[words[0]] {
		if c.at(i, words) {
			n++
		}
	}
	return n
}

func (c *corpus) at(text int, words []string) bool {
	ts := c.cut[text]
	for k := range ts {
		if holds(ts, k, words) {
			return true
		}
	}
	return false
}

// textsOf lists the texts that hold one of the phrases, in order.
func (c *corpus) textsOf(phrases []string) []int {
	var out set
	for _, p := range phrases {
		ts := tokens(p, nil)
		if len(ts) == 0 {
			continue
		}
		words := make([]string, len(ts))
		for i := range ts {
			words[i] = ts[i].norm
		}
		for _, i := range c.first[words[0]] {
			if c.at(i, words) {
				out.put(i)
			}
		}
	}
	return slices.Collect(out.each)
}

func (c *corpus) customersOf(phrases []string) (out set) {
	for _, i := range c.textsOf(phrases) {
		out.put(c.who[i])
	}
	return out
}

// maximal drops a phrase that stands within a longer one nearly as often as at all: "gift" of "gift card".
func maximal(list []*candidate) []*candidate {
	const nearly = 0.7
	inside := map[string]int{}
	for _, p := range list {
		ts := tokens(p.text, nil)
		for i := range ts {
			for j := i; j < len(ts); j++ {
				if j-i+1 < len(ts) {
					part := phrase(ts[i : j+1])
					inside[part] = max(inside[part], p.who.n)
				}
			}
		}
	}
	return slices.DeleteFunc(list, func(p *candidate) bool { return float64(inside[p.text]) >= nearly*float64(p.who.n) })
}
