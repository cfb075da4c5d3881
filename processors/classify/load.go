package classify

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

//go:embed data/*.tsv data/model.bin
var embedded embed.FS

// Theme is one thing that customers speak of, under a name that stays.
type Theme struct {
	ID      string // stable, such as "late-delivery"
	Name    string // for people, such as "Late delivery"
	Element schemas.Element
	Facet   schemas.Facet // empty: the element as a whole
	S5      schemas.S5    // empty: none

	aspect  bool // names a part of the taxonomy only: its mentions carry no theme
	byStage bool // the producer's stage hint may move the facet

	strongly string // reason to expect that a customer leaves who speaks of it worst
}

// Classifier labels texts. It is made by [Load], never changes afterwards and may be used from many goroutines.
type Classifier struct {
	table     *table
	themes    []Theme
	classes   []string // of senses.tsv
	class     map[string]int32
	pairs     map[[2]int32]pair
	emoticon  map[string]bool
	languages []string          // of the classes "lang:xx"
	langOf    []int32           // class → index of languages, −1
	lexicons  map[string]*table // by base language: words of languages without cues
	empty     *table
	answers   *table // bare answers and what questions ask of
	ratings   *table // how ratings are written
	heads     *Heads
	plain     [2]Head         // without learned words: Chinese, other languages
	orders    [2]uint64       // hashes of "do" and "dont"
	opposite  map[int32]int32 // theme that a negation makes of a theme
	setting   settings
	rules     string // digest of the data files
	model     string
	pool      sync.Pool
}

// pair makes a theme of an aspect and a quality said of it in the same clause.
type pair struct {
	good, bad int32 // themes, −1: none
	fixed     float32
	hasFixed  bool
}

// Load reads the data files that are part of the program. All faults of the files are reported at once, each with file
// and line; a program whose files are tested never sees one.
func Load() (*Classifier, error) {
	c, err := LoadRules()
	if err != nil {
		return nil, err
	}
	file, err := fs.ReadFile(embedded, "data/model.bin")
	if err != nil {
		return nil, fmt.Errorf("open classifier model: %w", err)
	}
	h, err := UnmarshalHeads(file)
	if err != nil {
		return nil, err
	}
	return c.With(h), nil
}

// LoadRules is [Load] without learned weights: what training starts from.
func LoadRules() (*Classifier, error) {
	sub, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, fmt.Errorf("open classifier data: %w", err)
	}
	c, err := load(sub)
	if err != nil {
		return nil, err
	}
	return c.With(NewHeads()), nil
}

// Model returns the name and version of the model: the name of the learned weights, "+", 8 hex digits of the SHA-256 of
// the rules and word lists, ".", and 8 of the weights.
func (c *Classifier) Model() string { return c.model }

// Themes returns all themes that mentions can carry, in the order of their ids.
func (c *Classifier) Themes() []Theme {
	var out []Theme
	for _, t := range c.themes {
		if !t.aspect {
			out = append(out, t)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// loader gathers what the files say and what is wrong with them.
type loader struct {
	*Classifier
	fsys  fs.FS
	theme map[string]int32
	errs  []error
	set   map[string]float64
}

// row is one line of a data file.
type row struct {
	file  string
	line  int
	cells []string
}

func (l *loader) fault(r row, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s:%d: %s", r.file, r.line, fmt.Sprintf(format, args...)))
}

func (l *loader) number(r row, i int) float32 {
	v, err := strconv.ParseFloat(r.cells[i], 32)
	if err != nil || v != v || v > 1e5 || v < -1e5 {
		l.fault(r, "column %d is %q, want a number within ±100000", i+1, r.cells[i])
		return 0
	}
	return float32(v)
}

// each calls f for every row of a file that is not empty and no comment. A comment starts with "# " or is "#" alone.
func (l *loader) each(file string, cells int, f func(row)) {
	raw, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("read classifier data: %w", err))
		return
	}
	if !utf8.Valid(raw) {
		l.errs = append(l.errs, fmt.Errorf("%s: not UTF-8", file))
		return
	}
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || line == "#" || strings.HasPrefix(line, "# ") {
			continue
		}
		r := row{file: file, line: i + 1, cells: strings.Split(line, "\t")}
		if len(r.cells) != cells {
			l.fault(r, "%d columns, want %d, separated by tabs", len(r.cells), cells)
			continue
		}
		f(r)
	}
}

// at returns the nodes that a pattern ends in.
func (l *loader) at(r row, pattern string) []*node { return l.in(l.table, r, pattern) }

// in is at for another table.
func (l *loader) in(table *table, r row, pattern string) []*node {
	seqs, err := expand(pattern)
	if err != nil {
		l.fault(r, "%v", err)
		return nil
	}
	states := make([]int32, len(seqs))
	for i, s := range seqs {
		states[i] = table.path(s)
	}
	nodes := make([]*node, len(seqs)) // after all paths: making them moves the nodes
	for i, s := range states {
		nodes[i] = &table.nodes[s]
	}
	return nodes
}

func load(fsys fs.FS) (*Classifier, error) {
	c := &Classifier{table: newTable(80_000), empty: newTable(1), answers: newTable(2000), ratings: newTable(1000), lexicons: map[string]*table{}, class: map[string]int32{}, pairs: map[[2]int32]pair{}, emoticon: map[string]bool{}, opposite: map[int32]int32{}}
	l := &loader{Classifier: c, fsys: fsys, theme: map[string]int32{}, set: map[string]float64{}}
	l.loadLexicons()
	l.loadModifiers()
	l.loadThemes()
	l.loadValence("valence.vader.tsv")
	l.loadValence("valence.own.tsv")
	l.loadEmoji()
	l.loadRatings()
	l.loadSenses()
	l.loadCues("cues.en.tsv")
	l.loadCues("cues.implied.tsv")
	l.loadCues("cues.zh.tsv")
	l.loadPairs()
	l.loadKnown()
	l.loadAnswers()
	l.loadModel()
	for _, t := range append(l.tables(), l.answers, l.ratings) {
		if len(t.nodes) > 1<<stateBits {
			l.errs = append(l.errs, fmt.Errorf("the patterns make %d states, want at most %d", len(t.nodes), 1<<stateBits))
		}
	}
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("load classifier data: %w", errors.Join(l.errs...))
	}
	sum, err := digest(fsys)
	if err != nil {
		return nil, err
	}
	c.rules, c.orders = sum, [2]uint64{hashes("do")[0], hashes("dont")[0]}
	return c, nil
}

// With returns a classifier with the same rules and word lists and other learned weights.
func (c *Classifier) With(h *Heads) *Classifier {
	n := &Classifier{table: c.table, themes: c.themes, classes: c.classes, class: c.class, pairs: c.pairs, emoticon: c.emoticon,
		languages: c.languages, langOf: c.langOf, lexicons: c.lexicons, empty: c.empty, answers: c.answers, ratings: c.ratings, plain: c.plain, setting: c.setting, orders: c.orders,
		opposite: c.opposite, rules: c.rules, heads: h}
	n.model = h.Card.Name + "+" + c.rules + "." + h.hash
	for i := range n.plain {
		if h.Plain[i].Classes != nil {
			n.plain[i] = h.Plain[i]
		}
		n.plain[i].Scale = h.Sentiment.Scale
	}
	n.pool.New = func() any { return n.newAnalysis() }
	return n
}

// Plain returns how a language without learned words is read: 0 Chinese, 1 any other.
func (c *Classifier) Plain(i int) Head { return c.plain[i] }

// Heads returns the learned weights, which must not be changed; [Heads.Clone] gives some that may.
func (c *Classifier) Heads() *Heads { return c.heads }

// digest names the content of all data files, in the order of their names.
func digest(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.tsv")
	if err != nil {
		return "", fmt.Errorf("list classifier data: %w", err)
	}
	h := sha256.New()
	for _, n := range names {
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return "", fmt.Errorf("read classifier data: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", n, len(raw))
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:4]), nil
}

var modNames = map[string]modKind{"negate": negate, "boost": boost, "contrast": contrast, "concede": concede, "despite": despite, "condition": condition, "word": whole}

func (l *loader) loadModifiers() {
	l.each("modifiers.tsv", 3, func(r row) {
		if r.cells[0] == "number" || r.cells[0] == "subject" {
			for _, n := range l.at(r, r.cells[1]) {
				n.number, n.subject = n.number || r.cells[0] == "number", n.subject || r.cells[0] == "subject"
			}
			return
		}
		kind, ok := modNames[r.cells[0]]
		if !ok {
			l.fault(r, "unknown kind %q, want number, subject, negate, boost, contrast, concede, despite, condition or word", r.cells[0])
			return
		}
		v := l.number(r, 2)
		for _, n := range l.at(r, r.cells[1]) {
			if n.mod != noMod {
				l.fault(r, "%q is a modifier already", r.cells[1])
			}
			n.mod, n.modValue = kind, v
		}
	})
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func (l *loader) loadThemes() {
	l.each("themes.tsv", 6, func(r row) {
		facet, byStage := strings.CutSuffix(dash(r.cells[3]), "*")
		t := Theme{ID: r.cells[0], Name: r.cells[1], Element: schemas.Element(r.cells[2]), Facet: schemas.Facet(facet),
			S5: schemas.S5(dash(r.cells[4])), aspect: r.cells[5] == "aspect", byStage: byStage,
			strongly: stronglyNegative + ": " + r.cells[1]}
		_, known := l.theme[t.ID]
		switch {
		case known:
			l.fault(r, "theme %q is defined twice", t.ID)
			return
		case !contains(schemas.Elements(), t.Element):
			l.fault(r, "unknown element %q", t.Element)
		case t.Facet != "" && t.Facet.Element() != t.Element:
			l.fault(r, "facet %q is no part of %q", t.Facet, t.Element)
		case t.S5 != "" && (t.Element != schemas.Service || !contains(schemas.Virtues(), t.S5)):
			l.fault(r, "%q is no virtue of %q", t.S5, t.Element)
		case r.cells[5] != "aspect" && r.cells[5] != "theme":
			l.fault(r, "kind is %q, want theme or aspect", r.cells[5])
		}
		l.theme[t.ID] = int32(len(l.themes))
		l.themes = append(l.themes, t)
	})
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// loadValence lets a later file and a later line override what came before, so that our own list corrects the borrowed
// one.
func (l *loader) loadValence(file string) {
	l.each(file, 2, func(r row) {
		v := l.number(r, 1)
		for _, n := range l.at(r, r.cells[0]) {
			n.valence, n.hasValence = v, v != 0
		}
	})
}

// tables returns the words of every language: emoji mean the same in all.
func (l *loader) tables() []*table {
	out := []*table{l.table, l.empty}
	for _, t := range l.lexicons {
		out = append(out, t)
	}
	return out
}

func (l *loader) loadEmoji() {
	l.each("emoji.tsv", 2, func(r row) {
		v := l.number(r, 1)
		h := uint64(fnvOffset)
		for _, b := range []byte(r.cells[0]) {
			h = addByte(h, b)
		}
		for _, t := range l.tables() {
			n := &t.nodes[t.path([]uint64{h})]
			n.valence, n.hasValence = v, true
		}
		if r.cells[0][0] < utf8.RuneSelf {
			l.emoticon[r.cells[0]] = true
		}
	})
}
