package classify

import "github.com/earshot/earshot/schemas"

// judge lets the topic heads decide on what the rules found and on the words. The heads saw the rules' own answer among
// their features, so they differ from it only where the words speak against it.
func (a *analysis) judge(in *Input, l *schemas.Labels) {
	if l.Quality != schemas.QualityOK || a.table == a.c.empty {
		return
	}
	x := a.rules(l, &a.p)
	set := &a.c.setting
	var z [maxClasses]float64
	var on active
	on.find(x[:])
	leaving := a.leaving(l)
	a.topics.settle()
	for i := range a.heads.Topics {
		h := &a.heads.Topics[i]
		h.logits(&z, h.Temperature, x[:], &on, weighted{a.topics.total[h.At:], a.topics.rows})
		p := z[:len(h.Classes)]
		softmax(p)
		best := 0
		for k := range p {
			if p[k] > p[best] {
				best = k
			}
		}
		sure := float32(p[best])
		switch h.Name {
		case "intent":
			asked := l.Intent == schemas.Question && a.total[senseQuestion] >= 0.9
			if !leaving && !(asked && h.Classes[best] == string(schemas.Request) && sure < set.RequestFrom) {
				l.Intent, l.IntentConfidence = schemas.Intent(h.Classes[best]), float32(sure*set.IntentSure)
			}
			if a.personal(l) {
				l.Intent, l.IntentConfidence = schemas.OtherIntent, 1-sure
			}
		case "element":
			a.judgeElement(in, l, schemas.Element(h.Classes[best]), sure)
		case "stage":
			l.Stage, l.StageConfidence = schemas.Stage(h.Classes[best]), sure
		case "junk":
			if best == 1 && sure >= set.SpamFrom && !in.chosen() && !(a.rated && len(a.tokens) <= maxAnswer) && a.advertises(l) {
				l.Quality = schemas.QualitySpam
			}
		case "churn":
			a.judgeChurn(in, l, float32(p[1]))
		}
	}
	switch stage := in.stage(); {
	case in.StageHint != "":
		l.Stage, l.StageConfidence = stage, 1
	case stage != "" && l.Stage == schemas.NoStage && l.Element == schemas.Service:
		l.Stage, l.StageConfidence = stage, set.ConfidenceGuess
	}
}

// advertises says whether the head's word for spam may stand. It learned from English messages alone, and from their long
// numbers: of another language it knows nothing, and a telephone number in a complaint is what the complaint is about. Where
// words advertise, the head decides.
func (a *analysis) advertises(l *schemas.Labels) bool {
	if a.total[senseSpam] > 0 {
		return true
	}
	if a.region != english {
		return false
	}
	if float32(a.p[0]) < a.c.setting.ComplaintFrom {
		return true
	}
	for i := range l.Mentions {
		if m := &l.Mentions[i]; m.Polarity <= -a.c.setting.PlainFrom && m.Confidence >= a.c.setting.ConfidencePair {
			return false
		}
	}
	return true
}

// personal says whether a mood without an object is all there is: people say good morning and bad luck to each other where
// companies listen.
func (a *analysis) personal(l *schemas.Labels) bool {
	if len(l.Mentions) > 0 || a.count[senseThanks] > 0 {
		return false
	}
	set := &a.c.setting
	return l.Intent == schemas.Praise && float32(a.p[2]) < set.SilentPraise || l.Intent == schemas.Complaint && float32(a.p[0]) < set.SilentComplaint
}

// judgeElement takes the head's element where no mention names one, if it is sure, and where it is very sure against the
// mentions.
func (a *analysis) judgeElement(in *Input, l *schemas.Labels, e schemas.Element, sure float32) {
	set := &a.c.setting
	switch {
	case e != schemas.Unspecified && len(l.Mentions) > 0 && sure >= set.ElementAgainst:
		l.Element = e
	case len(l.Mentions) > 0 || l.Element != schemas.Unspecified:
	case e != schemas.Unspecified && sure >= set.ElementFrom && len(a.tokens) >= 4:
		l.Element = e
	case l.Intent == schemas.ChurnNotice, float32(a.p[1]) >= set.AskedFrom && a.asks() && (l.Intent == schemas.Question || l.Intent == schemas.Request):
		// Whoever asks something of a company and names nothing wants to be served, or the goods to be other than they are.
		l.Element = schemas.Service
		if a.total[senseWish] >= set.WishFrom {
			l.Element = schemas.Product
		}
	}
}

// asks says whether words or a mark ask for something: the head takes a text for a request for its many numbers alone.
func (a *analysis) asks() bool {
	return a.questions > 0 || a.count[senseRequest] > 0 || a.total[senseQuestion] >= 0.7 || a.total[senseWish] >= 0.5
}

// judgeChurn lets the head raise the risk, never lower it: a missed notice costs a customer, a false one a call. Words that say
// that the customer stays sound to it like leaving.
func (a *analysis) judgeChurn(in *Input, l *schemas.Labels, p float32) {
	if !in.byCustomer() || a.staying || p < a.c.setting.ChurnFrom || p <= l.ChurnRisk {
		return
	}
	l.ChurnRisk = schemas.Quantise(float64(min(p, 0.98)))
	l.ChurnReasons = append(l.ChurnReasons, "sounds like leaving")
}
