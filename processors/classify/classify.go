package classify

import (
	"github.com/earshot/earshot/schemas"
)

// Input is one text with what the channel knows of it. Only Text is needed; "" and the zero Score mean "not known".
type Input struct {
	Text         string
	Language     string // BCP 47; "": found from the text
	Kind         schemas.Kind
	Channel      string          // support is after a sale, store is at one, where neither text nor StageHint says more
	FieldType    string          // of a question with given answers: its text is no advertising and not off topic
	QuestionText string          // the question the text answers: it says what a bare "terrible" is about, and whether a bare "no" is bad news
	StageHint    string          // presale, sale or aftersale
	ActorKind    string          // customer (also ""), agent, bot, system
	ElementHint  schemas.Element // stands where the text names no element
	S5Hint       schemas.S5      // stands where a mention of service names no virtue, and where a text that judges names nothing
	Rating       schemas.Score   // −1 … 1, the rating given with the text
}

// stage is the stage that the event itself tells of: by the producer's word, else by a channel that belongs to one.
func (in *Input) stage() schemas.Stage {
	switch {
	case in.StageHint != "":
		return schemas.Stage(in.StageHint)
	case in.Channel == "support":
		return schemas.StageAftersale
	case in.Channel == "store":
		return schemas.StageSale
	}
	return ""
}

// chosen says whether the text is an answer that was chosen of those given, and so not in the customer's own words. With a
// rating stands what the customer adds to it.
func (in *Input) chosen() bool { return in.FieldType == "categorical" || in.FieldType == "boolean" }

// byCustomer says whether a customer speaks, to whom an answer may be owed.
func (in *Input) byCustomer() bool {
	return (in.ActorKind == "" || in.ActorKind == "customer") && in.Kind != schemas.AgentResponded
}

// Classify labels one text. It is pure: equal inputs give equal labels.
func (c *Classifier) Classify(in Input) (l schemas.Labels) {
	c.ClassifyInto(in, &l)
	return l
}

// ClassifyInto is [Classifier.Classify] into labels that are no longer needed: their mentions and reasons are written over,
// so that nothing is allocated once they are long enough.
func (c *Classifier) ClassifyInto(in Input, l *schemas.Labels) {
	a := c.pool.Get().(*analysis)
	defer c.release(a)
	a.byRules(&in, l)
	a.judge(&in, l)
	l.Sentiment = a.sixWay(l)
	a.consequences(&in, l)
}

// byRules reads the text and sets what does not need the topic heads.
func (a *analysis) byRules(in *Input, l *schemas.Labels) {
	a.read(in.Text, in.Language)
	*l = schemas.Labels{Mentions: l.Mentions[:0], ChurnReasons: l.ChurnReasons[:0], Model: a.c.model, Urgency: schemas.UrgencyLow, Element: schemas.Unspecified, Language: a.lang}
	if l.Quality = a.quality(); in.chosen() && l.Quality != schemas.QualityEmpty {
		l.Quality = schemas.QualityOK
	}
	if l.Quality == schemas.QualityOK {
		l.Mentions = a.mentions(in, l.Mentions)
	}
	a.p = a.sentiment(in, l)
	for i := range l.Mentions {
		if a.named {
			l.Mentions[i].Polarity = l.Score
		}
	}
	if l.Quality == schemas.QualityOK && len(l.Mentions) == 0 && in.QuestionText != "" {
		a.c.asked(in, l, a)
	}
	if l.Quality == schemas.QualityOK && len(l.Mentions) == 0 {
		a.hinted(in, l)
	}
	l.Element = dominant(l.Mentions, in.ElementHint)
	a.churn(in, l)
	a.intent(l)
}

// asked makes one mention of a text that names nothing, of what its question asked about: "terrible" to "How was the
// delivery?" speaks of the delivery. Its polarity is that of the text.
func (c *Classifier) asked(in *Input, l *schemas.Labels, a *analysis) {
	q := c.pool.Get().(*analysis)
	defer c.release(q)
	q.read(in.QuestionText, in.Language)
	for i := range q.cues {
		h := &q.cues[i]
		if t := &c.themes[h.theme]; !t.aspect || l.Polarity == schemas.Neutral {
			continue
		}
		f := found{theme: h.theme, polarity: l.Score, confidence: c.setting.ConfidenceGuess}
		l.Mentions = append(l.Mentions, a.mention(in, &f, &clause{first: 0, last: int32(len(a.tokens))}))
		return
	}
}

// hinted makes one mention of a text that names nothing, of the virtue of service that the producer named: "Terrible!" with
// the hint speed speaks of the speed.
func (a *analysis) hinted(in *Input, l *schemas.Labels) {
	if l.Polarity == schemas.Neutral || in.S5Hint.Place() < 0 || in.ElementHint != "" && in.ElementHint != schemas.Service {
		return
	}
	m := schemas.Mention{Element: schemas.Service, S5: in.S5Hint, Polarity: l.Score, Confidence: a.c.setting.ConfidenceGuess,
		Start: a.tokens[0].start, End: a.tokens[len(a.tokens)-1].end}
	if f := schemas.Facet(in.stage()); f.Element() == schemas.Service {
		m.Facet = f
	}
	l.Mentions = append(l.Mentions, m)
}

// release gives the working memory back unless one huge text made it huge.
func (c *Classifier) release(a *analysis) {
	a.text = ""
	if cap(a.tokens) > 1<<16 {
		return
	}
	c.pool.Put(a)
}

// sentiment sets polarity, score, confidence and probabilities and returns the probabilities unrounded.
func (a *analysis) sentiment(in *Input, l *schemas.Labels) [3]float64 {
	p, read := a.answered(in) // by its words, without a look at the rating
	switch {
	case read:
	case l.Quality == schemas.QualityEmpty:
		p = fromRating(in.Rating)
	case a.unheard() && !a.heads.Foreign:
		p = a.unread(in.Rating)
	default:
		v := a.document()
		v.plain = a.plainly(&v, l.Mentions)
		p = a.probabilities(&v)
		read = true
	}
	best := 1
	for k := range 3 {
		if p[k] > p[best] {
			best = k
		}
		l.Probabilities[k] = float32(p[k])
	}
	l.Polarity = [3]schemas.Polarity{schemas.Negative, schemas.Neutral, schemas.Positive}[best]
	if read {
		l.SentimentText = l.Polarity
	}
	l.Confidence = float32(p[best])
	l.Score = schemas.Quantise(p[2] - p[0])
	return p
}

// unheard says whether the text is of a language without cues and no word of it is known.
func (a *analysis) unheard() bool { return a.table != a.c.table && len(a.valences) == 0 }

// fromRating gives what a rating without words says: its direction is the customer's own, its words are missing.
func fromRating(r schemas.Score) [3]float64 {
	if !r.Valid {
		return [3]float64{0.1, 0.8, 0.1}
	}
	x := float64(r.Value)
	z := [3]float64{-3 * x, 0.9, 3 * x}
	softmax(z[:])
	return z
}

// unread is for a language there are no words for: emoji and the rating speak, weakly, else it is neutral and unsure.
func (a *analysis) unread(r schemas.Score) [3]float64 {
	var e float64
	for i := range a.clauses {
		e += float64(a.clauses[i].emoji)
	}
	z := float64(0.8 * float64(squash(float32(e), 2)))
	if r.Valid {
		z += float64(2 * float64(r.Value))
	}
	p := [3]float64{-z, 0.3, z}
	softmax(p[:])
	return p
}

// sixWay reads the six-way sentiment off the score and the mentions.
func (a *analysis) sixWay(l *schemas.Labels) schemas.Sentiment {
	set := &a.c.setting
	var pos, neg float32
	for i := range l.Mentions {
		m := &l.Mentions[i]
		if m.Polarity > 0 {
			pos = max(pos, m.Polarity*m.Confidence)
		} else {
			neg = max(neg, -m.Polarity*m.Confidence)
		}
	}
	if min(pos, neg) >= set.MixedSide && l.Score < set.Very && l.Score > -set.Very {
		return schemas.Mixed
	}
	switch {
	case l.Polarity == schemas.Negative && l.Score <= -set.Very:
		return schemas.VeryNegative
	case l.Polarity == schemas.Negative:
		return schemas.SentimentNegative
	case l.Polarity == schemas.Positive && l.Score >= set.Very:
		return schemas.VeryPositive
	case l.Polarity == schemas.Positive:
		return schemas.SentimentPositive
	}
	return schemas.SentimentNeutral
}

// dominant returns the element that the mentions weigh most, ties in the order of [schemas.Elements].
func dominant(ms []schemas.Mention, hint schemas.Element) schemas.Element {
	var w [3]float32
	for i := range ms {
		m := &ms[i]
		w[m.Element.Place()] += mentionWeight(m)
	}
	best := -1
	for i, x := range w {
		if x > 0 && (best < 0 || x > w[best]) {
			best = i
		}
	}
	switch {
	case best >= 0:
		return schemas.Elements()[best]
	case hint != "" && schemas.ValidElement(hint):
		return hint
	}
	return schemas.Unspecified
}
