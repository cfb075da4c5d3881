package themes

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Text is one thing that a customer said.
type Text = schemas.Said

// Options say how to look for themes. The zero value of each is its default.
type Options struct {
	Until     time.Time     // end of the last period; default: just after the newest text
	Recent    time.Duration // length of the last period; default 7 days
	Before    time.Duration // length of the period before it; default 28 days
	Customers int           // fewest customers of a theme; default 5
	Most      int           // most themes that one run adds; default 40
	LogOdds   float64       // z-score from which the unhappy use a phrase more than the rest; default 1.64
	Chance    float64       // most chance of the growth of an emergent theme, over all phrases; default 0.01
	// Known says whether the taxonomy has a word or phrase already; what has not grown is then left out. nil: it has none.
	Known func(phrase string) bool
	// Redact masks what could tell who a customer is; a phrase that it changes is left out. nil: nothing is masked.
	Redact func(string) string
}

// Defaults of [Options].
const (
	DefaultRecent    = 7 * 24 * time.Hour
	DefaultBefore    = 28 * 24 * time.Hour
	DefaultCustomers = 5
	DefaultMost      = 40
	DefaultLogOdds   = 1.64
	DefaultChance    = 0.01
)

func defaulted[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Numbers of the merge.
const (
	joinOverlap = 0.6  // share of a phrase's customers who use the theme's first phrase too
	joinJaccard = 0.25 // and share of all customers of either
	sameTheme   = 0.4  // Jaccard index of customers from which a found theme is one that was there
	mostPhrases = 12   // of a theme
	coveredFrom = 0.6  // share of a phrase's texts in which a seeded theme speaks already
	ownShare    = 0.5  // share of the mentions beside a theme that its element needs
)

// found is a theme under construction.
type found struct {
	phrases []*candidate // the best first
	who     set          // customers
	texts   set
	old     int // place in the book, −1: none
}

// Discover returns a book of the themes in the texts and of those of the book before, whatever order the texts have. Where
// nothing has changed but figures, it has another version all the same. book may be nil.
func Discover(texts []Text, book *Book, o Options) *Book {
	o.Recent, o.Before = defaulted(o.Recent, DefaultRecent), defaulted(o.Before, DefaultBefore)
	o.Customers, o.Most = defaulted(o.Customers, DefaultCustomers), defaulted(o.Most, DefaultMost)
	o.LogOdds, o.Chance = defaulted(o.LogOdds, DefaultLogOdds), defaulted(o.Chance, DefaultChance)
	if book == nil {
		book = NewBook(0, nil)
	}
	texts = slices.Clone(texts)
	slices.SortStableFunc(texts, func(a, b Text) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Text, b.Text))
	})
	if o.Until.IsZero() && len(texts) > 0 {
		o.Until = texts[len(texts)-1].At.Add(time.Millisecond)
	}
	c := newCorpus(texts, book, &o)
	list := c.themes(c.candidates())
	return c.book(book, list)
}

// themes puts candidates together: each, the strongest first, joins the theme whose customers are mostly its own, or
// begins one.
func (c *corpus) themes(candidates []*candidate) (list []*found) {
	for _, p := range candidates {
		var best *found
		at := 0.0
		for _, f := range list {
			both := p.who.both(f.phrases[0].who)
			jaccard := float64(both) / float64(p.who.n+f.phrases[0].who.n-both)
			overlap := float64(both) / float64(p.who.n)
			if overlap >= joinOverlap && jaccard >= joinJaccard && jaccard > at {
				best, at = f, jaccard
			}
		}
		switch {
		case best == nil:
			list = append(list, &found{phrases: []*candidate{p}, who: p.who.clone(), texts: p.texts.clone(), old: -1})
		case len(best.phrases) < mostPhrases:
			best.phrases = append(best.phrases, p)
			best.who.add(p.who)
			best.texts.add(p.texts)
		}
	}
	return list
}

// book joins what was found with what was there.
func (c *corpus) book(book *Book, list []*found) *Book {
	out := slices.Clone(book.Themes)
	was := make([]set, len(out))
	for i := range out {
		was[i] = c.customersOf(out[i].Phrases)
	}
	added := 0
	for _, f := range list {
		best := 0.0
		for i := range was {
			if len(out[i].Phrases) == 0 {
				continue
			}
			if s := c.likeness(f, &out[i], was[i]); s >= sameTheme && s > best {
				f.old, best = i, s
			}
		}
		switch {
		case f.old >= 0:
			t := &out[f.old]
			t.Phrases = slices.Clone(t.Phrases)
			for _, p := range f.phrases { // one that would widen the theme is left out: "gift" of "gift card"
				within := float64(p.who.both(was[f.old])) >= joinOverlap*float64(p.who.n)
				if within && len(t.Phrases) < mostPhrases && !slices.Contains(t.Phrases, p.text) {
					t.Phrases = append(t.Phrases, p.text)
				}
			}
		case added < c.o.Most:
			added++
			t := c.newTheme(f)
			if !slices.ContainsFunc(out, func(o Theme) bool { return o.ID == t.ID }) {
				out, was = append(out, t), append(was, f.who)
			}
		}
	}
	for i := range out {
		if len(out[i].Phrases) > 0 {
			out[i].Found = c.figures(&out[i])
			out[i].Element = c.element(&out[i])
		}
	}
	return NewBook(book.Version+1, out)
}

// likeness is the Jaccard index of the customers of a found theme and of one that was there; 1 where they share half of
// the phrases of the smaller.
func (c *corpus) likeness(f *found, t *Theme, who set) float64 {
	shared := 0
	for _, p := range f.phrases {
		if slices.Contains(t.Phrases, p.text) {
			shared++
		}
	}
	if 2*shared >= min(len(f.phrases), len(t.Phrases)) {
		return 1
	}
	both := f.who.both(who)
	return float64(both) / float64(max(1, f.who.n+who.n-both))
}

// element is what most of the mentions in the theme's texts are about.
func (c *corpus) element(t *Theme) schemas.Element {
	votes, all := map[schemas.Element]int{}, 0
	for _, i := range c.textsOf(t.Phrases) {
		for _, m := range c.texts[i].Mentions {
			if m.Element != "" {
				votes[m.Element]++
				all++
			}
		}
	}
	for _, e := range schemas.Elements() {
		if float64(votes[e]) > ownShare*float64(all) {
			return e
		}
	}
	return ""
}
