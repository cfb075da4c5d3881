package themes

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// priorSize is how many customers the prior of the log-odds weighs: each phrase has as many of them as its share of all
// customers.
const priorSize = 50

// logOdds is the z-score of how much more of n customers use a phrase (x of them) than of m others (y of them): the
// difference of the log-odds under an informative Dirichlet prior, over its deviation (Monroe, Colaresi, Quinn 2008,
// formulas 16, 20 and 22, with customers in the place of words).
func logOdds(x, n, y, m int) float64 {
	share := (float64(x+y) + 0.5) / (float64(n+m) + 1)
	prior := priorSize * share
	side := func(k, of int) float64 {
		return math.Log((float64(k) + prior) / (float64(of) + priorSize - float64(k) - prior))
	}
	return (side(x, n) - side(y, m)) / math.Sqrt(1/(float64(x)+prior)+1/(float64(y)+prior))
}

// growth is how a phrase did in the last period against the one before.
type growth struct {
	recent, before int
	chance         float64 // of so many or more, without growth; one-sided, exact
	low            float64 // lower end of the 95 % interval of the ratio
}

// grow compares x of n customers with y of m before. Given x + y, without growth each of them spoke in the last period with
// probability n/(n+m): the exact binomial test.
func grow(x, n, y, m int) growth {
	g := growth{recent: x, before: y, chance: 1}
	if n == 0 || m == 0 || x == 0 {
		return g
	}
	g.chance = tail(x, x+y, float64(n)/float64(n+m))
	lo, hi := 0.0, 1.0 // the share whose chance of x or more is 0.025: Clopper and Pearson's lower bound
	for range 60 {
		if mid := (lo + hi) / 2; tail(x, x+y, mid) < 0.025 {
			lo = mid
		} else {
			hi = mid
		}
	}
	g.low = lo / (1 - lo) * float64(m) / float64(n)
	return g
}

// tail is the probability of x or more of n with probability p each.
func tail(x, n int, p float64) (sum float64) {
	if p <= 0 || p >= 1 {
		return p
	}
	all, _ := math.Lgamma(float64(n + 1))
	for k := x; k <= n; k++ {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(n - k + 1))
		sum += math.Exp(all - a - b + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// in is how many of the customers of a theme's texts are in a period.
func (c *corpus) in(texts []int) (x, y int) {
	var recent, before set
	from := c.o.Until.Add(-c.o.Recent)
	for _, i := range texts {
		switch at := c.texts[i].At; {
		case !at.Before(c.o.Until):
		case !at.Before(from):
			recent.put(c.who[i])
		case !at.Before(from.Add(-c.o.Before)):
			before.put(c.who[i])
		}
	}
	return recent.n, before.n
}

// strongest keeps the candidates that the unhappy use more than the rest and no seeded theme covers, and those that have
// grown, and puts the strongest first: those that have grown, then by z-score, then by customers.
func (c *corpus) strongest(list []*candidate) []*candidate {
	c.tests = len(list)
	tests := float64(max(1, c.tests))
	for _, p := range list {
		p.odds = logOdds(p.who.both(c.unhappy), c.unhappy.n, p.who.both(c.content), c.content.n)
		x, y := c.in(slices.Collect(p.texts.each))
		p.growth = grow(x, c.recent.n, y, c.before.n)
		p.growth.chance = min(1, p.growth.chance*tests)
		p.rank = p.odds
		if p.emergent(c.o) {
			p.rank = 1000 - math.Log10(max(p.growth.chance, 1e-300))
		}
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(p *candidate) bool {
		if p.emergent(c.o) {
			return false
		}
		return p.odds < c.o.LogOdds || !p.telling() || float64(p.seeded) >= coveredFrom*float64(p.texts.n) || c.o.Known != nil && c.o.Known(p.text)
	})
	slices.SortFunc(kept, func(a, b *candidate) int {
		return cmp.Or(-cmp.Compare(a.rank, b.rank), -cmp.Compare(a.who.n, b.who.n), -cmp.Compare(a.words, b.words), cmp.Compare(a.text, b.text))
	})
	return kept
}

// telling says whether a phrase is long enough to be a theme without having grown: what single words the unhappy use more is
// mostly how they use words ("again", "sitting"), not what they speak of.
func (p *candidate) telling() bool {
	if p.han {
		return p.words > shortestRun
	}
	return p.words > 1
}

func (p *candidate) emergent(o *Options) bool {
	return p.growth.recent >= o.Customers && p.growth.chance <= o.Chance && p.growth.low > 1
}

// figures are those of a theme as its texts are now.
func (c *corpus) figures(t *Theme) Figures {
	texts := c.textsOf(t.Phrases)
	who := c.customersOf(t.Phrases)
	x, y := c.in(texts)
	g := grow(x, c.recent.n, y, c.before.n)
	f := Figures{Until: c.o.Until.UTC(), Customers: who.n, Recent: x, Before: y, GrowthLow: rounded(g.low), Chance: min(1, g.chance*float64(max(1, c.tests)))}
	f.LogOdds = rounded(logOdds(who.both(c.unhappy), c.unhappy.n, who.both(c.content), c.content.n))
	f.Emergent = x >= c.o.Customers && f.Chance <= c.o.Chance && g.low > 1
	return f
}

func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// newTheme makes a theme of what was found. Its id is made of its phrases.
func (c *corpus) newTheme(f *found) Theme {
	var t Theme
	for _, p := range f.phrases {
		t.Phrases = append(t.Phrases, p.text)
	}
	sorted := slices.Sorted(slices.Values(t.Phrases))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	best := f.naming()
	t.ID = "found-" + slug(best.text) + "-" + hex.EncodeToString(sum[:2])
	t.Name = c.surface(best)
	return t
}

// naming is the phrase that names a theme: of those that most of its customers use, the longest.
func (f *found) naming() *candidate {
	best := f.phrases[0]
	for _, p := range f.phrases {
		if 2*p.who.n >= f.who.n && (p.words > best.words || 2*best.who.n < f.who.n) {
			best = p
		}
	}
	return best
}

// surface is how customers most often write a phrase, its first letter a capital.
func (c *corpus) surface(p *candidate) string {
	ts := tokens(p.text, nil)
	words := make([]string, len(ts))
	for i := range ts {
		words[i] = ts[i].norm
	}
	forms := map[string]int{}
	for i := range p.texts.each {
		for k := range c.cut[i] {
			if holds(c.cut[i], k, words) {
				forms[strings.ToLower(c.texts[i].Text[c.cut[i][k].start:c.cut[i][k+len(words)-1].end])]++
			}
		}
	}
	name, most := p.text, 0
	for form, n := range forms {
		if n > most || n == most && form < name {
			name, most = form, n
		}
	}
	name = strings.Join(strings.Fields(name), " ")
	if c.o.Redact != nil {
		name = c.o.Redact(name)
	}
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[n:]
}

// slug is a phrase as part of an id.
func slug(s string) string { return strings.ReplaceAll(s, " ", "-") }
