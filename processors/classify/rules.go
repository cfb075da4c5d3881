package classify

import "github.com/earshot/earshot/schemas"

// The dense features of the topic heads: what the rules found. They carry what holds in every trade; the learned words
// add what is usual in the rows that were learned from.
const (
	ruleBias        = 0                   // always 1
	ruleIntent      = ruleBias + 1        // six places: the intent that the rules chose
	ruleNegative    = ruleIntent + 6      // probability
	ruleNeutral     = ruleNegative + 1    // probability
	rulePositive    = ruleNeutral + 1     // probability
	ruleMark        = rulePositive + 1    // a question mark
	ruleQuestion    = ruleMark + 1        // words of a question
	ruleRequest     = ruleQuestion + 1    // words of a request
	ruleWish        = ruleRequest + 1     // words of a wish
	ruleChurn       = ruleWish + 1        // words of leaving
	ruleRepeat      = ruleChurn + 1       // the same fault again
	ruleUrgent      = ruleRepeat + 1      // an answer is wanted now
	ruleComplaint   = ruleUrgent + 1      // a complaint is named
	ruleThanks      = ruleComplaint + 1   // thanks
	ruleElement     = ruleThanks + 1      // three places: share of the mentions
	ruleSilent      = ruleElement + 3     // no mention
	ruleFacet       = ruleSilent + 1      // seven places: named by a mention
	ruleUnspecified = ruleFacet + 7       // a mention without a facet
	ruleVirtue      = ruleUnspecified + 1 // five places: named by a mention
	ruleUser        = ruleVirtue + 5      // a user is addressed
	ruleLink        = ruleUser + 1        // a web address
	ruleNumber      = ruleLink + 1        // a number
	ruleLongNumber  = ruleNumber + 1      // a number of five digits or more
	ruleExclaim     = ruleLongNumber + 1  // exclamation marks
	ruleShort       = ruleExclaim + 1     // fewer than six tokens
	ruleMiddle      = ruleShort + 1       // six to fifteen
	ruleLong        = ruleMiddle + 1      // more than forty
	ruleSpam        = ruleLong + 1        // words of advertising
	ruleCaps        = ruleSpam + 1        // mostly capitals
	ruleCount       = ruleCaps + 1
)

// unit is 1 in the fixed point of dense features.
const unit = denseUnit

func fixed(x float32) int32 { return int32(float32(x * unit)) }

func boolUnit(b bool) int32 {
	if b {
		return unit
	}
	return 0
}

var intentOrder = [6]schemas.Intent{schemas.Complaint, schemas.Praise, schemas.Question, schemas.Request, schemas.ChurnNotice, schemas.OtherIntent}

// rules gathers what the rules found of a text whose mentions and intent by rule are known.
func (a *analysis) rules(l *schemas.Labels, p *[3]float64) *[ruleCount]int32 {
	a.rule = [ruleCount]int32{}
	x := &a.rule
	x[ruleBias] = unit
	for i, in := range intentOrder {
		x[ruleIntent+i] = boolUnit(l.Intent == in)
	}
	for k := range 3 {
		x[ruleNegative+k] = int32(p[k] * unit)
	}
	x[ruleMark] = boolUnit(a.questions > 0)
	x[ruleQuestion] = fixed(min(a.total[senseQuestion], 1))
	x[ruleRequest] = boolUnit(a.count[senseRequest] > 0)
	x[ruleWish] = boolUnit(a.count[senseWish] > 0)
	x[ruleChurn] = fixed(min(a.total[senseChurn], 1))
	x[ruleRepeat] = boolUnit(a.count[senseRepeat] > 0)
	x[ruleUrgent] = boolUnit(a.count[senseUrgent] > 0)
	x[ruleComplaint] = boolUnit(a.count[senseComplaint] > 0)
	x[ruleThanks] = boolUnit(a.count[senseThanks] > 0)
	a.ruleMentions(l.Mentions)
	digits := 0
	for i := range a.tokens {
		t := &a.tokens[i]
		switch t.kind {
		case userToken:
			x[ruleUser] = unit
		case linkToken:
			x[ruleLink] = unit
		case numberToken:
			x[ruleNumber] = unit
			digits = max(digits, int(t.end-t.start))
		}
	}
	x[ruleLongNumber] = boolUnit(digits >= 5)
	x[ruleExclaim] = int32(min(a.exclaims, 4)) * unit / 4
	n := len(a.tokens)
	x[ruleShort] = boolUnit(n < 6)
	x[ruleMiddle] = boolUnit(n >= 6 && n <= 15)
	x[ruleLong] = boolUnit(n > 40)
	x[ruleSpam] = fixed(max(0, min(a.total[senseSpam]/2, 1)))
	x[ruleCaps] = boolUnit(a.shouting)
	return x
}

func (a *analysis) ruleMentions(ms []schemas.Mention) {
	x := &a.rule
	x[ruleSilent] = boolUnit(len(ms) == 0)
	var w [3]float32
	var sum float32
	for i := range ms {
		m := &ms[i]
		v := mentionWeight(m)
		w[m.Element.Place()] += v
		sum += v
		if f := m.Facet.Place(); f >= 0 {
			x[ruleFacet+f] = unit
		} else {
			x[ruleUnspecified] = unit
		}
		if s := m.S5.Place(); s >= 0 {
			x[ruleVirtue+s] = unit
		}
	}
	for i := range w {
		if sum > 0 {
			x[ruleElement+i] = fixed(w[i] / sum)
		}
	}
}

// mentionWeight is how much a mention counts among the mentions of its text.
func mentionWeight(m *schemas.Mention) float32 {
	return float32(m.Confidence * (0.3 + abs(m.Polarity)))
}

// RulePrior returns the dense weights that say of a head what the rules say: where its training starts and what it is
// pulled towards. nil: the rules have no answer to the head's question.
func RulePrior(head string, classes []string) [][]float64 {
	w := make([][]float64, len(classes))
	for k := range w {
		w[k] = make([]float64, ruleCount)
	}
	// What a rule's answer weighs in log odds.
	const firm = 2.5
	for k, class := range classes {
		switch head {
		case "intent":
			for i, in := range intentOrder {
				if class == string(in) {
					w[k][ruleIntent+i] = firm
				}
			}
		case "element":
			if schemas.Element(class) == schemas.Unspecified {
				w[k][ruleSilent] = firm
			} else {
				w[k][ruleElement+schemas.Element(class).Place()] = firm
			}
		case "stage":
			if f := schemas.Facet(class).Place(); f >= 0 {
				w[k][ruleFacet+f] = firm
			} else {
				w[k][ruleElement] = firm / 2
			}
		case "churn":
			if class == "leave" {
				w[k][ruleChurn] = firm
			}
		case "junk":
			if class == "spam" {
				w[k][ruleSpam] = firm
			}
		default:
			return nil
		}
	}
	return w
}
