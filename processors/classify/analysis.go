package classify

// The classes of senses.tsv that the code knows by name. All others are qualities that pairs.tsv uses.
const (
	senseQuestion  = iota // begins or marks a question
	senseRequest          // asks for something to be done
	senseWish             // wants something to be different
	senseChurn            // says that the customer leaves; the weight is the risk
	senseRepeat           // the same fault again
	senseUrgent           // an answer is wanted now
	senseEffort           // ease (> 0) or effort (< 0), −5 … 5
	senseComplaint        // names a complaint outright
	senseThanks           // thanks
	senseSpam             // advertising that no customer writes
	senseOffTopic         // says nothing on purpose, such as "test"
	senseCount
)

var senseNames = [senseCount]string{"question", "request", "wish", "churn", "repeat", "urgent", "effort", "complaint", "thanks", "spam", "offtopic"}

// effortReach is how many of the tokens that a negation turns lie too far behind it to turn what is said of effort.
const effortReach = 1

// maxClause bounds a clause, so that the work of one clause is bounded whatever the text.
const maxClause = 48

// clause is a run of tokens that is judged as one.
type clause struct {
	first, last int32
	sentence    int32
	mark        byte
	contrast    bool // begins with "but"
	concede     bool // begins with "although"
	despite     bool // begins with "despite", which concedes no sentence but a thing
	cond        bool
	order       bool    // begins with "do" or "don't"
	pos, neg    float32 // sums of valence, neg ≤ 0
	negations   int32
	words       [3]int32 // learned weights of words and pairs
	grams       [3]int32 // learned weights of runs of letters
	wordCount   int32
	gramCount   int32
	cue         float32 // sum of the cues' own polarities
	emoji       float32
	caps        bool
}

func (c *clause) valence() float32 { return c.pos + c.neg }

func (c *clause) add(v float32) {
	if v > 0 {
		c.pos += v
	} else {
		c.neg += v
	}
}

type valenceHit struct {
	token, end int32
	value      float32
	negated    bool
	covered    bool // part of a cue that has its own polarity
}

type cueHit struct {
	theme      int32
	start, end int32
	clause     int32
	polarity   float32
	own        bool
	negated    bool
}

type senseHit struct {
	class   int32
	start   int32
	end     int32
	clause  int32
	weight  float32
	negated bool
	note    string
}

// analysis is all that one text yields before labels are read off. It is reused from a pool.
type analysis struct {
	scanner
	c           *Classifier
	text        string
	clauses     []clause
	valences    []valenceHit
	cues        []cueHit
	senses      []senseHit
	found       []found // of one clause
	heads       *Heads
	lang        string
	table       *table    // of the words of the language
	region      region    // of the sentiment table
	keep        *Features // kept only for training
	memo        gramMemo
	topics      topicSums
	rule        [ruleCount]int32
	p           [3]float64 // of negative, neutral, positive
	total       [senseCount]float32
	count       [senseCount]int32
	common      []int
	commonNames []string
	known       int
	distinct    int32 // the language that a word of no other told last, −1: none
	shouting    bool  // most words are in capitals: they emphasise nothing
	mayRate     bool  // the text holds what may begin a rating
	rated       bool  // the text holds a rating
	named       bool  // the text names what its question asked of
	staying     bool  // words say that the customer comes or stays, and none that he leaves

	negUntil, boostUntil, consumed int32
	boost                          float32
	best, bestEnd                  int32
	bestState                      int32
	denied                         int32 // 1 + the place in valences of what a negation stands behind, until something after it is negated; 0: none
}

func (c *Classifier) newAnalysis() *analysis {
	return &analysis{c: c, heads: c.heads, common: make([]int, len(c.languages)), commonNames: c.languages}
}

// isEmoticon returns the length of the longest emoticon at the head of s.
func (c *Classifier) isEmoticon(s string) int {
	for n := min(4, len(s)); n >= 2; n-- {
		if c.emoticon[s[:n]] {
			if last := s[n-1]; n < len(s) && asciiClass[last&0x7f] == classLetter && s[n] < 0x80 && asciiClass[s[n]] == classLetter {
				continue // ":Done" is no ":D"
			}
			return n
		}
	}
	return 0
}

// read runs the whole analysis of one text; given is the language that the channel named, "" if none.
func (a *analysis) read(text, given string) {
	a.text = text
	a.clauses, a.valences, a.cues, a.senses = a.clauses[:0], a.valences[:0], a.cues[:0], a.senses[:0]
	a.topics = topicSums{}
	a.distinct = -1
	a.total, a.count, a.known, a.mayRate, a.rated, a.named = [senseCount]float32{}, [senseCount]int32{}, 0, false, false, false
	clear(a.common)
	a.scan(text, a.c.isEmoticon)
	caps, words := 0, 0
	for i := range a.tokens {
		tok := &a.tokens[i]
		if tok.kind == wordToken {
			words++
			if tok.caps {
				caps++
			}
		}
		tok.root = a.c.table.step(0, tok.hash)
		if tok.kind != numberToken {
			a.root(tok)
		}
		a.mayRate = a.mayRate || tok.rates || tok.kind == numberToken || tok.kind == symbolToken
	}
	a.shouting = caps*2 > words
	a.lang = a.language(given)
	if a.table, a.region = a.c.reader(a.lang); a.romanised() {
		a.table = a.c.table
	}
	for i := range a.segments {
		a.segment(&a.segments[i])
	}
}

// root looks a single word up: what it is wherever it stands, and of which language it is.
func (a *analysis) root(tok *token) {
	n := &a.c.table.nodes[tok.root]
	tok.number, tok.subject, tok.rates = n.number, n.subject, n.rates
	tok.turns = n.mod == negate || n.mod == contrast
	known := n.common || n.hasValence
	for k := n.sense; k >= 0; k = a.c.table.senses[k].next {
		if lang := a.c.langOf[a.c.table.senses[k].class]; lang >= 0 {
			w := int(a.c.table.senses[k].weight)
			if a.common[lang] += w; w > 1 {
				a.distinct = lang
			}
			known = known || a.commonNames[lang] == "en"
		}
	}
	if known {
		a.known++
	}
}

func (a *analysis) open(first int32, seg *segment) {
	a.deny()
	h := a.tokens[first].hash
	a.clauses = append(a.clauses, clause{first: first, last: seg.last, sentence: seg.sentence, mark: seg.mark,
		order: h == a.c.orders[0] || h == a.c.orders[1]})
	a.negUntil, a.boostUntil, a.boost = 0, 0, 1
}

// shut ends the current clause before token i.
func (a *analysis) shut(i int32) {
	c := &a.clauses[len(a.clauses)-1]
	c.last, c.mark = i, ','
}

func (a *analysis) segment(seg *segment) {
	a.open(seg.first, seg)
	a.consumed = seg.first
	if a.mayRate {
		a.ratings(seg.first, seg.last)
	}
	unlearned := int32(0) // up to where words belong to a rating: learned of others', they say nothing of this one
	for i := seg.first; i < seg.last; i++ {
		if i-a.clauses[len(a.clauses)-1].first >= maxClause {
			a.shut(i)
			a.open(i, seg)
		}
		if c := &a.clauses[len(a.clauses)-1]; c.despite && i >= c.first+3 && a.tokens[i].subject {
			a.shut(i)
			a.open(i, seg)
		}
		if a.tokens[i].rated != 0 {
			unlearned = i + a.tokens[i].rateTokens()
		}
		a.learn(i, seg.first, i < unlearned)
		state := a.tokens[i].root
		if a.table != a.c.table {
			state = a.table.step(0, a.tokens[i].hash)
		}
		a.bestState = 0
		if state != 0 {
			a.follow(state, i, i+1, seg.last, 2, false)
		}
		if a.tokens[i].more() {
			a.beside(0, i, i, seg.last, 2, false)
		}
		if a.bestState != 0 && i >= a.consumed {
			a.apply(i, seg)
		}
	}
	a.deny()
}

// deny turns what a negation of the open clause stands behind: "je ne recommande pas", "gefällt mir nicht".
func (a *analysis) deny() {
	if a.denied == 0 {
		return
	}
	h, c, set := &a.valences[a.denied-1], &a.clauses[len(a.clauses)-1], &a.c.setting
	a.denied = 0
	by := set.NegatedPositive
	if h.value > 0 {
		c.pos -= h.value
	} else {
		c.neg -= h.value
		by = set.NegatedNegative
	}
	h.value, h.negated = float32(-h.value*by), true // rounded before it is added
	c.add(h.value)
}

// follow visits every pattern that starts at token i, from a state reached before token j. turned: a negation stood in a gap,
// as in "the delivery was not late".
func (a *analysis) follow(state, i, j, end int32, gaps int, turned bool) {
	t := a.table
	for {
		n := &t.nodes[state]
		a.visit(n, state, i, j, turned)
		if n.gap != 0 && gaps > 0 {
			turned := turned
			for k := j; k < end && k <= j+gapTokens; k++ {
				if to := t.step(n.gap, a.tokens[k].hash); to != 0 {
					a.follow(to, i, k+1, end, gaps-1, turned)
				}
				if a.tokens[k].more() {
					a.beside(n.gap, i, k, end, gaps-1, turned)
				}
				turned = turned || a.tokens[k].turns
			}
		}
		if !n.kids || j >= end {
			return
		}
		if a.tokens[j].more() {
			a.beside(state, i, j, end, gaps, turned)
		}
		if state = t.step(state, a.tokens[j].hash); state == 0 {
			return
		}
		j++
	}
}

// beside follows the patterns that go on after state with token j as a number in words, or as a rating.
func (a *analysis) beside(state, i, j, end int32, gaps int, turned bool) {
	tok := &a.tokens[j]
	if tok.number {
		if to := a.table.step(state, numHash); to != 0 {
			a.follow(to, i, j+1, end, gaps, turned)
		}
	}
	if tok.rated != 0 {
		if to := a.table.step(state, tok.rate().hash()); to != 0 {
			a.follow(to, i, j+tok.rateTokens(), end, gaps, turned)
		}
	}
}

// visit takes what is known of the pattern that covers tokens [i, j).
func (a *analysis) visit(n *node, state, i, j int32, turned bool) {
	if (n.hasValence || n.mod != noMod) && (a.bestState == 0 || j > a.bestEnd) {
		a.bestState, a.bestEnd = state, j
	}
	at := int32(len(a.clauses) - 1)
	// "Nobody answered, nobody called", "promised two lamps and sent none": a pattern that begins or ends in a negation says by
	// itself what was not. In Chinese two negations cancel.
	negated := !a.tokens[i].scathing() && (i < a.negUntil && (a.tokens[i].kind == hanToken || !a.tokens[i].turns) || turned && !a.tokens[i].turns && !a.tokens[j-1].turns)
	for k := n.cue; k >= 0; k = a.table.cues[k].next {
		q := &a.table.cues[k]
		h := cueHit{theme: q.theme, start: i, end: j, clause: at, polarity: q.polarity, own: q.own, negated: negated}
		if negated {
			h.polarity *= -0.7
		}
		if h.own {
			a.clauses[at].cue += h.polarity
		}
		a.cues = append(a.cues, h)
	}
	for k := n.sense; k >= 0; k = a.table.senses[k].next {
		q := &a.table.senses[k]
		if a.c.langOf[q.class] >= 0 {
			continue
		}
		if q.class < senseCount {
			if negated && (q.class == senseChurn || q.class == senseThanks || q.class == senseComplaint) {
				continue
			}
			if q.class == senseQuestion && q.weight < 1 && i != a.clauses[at].first {
				continue // "how" and "can" ask only where a clause begins
			}
			if (q.class == senseWish || q.class == senseRequest) && q.weight > 1 && i != a.clauses[at].first {
				continue // "add a dark mode" wishes, "to add insult" does not
			}
			if q.class == senseEffort && negated && (turned || i+effortReach < a.negUntil) {
				a.total[senseEffort] -= q.weight // "no trouble ordering", "not easy to reach"; but "not only did we have to ask"
				a.count[senseEffort]++
			} else if q.class != senseChurn || q.weight > 0 {
				a.total[q.class] += q.weight
				if q.class == senseComplaint && q.weight < 0 {
					a.count[q.class]-- // "can't complain" takes back what "complain" gives
				} else {
					a.count[q.class]++
				}
			}
		}
		a.senses = append(a.senses, senseHit{class: q.class, start: i, end: j, clause: at, weight: q.weight, negated: negated, note: q.note})
	}
}

// apply lets the longest modifier or valence that starts at token i act.
func (a *analysis) apply(i int32, seg *segment) {
	n := &a.table.nodes[a.bestState]
	c := &a.clauses[len(a.clauses)-1]
	end := a.bestEnd
	a.consumed = end
	set := &a.c.setting
	switch n.mod {
	case negate:
		scope := int32(set.NegationScope)
		if a.tokens[i].kind == hanToken {
			scope = int32(set.NegationScopeHan)
		}
		if i < a.negUntil && a.tokens[i].kind == hanToken {
			a.negUntil = 0 // 不是不好: two negations of Chinese cancel
		} else {
			a.negUntil = end + scope
		}
		c.negations++
		if k := len(a.valences); n.modValue > 0 && k > 0 {
			if h := &a.valences[k-1]; h.token >= c.first && i-h.end < int32(n.modValue) && !h.negated {
				a.denied = int32(k)
			}
		}
		return
	case whole:
		for k := len(a.senses); k > 0 && a.senses[k-1].start == i && a.senses[k-1].class >= senseCount; k = len(a.senses) {
			a.senses = a.senses[:k-1]
		}
		return
	case boost:
		a.boost, a.boostUntil = a.boost*n.modValue, end+2
		return
	case contrast, concede, despite:
		if end >= seg.last { // "… though." says nothing about what follows
			return
		}
		if i > c.first {
			a.shut(i)
			a.open(i, seg)
			c = &a.clauses[len(a.clauses)-1]
		}
		c.contrast, c.concede, c.despite = n.mod == contrast, n.mod != contrast, n.mod == despite
		return
	case condition:
		c.cond = true
		return
	}
	v := n.valence
	tok := &a.tokens[i]
	if end > i+1 && a.table.nodes[a.table.step(0, tok.hash)].mod == negate {
		c.negations++ // "not bad at all" is one entry of the list and still a denial
	}
	if i < a.boostUntil {
		v *= a.boost
		a.boost, a.boostUntil = 1, 0
	}
	if tok.caps && !a.shouting && tok.kind == wordToken {
		v *= set.CapsFactor
		c.caps = true
	}
	if tok.long {
		v *= set.CapsFactor
	}
	if i < a.negUntil && !tok.scathing() {
		if v > 0 {
			v *= -set.NegatedPositive
		} else {
			v *= -set.NegatedNegative
		}
		a.denied = 0
	}
	if tok.kind == symbolToken {
		c.emoji += v
	}
	c.add(v)
	a.valences = append(a.valences, valenceHit{token: i, end: end, value: v, negated: i < a.negUntil && !tok.scathing()})
}
