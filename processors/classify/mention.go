package classify

import "github.com/earshot/earshot/schemas"

// MaxMentions bounds the mentions of one text; the first are kept.
const MaxMentions = 64

// found is a mention under construction.
type found struct {
	theme      int32
	start, end int32 // tokens
	polarity   float32
	confidence float32
	bound      bool // its polarity was said of it and not of its neighbours
	guessed    bool // no word says how it is meant: it names no virtue
	taken      bool // an aspect that a quality has made a theme of
}

// mentions appends the mentions of the clauses, in the order of the text. The span of a mention is its clause.
func (a *analysis) mentions(in *Input, out []schemas.Mention) []schemas.Mention {
	if len(a.cues) > cap(out) && cap(out) < 4 {
		out = make([]schemas.Mention, 0, min(len(a.cues), 4))
	}
	cue, sense, val := 0, 0, 0
	for ci := range a.clauses {
		c0, s0, v0 := cue, sense, val
		for cue < len(a.cues) && a.cues[cue].clause == int32(ci) {
			cue++
		}
		for sense < len(a.senses) && a.senses[sense].clause == int32(ci) {
			sense++
		}
		for val < len(a.valences) && a.valences[val].token < a.clauses[ci].last {
			val++
		}
		if c0 == cue {
			continue
		}
		fs := a.clauseMentions(a.found[:0], int32(ci), a.cues[c0:cue], a.senses[s0:sense], a.valences[v0:val])
		a.found = fs
		for i := range fs {
			if len(out) == MaxMentions {
				return a.opinions(out)
			}
			out = append(out, a.mention(in, &fs[i], &a.clauses[ci]))
		}
	}
	return a.opinions(out)
}

func (a *analysis) mention(in *Input, f *found, c *clause) schemas.Mention {
	t := &a.c.themes[f.theme]
	m := schemas.Mention{Element: t.Element, Facet: t.Facet, S5: t.S5, Polarity: schemas.Quantise(float64(f.polarity)),
		Confidence: f.confidence, Start: a.tokens[c.first].start, End: a.tokens[c.last-1].end}
	if !t.aspect {
		m.Theme = t.ID
	}
	if f.guessed {
		m.S5 = ""
	}
	if m.S5 == "" && m.Element == schemas.Service && contains(schemas.Virtues(), in.S5Hint) {
		m.S5 = in.S5Hint
	}
	if t.byStage {
		if f := schemas.Facet(in.stage()); f != "" && f.Element() == t.Element {
			m.Facet = f
		}
	}
	return m
}

// clauseMentions builds the mentions of one clause: cues with their own polarity first, then aspects with the quality
// nearest to them, then aspects with the valence nearest to them, then what is left with the valence of the clause.
func (a *analysis) clauseMentions(fs []found, ci int32, cues []cueHit, senses []senseHit, vals []valenceHit) []found {
	set := &a.c.setting
	for i := range cues {
		h := &cues[i]
		if a.insideTheme(h, cues) {
			continue
		}
		f := found{theme: h.theme, start: h.start, end: h.end}
		if h.own {
			f.polarity, f.confidence, f.bound = h.polarity, set.ConfidenceOwn, true
			if to, ok := a.c.opposite[h.theme]; ok && h.negated {
				f.theme = to
			}
			for k := range vals {
				if vals[k].token >= h.start && vals[k].token < h.end {
					vals[k].covered = true
				}
			}
		}
		fs = put(fs, f)
	}
	for i := range senses {
		if !a.settled(&senses[i], cues) {
			fs = a.bindSense(fs, &senses[i], vals)
		}
	}
	a.bindValences(fs, vals)
	n := 0
	anyTheme := false
	for i := range fs {
		anyTheme = anyTheme || fs[i].bound && !a.c.themes[fs[i].theme].aspect
	}
	general, sure := a.clausePolarity(ci)
	for i := range fs {
		f := fs[i]
		if !f.bound {
			if a.c.themes[f.theme].aspect && (f.taken || anyTheme) {
				continue // "the parcel arrived crushed" speaks of the packaging, not of the parcel
			}
			f.polarity, f.confidence = general, sure
			f.guessed = sure <= a.c.setting.ConfidenceGuess
		}
		if o := a.opposed(fs[:n], &f); o != nil {
			if mine, theirs := a.c.themes[f.theme].aspect, a.c.themes[o.theme].aspect; theirs && !mine || mine == theirs && abs(f.polarity) > abs(o.polarity) {
				*o = f
			}
			continue
		}
		if aspect := a.c.themes[f.theme].aspect; aspect && (a.said(fs[:n], &f) || a.twin(fs[i+1:], &f)) || !aspect && a.twin(fs[:n], &f) {
			continue
		}
		fs[n] = f
		n++
	}
	return fs[:n]
}

// said says whether the clause already speaks of the aspect's part of the taxonomy in the same direction: "battery" and
// "phone" in one clause are one mention.
func (a *analysis) said(fs []found, f *found) bool {
	t := &a.c.themes[f.theme]
	for i := range fs {
		o := &a.c.themes[fs[i].theme]
		if o.Element == t.Element && o.Facet == t.Facet && fs[i].polarity*f.polarity >= 0 {
			return true
		}
	}
	return false
}

// opposed is the mention among fs of the same words and the same part of the taxonomy that says the opposite: nobody means
// both. A theme says more than an aspect, and of two alike the stronger stays.
func (a *analysis) opposed(fs []found, f *found) *found {
	t := &a.c.themes[f.theme]
	for i := range fs {
		o := &a.c.themes[fs[i].theme]
		if fs[i].start == f.start && fs[i].end == f.end && o.Element == t.Element && o.Facet == t.Facet && o.S5 == t.S5 && fs[i].polarity*f.polarity < 0 {
			return &fs[i]
		}
	}
	return nil
}

// twin says whether a theme among fs says the same of the same part of the taxonomy: "no answer" and "kept on hold" in one
// clause are one wait, and a box that arrived crushed is one box.
func (a *analysis) twin(fs []found, f *found) bool {
	t := &a.c.themes[f.theme]
	for i := range fs {
		o := &a.c.themes[fs[i].theme]
		if !o.aspect && o.Element == t.Element && o.Facet == t.Facet && (t.aspect || o.S5 == t.S5) && fs[i].polarity*f.polarity > 0 {
			return true
		}
	}
	return false
}

// opinions drops the aspects that nothing was said of, unless nothing was said of any: "what does delivery cost?" still
// speaks of the delivery.
func (a *analysis) opinions(ms []schemas.Mention) []schemas.Mention {
	any := false
	for i := range ms {
		any = any || ms[i].Polarity != 0
	}
	if !any {
		return ms
	}
	n := 0
	for i := range ms {
		if ms[i].Polarity != 0 || ms[i].Theme != "" {
			ms[n] = ms[i]
			n++
		}
	}
	return ms[:n]
}

// insideTheme says whether a cue lies within another and adds nothing to it: the aspect "delivery" in "late delivery", the
// theme of "delayed" in "flight was delayed".
func (a *analysis) insideTheme(h *cueHit, cues []cueHit) bool {
	t := &a.c.themes[h.theme]
	for k := range cues {
		o := &cues[k]
		if q := &a.c.themes[o.theme]; !t.aspect && (!o.own || o.theme == h.theme || q.Element != t.Element || q.S5 != t.S5) {
			continue
		}
		if o != h && o.start <= h.start && h.end <= o.end && (o.end-o.start > h.end-h.start || o.own && !h.own) {
			return true
		}
	}
	return false
}

// settled says whether a quality lies within a cue that says what an aspect is worth and nothing more, as "didn't work" in
// "didn't work for me", which is not broken.
func (a *analysis) settled(s *senseHit, cues []cueHit) bool {
	for k := range cues {
		if o := &cues[k]; o.own && a.c.themes[o.theme].aspect && o.start <= s.start && s.end <= o.end {
			return true
		}
	}
	return false
}

// put adds a mention unless the clause has one of the theme; of two the stronger stays.
func put(fs []found, f found) []found {
	for i := range fs {
		if fs[i].theme == f.theme {
			if f.bound && (!fs[i].bound || abs(f.polarity) > abs(fs[i].polarity)) {
				fs[i] = f
			}
			return fs
		}
	}
	return append(fs, f)
}

func abs(x float32) float32 {
	if x < 0 {
		return -x
	}
	return x
}

// bindSense lets a quality such as "slow" turn the aspect nearest to it into a theme such as "slow delivery".
func (a *analysis) bindSense(fs []found, s *senseHit, vals []valenceHit) []found {
	if s.class < senseCount {
		return fs
	}
	at, best := -1, int32(1<<30)
	var with pair
	for i := range fs {
		p, ok := a.c.pairs[[2]int32{fs[i].theme, s.class}]
		if !ok {
			continue
		}
		d := s.start - fs[i].start
		if d < 0 {
			d = -d
		}
		if d < best {
			at, best, with = i, d, p
		}
	}
	if at < 0 {
		return fs
	}
	pol := s.weight
	if with.hasFixed {
		pol = with.fixed
	}
	if s.negated {
		pol *= -0.7
	}
	f := found{theme: with.good, start: fs[at].start, end: fs[at].end, polarity: pol, confidence: a.c.setting.ConfidencePair, bound: true}
	if pol < 0 {
		f.theme = with.bad
	}
	if f.theme < 0 {
		f.theme = fs[at].theme
	}
	fs[at].taken = fs[at].taken || f.theme != fs[at].theme
	for k := range vals {
		if vals[k].token <= s.start && s.start < vals[k].end {
			vals[k].covered = true
		}
	}
	return put(fs, f)
}

// bindValences gives every aspect the valences that stand nearest to it.
func (a *analysis) bindValences(fs []found, vals []valenceHit) {
	set := &a.c.setting
	for k := range vals {
		v := &vals[k]
		if v.covered {
			continue
		}
		at, best := -1, int32(1<<30)
		for i := range fs {
			if fs[i].bound && fs[i].confidence != set.ConfidenceValence {
				continue
			}
			d := v.token - fs[i].start
			if d < 0 {
				d = -d
			}
			if d < best {
				at, best = i, d
			}
		}
		if at < 0 {
			return
		}
		f := &fs[at]
		f.bound, f.confidence = true, set.ConfidenceValence
		f.polarity = clamp(f.polarity + v.value/set.FullValence)
	}
}

func clamp(x float32) float32 { return max(-1, min(1, x)) }

// clausePolarity is what a clause says as a whole, and how sure that is.
func (a *analysis) clausePolarity(ci int32) (polarity, confidence float32) {
	set := &a.c.setting
	c := &a.clauses[ci]
	if v := c.valence(); c.pos != 0 || c.neg != 0 {
		return clamp(v / set.FullValence), set.ConfidenceValence
	}
	if c.wordCount > 0 {
		v := a.of(c)
		p := a.probabilities(&v)
		if d := float32(p[2] - p[0]); abs(d) > 0.35 {
			return d * 0.8, set.ConfidenceGuess
		}
	}
	// "The food, the service and the price were great": a bare enumeration takes what the sentence says next.
	for next := int(ci) + 1; next < len(a.clauses) && next <= int(ci)+3; next++ {
		n := &a.clauses[next]
		if n.sentence != c.sentence || n.contrast || n.concede {
			break
		}
		if n.pos != 0 || n.neg != 0 {
			return clamp(n.valence() / set.FullValence), set.ConfidenceGuess
		}
	}
	return 0, set.ConfidenceGuess
}
