package classify

import (
	"slices"

	"github.com/earshot/earshot/schemas"
)

// quality says whether the text can be read as feedback at all. The rules are few and coarse: a wrong "spam" would hide
// a customer, a missed one costs a row.
func (a *analysis) quality() schemas.TextQuality {
	symbols := 0
	for i := range a.tokens {
		switch t := &a.tokens[i]; {
		case t.kind == wordToken, t.kind == hanToken, t.rated != 0: // "4/5" has no word and says all
			symbols += 2
		case t.kind == symbolToken:
			symbols++
		}
	}
	switch {
	case symbols == 0:
		return schemas.QualityEmpty
	case a.total[senseSpam] >= 2:
		return schemas.QualitySpam
	case len(a.tokens) >= 24 && a.monotone():
		return schemas.QualitySpam
	case a.count[senseOffTopic] > 0 && len(a.tokens) <= 3:
		return schemas.QualityOffTopic
	}
	return schemas.QualityOK
}

// monotone says whether one token makes up nearly the whole text.
func (a *analysis) monotone() bool {
	first, n := a.tokens[0].hash, 0
	for i := range a.tokens {
		if a.tokens[i].hash == first {
			n++
		}
	}
	return n*10 >= len(a.tokens)*9
}

// intent sets the intent by rule. A question or a request asked in anger is a complaint; leaving is a notice whatever else
// is said.
func (a *analysis) intent(l *schemas.Labels) {
	set := &a.c.setting
	neg, pos := float32(a.p[0]), float32(a.p[2])
	worst, bestM := float32(0), float32(0)
	for i := range l.Mentions {
		worst = min(worst, float32(l.Mentions[i].Polarity*l.Mentions[i].Confidence))
		bestM = max(bestM, float32(l.Mentions[i].Polarity*l.Mentions[i].Confidence))
	}
	wh := a.total[senseQuestion] >= 0.9 // "how", "when", "what is": more than "can you"
	request := a.count[senseRequest] > 0 || a.total[senseWish] >= 0.5
	angry := neg >= set.ComplaintFrom || a.count[senseComplaint] > 0 && pos < set.PraiseFrom
	switch {
	case l.Quality == schemas.QualitySpam || l.Quality == schemas.QualityOffTopic:
		l.Intent, l.IntentConfidence = schemas.OtherIntent, 0.8
	case a.leaving(l):
		l.Intent, l.IntentConfidence = schemas.ChurnNotice, 0.85
	case a.total[senseWish] >= set.WishFrom && neg < set.WishUntil:
		l.Intent, l.IntentConfidence = schemas.Request, 0.7
	case angry:
		l.Intent, l.IntentConfidence = schemas.Complaint, max(neg, 0.6)
	case (a.questions > 0 || wh) && pos < 0.8 && !(request && !wh):
		l.Intent, l.IntentConfidence = schemas.Question, 0.7
	case request && pos < 0.75:
		l.Intent, l.IntentConfidence = schemas.Request, 0.7
	case a.total[senseQuestion] >= 0.7 && pos < set.PraiseFrom:
		l.Intent, l.IntentConfidence = schemas.Question, 0.5
	case l.Polarity == schemas.Negative || worst <= -0.5 && bestM < 0.3 && pos < set.PraiseFrom:
		l.Intent, l.IntentConfidence = schemas.Complaint, max(neg, 0.5)
	case l.Polarity == schemas.Positive:
		l.Intent, l.IntentConfidence = schemas.Praise, pos
	default:
		l.Intent, l.IntentConfidence = schemas.OtherIntent, float32(a.p[1])
	}
}

// leaving says whether the words give notice.
func (a *analysis) leaving(l *schemas.Labels) bool {
	return l.ChurnRisk >= 0.75 && a.count[senseChurn] > 0
}

// consequences sets what follows from the other labels: whether an answer is owed, urgency, effort.
func (a *analysis) consequences(in *Input, l *schemas.Labels) {
	if in.byCustomer() && l.Quality != schemas.QualitySpam {
		switch l.Intent {
		case schemas.Complaint, schemas.Question, schemas.Request, schemas.ChurnNotice:
			l.ResponseNeeded = true
		}
	}
	a.urgency(l, float32(a.p[0]))
	if a.count[senseEffort] > 0 {
		e := a.total[senseEffort]
		l.Effort = int8(max(-5, min(5, e)))
		if l.Effort == 0 && e != 0 {
			l.Effort = 1
			if e < 0 {
				l.Effort = -1
			}
		}
	}
}

// urgency is high where the words say so or the customer is about to leave, medium where a complaint waits.
func (a *analysis) urgency(l *schemas.Labels, neg float32) {
	switch {
	case !l.ResponseNeeded:
	case a.total[senseUrgent] >= 1 || l.ChurnRisk >= 0.75:
		l.Urgency = schemas.UrgencyHigh
	case l.Intent == schemas.Complaint || neg >= 0.5 || a.count[senseUrgent] > 0:
		l.Urgency = schemas.UrgencyMedium
	}
}

// stronglyNegative is the reason of texts that are nothing else.
const stronglyNegative = "strongly negative"

// strongly is that reason with the theme that is spoken of worst, "strongly negative: Rude staff".
func (a *analysis) strongly(ms []schemas.Mention) string {
	id, least := "", float32(0)
	for i := range ms {
		if ms[i].Theme != "" && ms[i].Polarity < least {
			id, least = ms[i].Theme, ms[i].Polarity
		}
	}
	for i := range a.c.themes {
		if t := &a.c.themes[i]; id != "" && t.ID == id {
			return t.strongly
		}
	}
	return stronglyNegative
}

// stayReach is how many tokens behind the beginning of "switched to you" what sounds like leaving may begin.
const stayReach = 3

// stays says whether what sounds like leaving, at k of the senses, is said of coming or staying: "switched to you",
// "再也不去别家". Senses are in the order of their beginnings.
func (a *analysis) stays(k int) bool {
	leave := &a.senses[k]
	for ; k+1 < len(a.senses) && a.senses[k+1].start == leave.start; k++ {
	}
	for ; k >= 0 && a.senses[k].start+stayReach >= leave.start; k-- {
		if s := &a.senses[k]; s.class == senseChurn && s.weight < 0 && s.clause == leave.clause {
			return true
		}
	}
	return false
}

// churn sets the risk that the customer leaves, with every reason that raised it.
func (a *analysis) churn(in *Input, l *schemas.Labels) {
	neg := float32(a.p[0])
	if !in.byCustomer() || l.Quality == schemas.QualitySpam {
		return
	}
	risk := float32(0.05)
	if neg > 0.5 {
		risk = 0.1 + float32(0.4*(neg-0.5))
		if neg > 0.8 {
			l.ChurnReasons = append(l.ChurnReasons, a.strongly(l.Mentions))
		}
	}
	if a.count[senseRepeat] > 0 && neg > 0.3 {
		risk += 0.2
		l.ChurnReasons = append(l.ChurnReasons, "the same fault again")
	}
	if in.Rating.Valid && in.Rating.Value <= -0.5 {
		risk += 0.15
		l.ChurnReasons = append(l.ChurnReasons, "low rating")
	}
	var explicit *senseHit
	a.staying = false
	for i := range a.senses {
		s := &a.senses[i]
		a.staying = a.staying || s.class == senseChurn && s.weight < 0
		if s.class == senseChurn && s.weight > 0 && !s.negated && (explicit == nil || s.weight > explicit.weight) && !a.stays(i) {
			explicit = s
		}
	}
	if explicit != nil {
		a.staying = false
		risk = max(risk, explicit.weight)
		l.ChurnReasons = slices.Insert(l.ChurnReasons, 0, explicit.note)
	}
	l.ChurnRisk = schemas.Quantise(float64(min(risk, 0.98)))
}
