package classify

import (
	"fmt"
	"io/fs"
	"strings"
)

// loadSenses gives the classes that the code names their fixed numbers first; the file may define any others.
func (l *loader) loadSenses() {
	for i, name := range senseNames {
		l.class[name] = int32(i)
		l.classes = append(l.classes, name)
		l.langOf = append(l.langOf, -1)
	}
	seen := map[string]bool{}
	l.each("senses.tsv", 4, func(r row) {
		name := r.cells[0]
		seen[name] = true
		id, ok := l.class[name]
		if !ok {
			id = int32(len(l.classes))
			l.class[name] = id
			l.classes = append(l.classes, name)
			lang := int32(-1)
			if code, is := strings.CutPrefix(name, "lang:"); is {
				lang = int32(len(l.languages))
				l.languages = append(l.languages, code)
			}
			l.langOf = append(l.langOf, lang)
		}
		w := l.number(r, 2)
		for _, n := range l.at(r, r.cells[1]) {
			l.table.senses = append(l.table.senses, sense{class: id, weight: w, note: dash(r.cells[3]), next: n.sense})
			n.sense = int32(len(l.table.senses) - 1)
		}
	})
	for _, need := range senseNames {
		if !seen[need] {
			l.fault(row{file: "senses.tsv", line: 1}, "class %q has no row", need)
		}
	}
}

func (l *loader) loadCues(file string) {
	l.each(file, 3, func(r row) {
		id, ok := l.theme[r.cells[1]]
		if !ok {
			l.fault(r, "unknown theme %q; define it in themes.tsv", r.cells[1])
			return
		}
		q := cue{theme: id}
		if r.cells[2] != "-" {
			q.polarity, q.own = l.number(r, 2), true
			if q.polarity < -1 || q.polarity > 1 {
				l.fault(r, "polarity %v is not within -1 … 1", q.polarity)
			}
		}
		for _, n := range l.at(r, r.cells[0]) {
			q.next = n.cue
			l.table.cues = append(l.table.cues, q)
			n.cue = int32(len(l.table.cues) - 1)
		}
	})
}

func (l *loader) loadPairs() {
	l.each("pairs.tsv", 5, func(r row) {
		p := pair{good: -1, bad: -1}
		a, okA := l.theme[r.cells[0]]
		q, okQ := l.class[r.cells[1]]
		if !okA || !okQ {
			l.fault(r, "%q is no theme or %q is no class of senses.tsv", r.cells[0], r.cells[1])
			return
		}
		for i, to := range []*int32{&p.good, &p.bad} {
			if name := dash(r.cells[2+i]); name != "" {
				id, ok := l.theme[name]
				if !ok {
					l.fault(r, "unknown theme %q", name)
				}
				*to = id
			}
		}
		if r.cells[4] != "-" {
			p.fixed, p.hasFixed = l.number(r, 4), true
		}
		if _, twice := l.pairs[[2]int32{a, q}]; twice {
			l.fault(r, "the pair is defined twice")
		}
		l.pairs[[2]int32{a, q}] = p
		if p.good >= 0 && p.bad >= 0 {
			for from, to := range map[int32]int32{p.good: p.bad, p.bad: p.good} {
				if _, known := l.opposite[from]; !known {
					l.opposite[from] = to
				}
			}
		}
	})
}

// loadKnown reads the frequent words of English.
func (l *loader) loadKnown() {
	l.each("known.en.tsv", 1, func(r row) {
		for _, n := range l.at(r, r.cells[0]) {
			n.common = true
		}
	})
}

// loadModel reads the weights of the dense features for languages without learned words, and the settings.
func (l *loader) loadModel() {
	index := map[string]int{}
	for i, n := range denseNames {
		index[n] = i
	}
	sets := map[string]int{"zh": 0, "xx": 1}
	for i := range l.plain {
		l.plain[i] = Head{Name: "plain", Classes: sentimentClasses(), Temperature: 1}
		for range 3 {
			l.plain[i].Dense = append(l.plain[i].Dense, make([]int32, denseCount))
		}
	}
	l.each("model.tsv", 5, func(r row) {
		set, okS := sets[r.cells[0]]
		i, okF := index[r.cells[1]]
		if !okS || !okF {
			l.fault(r, "unknown set %q or feature %q", r.cells[0], r.cells[1])
			return
		}
		for k := range 3 {
			l.plain[set].Dense[k][i] = fixed(l.number(r, 2+k))
		}
	})
	l.each("settings.tsv", 3, func(r row) {
		l.set[r.cells[0]] = float64(l.number(r, 1))
	})
	for name, to := range l.setting.fields() {
		v, ok := l.set[name]
		if !ok {
			l.fault(row{file: "settings.tsv", line: 1}, "setting %q is missing", name)
			continue
		}
		*to = float32(v)
		delete(l.set, name)
	}
	for name := range l.set {
		l.fault(row{file: "settings.tsv", line: 1}, "unknown setting %q", name)
	}
}

func sentimentClasses() []string { return []string{"negative", "neutral", "positive"} }

// lexiconSenses are the classes of senses.tsv that the word lists of other languages may name, with what is noted of them.
var lexiconSenses = map[string]struct {
	class int32
	note  string
}{"churn": {senseChurn, "explicit: gives notice"}, "urgent": {senseUrgent, ""}}

// loadLexicons reads the word lists of languages that have no cues: lexicon.<language>.tsv with rows of a kind (valence, a
// class of lexiconSenses, or one of modifiers.tsv), a pattern and a value: valence, or the weight as in senses.tsv.
func (l *loader) loadLexicons() {
	files, err := fs.Glob(l.fsys, "lexicon.*.tsv")
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("list classifier data: %w", err))
	}
	for _, file := range files {
		t := newTable(3500)
		l.lexicons[strings.Split(file, ".")[1]] = t
		l.each(file, 3, func(r row) {
			kind, mod := modNames[r.cells[0]]
			sensed, means := lexiconSenses[r.cells[0]]
			if !mod && !means && r.cells[0] != "valence" {
				l.fault(r, "unknown kind %q, want valence, churn, urgent, negate, boost, contrast, concede, condition or word", r.cells[0])
				return
			}
			v := l.number(r, 2)
			for _, n := range l.in(t, r, r.cells[1]) {
				switch {
				case mod:
					n.mod, n.modValue = kind, v
				case means:
					t.senses = append(t.senses, sense{class: sensed.class, weight: v, note: sensed.note, next: n.sense})
					n.sense = int32(len(t.senses) - 1)
				default:
					n.valence, n.hasValence = v, v != 0
				}
			}
		})
	}
}
