package classify

import "github.com/earshot/earshot/schemas"

// Derive sets again what follows from other labels, after another classifier has changed those: the six-way sentiment,
// whether an answer is owed and how soon. What the words alone say (mentions, effort, churn risk) stays.
func (c *Classifier) Derive(in Input, l *schemas.Labels) {
	a := analysis{c: c}
	l.Sentiment = a.sixWay(l)
	l.ResponseNeeded = false
	if in.byCustomer() && l.Quality != schemas.QualitySpam {
		switch l.Intent {
		case schemas.Complaint, schemas.Question, schemas.Request, schemas.ChurnNotice:
			l.ResponseNeeded = true
		}
	}
	switch {
	case !l.ResponseNeeded:
		l.Urgency = schemas.UrgencyLow
	case l.ChurnRisk >= 0.75:
		l.Urgency = schemas.UrgencyHigh
	case l.Urgency == schemas.UrgencyLow && (l.Intent == schemas.Complaint || l.Probabilities[0] >= 0.5):
		l.Urgency = schemas.UrgencyMedium
	}
}
