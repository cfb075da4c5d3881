package themes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/earshot/earshot/schemas"
)

// Theme and Figures are what is stored of a theme.
type (
	Theme   = schemas.Theme
	Figures = schemas.ThemeFigures
)

// Book is all themes of a tenant under one version. It is never changed: what changes it returns another.
type Book struct {
	schemas.ThemeBook

	index    map[string][]entry // by first word
	redirect map[string]string  // ids that texts get no more, and what they get instead; "": nothing
}

type entry struct {
	words []string
	id    string
}

// NewBook returns a book of these themes.
func NewBook(version uint32, list []Theme) *Book {
	b := &Book{ThemeBook: schemas.ThemeBook{Version: version, Themes: slices.Clone(list)}, index: map[string][]entry{}, redirect: map[string]string{}}
	slices.SortFunc(b.Themes, func(x, y Theme) int { return cmp.Compare(x.ID, y.ID) })
	for i := range b.Themes {
		t := &b.Themes[i]
		to := b.end(t.ID)
		if to != t.ID {
			b.redirect[t.ID] = to
		}
		for _, p := range t.Phrases {
			ts := tokens(p, nil)
			if to == "" || len(ts) == 0 {
				continue
			}
			e := entry{id: to}
			for _, tok := range ts {
				e.words = append(e.words, tok.norm)
			}
			b.index[e.words[0]] = append(b.index[e.words[0]], e)
		}
	}
	return b
}

// end is the theme that an id stands for, "" where it is hidden.
func (b *Book) end(id string) string {
	for range len(b.Themes) + 1 {
		t := b.Find(id)
		switch {
		case t == nil:
			return id // of the seeded taxonomy
		case t.Hidden:
			return ""
		case t.Into == "":
			return id
		}
		id = t.Into
	}
	return "" // a circle, which Merge does not make
}

// Name names the version, such as "themes-3"; it is part of the model's name on every row that was labelled with it.
func (b *Book) Name() string { return fmt.Sprintf("themes-%d", b.Version) }

// Find returns the theme with this id; nil: the book has none.
func (b *Book) Find(id string) *Theme {
	at, ok := slices.BinarySearchFunc(b.Themes, id, func(t Theme, id string) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return nil
	}
	return &b.Themes[at]
}

// confidence is that of a mention that rests on a phrase alone.
const confidence = 0.5

// Mark gives labels the themes whose phrases the text holds, and changes those that were merged or hidden. Marking again
// changes nothing.
func (b *Book) Mark(text string, l *schemas.Labels) {
	b.follow(l)
	if len(b.index) == 0 || text == "" {
		return
	}
	var store [64]token
	ts := tokens(text, store[:0])
	for i := range ts {
		for _, e := range b.index[ts[i].norm] {
			if holds(ts, i, e.words) && !has(l, e.id) {
				first, last := sentence(ts, i)
				put(l, e.id, ts[first].start, ts[last].end)
			}
		}
	}
}

// follow takes hidden themes off the mentions and puts those that were merged under their new id.
func (b *Book) follow(l *schemas.Labels) {
	if len(b.redirect) == 0 {
		return
	}
	l.Mentions = slices.DeleteFunc(l.Mentions, func(m schemas.Mention) bool {
		to, moved := b.redirect[m.Theme]
		return moved && to == "" && m.Element == ""
	})
	for i := range l.Mentions {
		if to, moved := b.redirect[l.Mentions[i].Theme]; moved {
			l.Mentions[i].Theme = to
		}
	}
}

func holds(ts []token, at int, words []string) bool {
	if at+len(words) > len(ts) || ts[at+len(words)-1].part != ts[at].part {
		return false
	}
	for k, w := range words {
		if ts[at+k].norm != w {
			return false
		}
	}
	return true
}

func has(l *schemas.Labels, id string) bool {
	return slices.ContainsFunc(l.Mentions, func(m schemas.Mention) bool { return m.Theme == id })
}

// longestQuote is how many tokens the mention of a theme spans on each side of it at most.
const longestQuote = 40

// sentence is the first and the last token of the sentence around a token.
func sentence(ts []token, at int) (first, last int) {
	first, last = at, at
	for first > 0 && at-first < longestQuote && ts[first-1].sentence == ts[at].sentence {
		first--
	}
	for last+1 < len(ts) && last-at < longestQuote && ts[last+1].sentence == ts[at].sentence {
		last++
	}
	return first, last
}

// maxMentions bounds the mentions of one text, as the classifier does.
const maxMentions = 64

// put puts a theme on the mention of the same sentence that has none, else on one of its own, whose polarity is the mean
// of its neighbours', or that of the whole text.
func put(l *schemas.Labels, id string, start, end uint32) {
	sum, n := 0.0, 0
	for i := range l.Mentions {
		m := &l.Mentions[i]
		if m.Element == "" || m.End <= start || end <= m.Start {
			continue
		}
		if m.Theme == "" {
			m.Theme = id
			return
		}
		sum += float64(m.Polarity)
		n++
	}
	polarity := l.Score
	if n > 0 {
		polarity = schemas.Quantise(sum / float64(n))
	}
	if len(l.Mentions) < maxMentions {
		l.Mentions = append(l.Mentions, schemas.Mention{Theme: id, Polarity: polarity, Confidence: confidence, Start: start, End: end})
	}
}

// Rename returns the book with another name for a theme, which no discovery changes. seeded says whether an id that the
// book does not have is one of the taxonomy.
func (b *Book) Rename(id, name string, seeded func(string) bool) (*Book, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || len(name) > 120 || strings.ContainsFunc(name, unicode.IsControl) {
		return nil, fmt.Errorf("the name of a theme has 1 to 120 bytes")
	}
	return b.change(id, seeded, func(t *Theme) { t.Name, t.Named = name, true })
}

// Hide returns the book with a theme hidden, or shown again.
func (b *Book) Hide(id string, hidden bool, seeded func(string) bool) (*Book, error) {
	return b.change(id, seeded, func(t *Theme) { t.Hidden = hidden })
}

// Merge returns the book with a theme merged into another: texts that had the first get the second.
func (b *Book) Merge(id, into string, seeded func(string) bool) (*Book, error) {
	if b.Find(into) == nil && !seeded(into) {
		return nil, unknown(into)
	}
	if b.end(into) == id || id == into {
		return nil, fmt.Errorf("%s is merged into %s already, or is the same", into, id)
	}
	for next := b.Find(into); next != nil && next.Into != ""; next = b.Find(next.Into) {
		if next.Into == id {
			return nil, fmt.Errorf("%s is merged into %s already", into, id)
		}
	}
	return b.change(id, seeded, func(t *Theme) { t.Into = into })
}

func unknown(id string) error {
	return fmt.Errorf("there is no theme %q: 'earshot themes list' shows them", id)
}

func (b *Book) change(id string, seeded func(string) bool, do func(*Theme)) (*Book, error) {
	list := slices.Clone(b.Themes)
	at := slices.IndexFunc(list, func(t Theme) bool { return t.ID == id })
	if at < 0 {
		if !seeded(id) {
			return nil, unknown(id)
		}
		at = len(list)
		list = append(list, Theme{ID: id, Name: id})
	}
	do(&list[at])
	return NewBook(b.Version+1, list), nil
}
