package classify

import "strings"

// The kinds of answers.tsv: what a bare answer says, and of what its question asks.
const (
	answerYes = iota
	answerNo
	asksGood
	asksBad
	asksSolved // of good, whatever else the question names
	asksOpen   // of neither
	asksNot    // what follows is denied
	asksSkip   // nothing: what only looks like a denial
)

// maxAnswer is how many tokens a bare answer has at most, "not at all really".
const maxAnswer = 4

func (l *loader) loadAnswers() {
	kinds := map[string]int32{"yes": answerYes, "no": answerNo, "good": asksGood, "bad": asksBad, "solved": asksSolved,
		"open": asksOpen, "not": asksNot, "skip": asksSkip}
	l.each("answers.tsv", 2, func(r row) {
		kind, ok := kinds[r.cells[0]]
		if !ok || strings.Contains(r.cells[1], "~") {
			l.fault(r, "unknown kind %q, want yes, no, good, bad, solved, open, not or skip, or a pattern with a gap", r.cells[0])
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
		if end == 0 || said >= 0 && kind != said {
			return p, false
		}
		said, i = kind, end
	}
	if said < 0 {
		return p, false
	}
	sure := float64(a.c.setting.Answer)
	p = [3]float64{(1 - sure) / 3, 2 * (1 - sure) / 3, sure}
	switch asked := a.c.askedOf(in.QuestionText, in.Language); {
	case asked == 0:
		p = [3]float64{(1 - sure) / 2, sure, (1 - sure) / 2}
	case (said == answerYes) != (asked > 0):
		p[0], p[2] = p[2], p[0]
	}
	return p, true
}

// askedOf says whether a question asks of good (1) or bad things (−1), or of neither, or does not say (0).
func (c *Classifier) askedOf(question, language string) int {
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
			return 0
		case kind == asksSolved:
			solved = denied
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
		return solved
	case first != 0:
		return first
	}
	// Any other question asks of what its words mean, where they all mean the same: "Was the soup horrible?"
	var pos, neg float32
	for i := range q.clauses {
		pos, neg = pos+q.clauses[i].pos, neg+q.clauses[i].neg
	}
	switch {
	case pos > 0 && neg == 0:
		return 1
	case neg < 0 && pos == 0:
		return -1
	}
	return 0
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
