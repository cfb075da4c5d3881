package classify

import "strings"

// The kinds of answers.tsv: what a bare answer says, and of what its question asks.
const (
	answerYes = iota
	answerNo
	answerWants // wants something to be otherwise
	answerMute  // says nothing
	asksGood
	asksBad
	asksSolved // of good, whatever else the question names
	asksOpen   // of neither
	asksNot    // what follows is denied
	asksSkip   // nothing: what only looks like a denial
	asksName   // wants something to be named: "what", "which"
)

// maxAnswer is how many tokens a bare answer has at most, "not at all really".
const maxAnswer = 4

func (l *loader) loadAnswers() {
	kinds := map[string]int32{"yes": answerYes, "no": answerNo, "good": asksGood, "bad": asksBad, "solved": asksSolved,
		"open": asksOpen, "not": asksNot, "skip": asksSkip, "name": asksName, "wants": answerWants, "mute": answerMute}
	l.each("answers.tsv", 2, func(r row) {
		kind, ok := kinds[r.cells[0]]
		if !ok || strings.Contains(r.cells[1], "~") {
			l.fault(r, "unknown kind %q, want yes, no, wants, mute, good, bad, solved, open, not, skip or name, or a pattern with a gap", r.cells[0])
			return
		}
		for _, n := range l.in(l.answers, r, r.cells[1]) {
			l.answers.senses = append(l.answers.senses, sense{class: kind, next: n.sense})
			n.sense = int32(len(l.answers.senses) - 1)
		}
	})
}

// answered reads a bare yes, no, nothing or everything by its question: "no" is bad news to "Was your problem solved?" and
// good news to "Did you have any problems?", and none to a question that asks of neither. ok says whether the text is such an
// answer.
func (a *analysis) answered(in *Input) (p [3]float64, ok bool) {
	if in.QuestionText == "" || len(a.tokens) > maxAnswer {
		return p, false
	}
	said := int32(-1)
	for i := int32(0); i < int32(len(a.tokens)); {
		if a.tokens[i].kind == symbolToken {
			i++
			continue
		}
		kind, end := a.c.answer(a.tokens, i, false)
		if said < 0 && (end == 0 || kind == answerWants) {
			return a.namedOf(in)
		}
		if end == 0 || kind > answerNo || said >= 0 && kind != said {
			return p, false
		}
		said, i = kind, end
	}
	if said < 0 {
		return p, false
	}
	sure := float64(a.c.setting.Answer)
	asked, _ := a.c.askedOf(in.QuestionText, in.Language)
	if asked == 0 {
		return [3]float64{(1 - sure) / 2, sure, (1 - sure) / 2}, true
	}
	return a.news((said == answerYes) == (asked > 0)), true
}

// news is the polarity of an answer that says nothing by itself and much by its question.
func (a *analysis) news(good bool) (p [3]float64) {
	sure := float64(a.c.setting.Answer)
	p = [3]float64{(1 - sure) / 3, 2 * (1 - sure) / 3, sure}
	if !good {
		p[0], p[2] = p[2], p[0]
	}
	return p
}

// namedOf reads what a question asked to name, in words that are neither good nor bad: "the staff" is praise to "What did you like
// most?" and blame to "What could we improve?", and so is "better prices" to the latter.
func (a *analysis) namedOf(in *Input) (p [3]float64, ok bool) {
	asked, names := a.c.askedOf(in.QuestionText, in.Language)
	if !names || asked == 0 || a.questions > 0 {
		return p, false
	}
	words, wants := false, false
	for i := range a.tokens {
		kind, end := a.c.answer(a.tokens, int32(i), false)
		if end > 0 && kind == answerMute {
			return p, false
		}
		wants = wants || end > 0 && kind == answerWants
		words = words || a.tokens[i].kind == wordToken || a.tokens[i].kind == hanToken
	}
	for i := range a.clauses {
		c := &a.clauses[i]
		if c.negations > 0 || (c.pos != 0 || c.neg != 0 || c.cue != 0) && !(wants && asked < 0) {
			return p, false
		}
	}
	if !words {
		return p, false
	}
	a.named = true
	return a.news(asked > 0), true
}

// askedOf says whether a question asks of good (1) or bad things (−1), or of neither, or does not say (0), and whether it asks to
// name them.
func (c *Classifier) askedOf(question, language string) (asked int, names bool) {
	q := c.pool.Get().(*analysis)
	defer c.release(q)
	q.read(question, language)
	first, solved := 0, 0
	denied := 1 // or −1
	for i := int32(0); i < int32(len(q.tokens)); {
		kind, end := c.answer(q.tokens, i, true)
		switch {
		case end == 0:
			end = i + 1
		case kind == asksOpen:
			return 0, false
		case kind == asksSolved:
			solved = denied
		case kind == asksName:
			names = true
		case kind == asksNot:
			denied = -1
		case first != 0:
		case kind == asksGood:
			first, denied = denied, 1
		case kind == asksBad:
			first, denied = -denied, 1
		}
		i = end
	}
	switch {
	case solved != 0:
		return solved, names
	case first != 0:
		return first, names
	}
	// Any other question asks of what its words mean, where they all mean the same: "Was the soup horrible?"
	var pos, neg float32
	for i := range q.clauses {
		pos, neg = pos+q.clauses[i].pos, neg+q.clauses[i].neg
	}
	switch {
	case pos > 0 && neg == 0:
		return 1, names
	case neg < 0 && pos == 0:
		return -1, names
	}
	return 0, names
}

// answer finds the longest pattern of answers.tsv that starts at token i, of those of answers or of questions: its kind and
// where it ends, 0: there is none.
func (c *Classifier) answer(tokens []token, i int32, asks bool) (kind, end int32) {
	state := int32(0)
	for j := i; j < int32(len(tokens)); j++ {
		if state = c.answers.step(state, tokens[j].hash); state == 0 {
			break
		}
		for k := c.answers.nodes[state].sense; k >= 0; k = c.answers.senses[k].next {
			if q := &c.answers.senses[k]; (q.class >= asksGood) == asks {
				kind, end = q.class, j+1
			}
		}
	}
	return kind, end
}
