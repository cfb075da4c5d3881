package classify

import "github.com/earshot/earshot/schemas"

// Line is the form in which labels are shown to people and scripts, one JSON object a line.
type Line struct {
	Polarity         schemas.Polarity    `json:"polarity"`
	Sentiment        schemas.Sentiment   `json:"sentiment"`
	SentimentText    schemas.Polarity    `json:"sentiment_text,omitempty"` // of the words alone; absent: there are none that can be read
	Score            float32             `json:"score"`
	Confidence       float32             `json:"confidence"`
	Probabilities    Probabilities       `json:"probabilities"`
	Intent           schemas.Intent      `json:"intent"`
	IntentConfidence float32             `json:"intent_confidence"`
	Mentions         []LineMention       `json:"mentions"` // [] where there is none
	Element          schemas.Element     `json:"element"`
	Stage            schemas.Stage       `json:"stage,omitempty"`
	StageConfidence  float32             `json:"stage_confidence"`
	ChurnRisk        float32             `json:"churn_risk"`
	ChurnReasons     []string            `json:"churn_reasons,omitempty"`
	ResponseNeeded   bool                `json:"response_needed"`
	Urgency          schemas.Urgency     `json:"urgency"`
	Effort           *int8               `json:"effort,omitempty"` // absent: the text says nothing of effort
	Language         string              `json:"language"`
	Quality          schemas.TextQuality `json:"quality"`
	Model            string              `json:"model"`
}

// Probabilities are the three probabilities of the polarity by name; their sum is 1.
type Probabilities struct {
	Negative float32 `json:"negative"`
	Neutral  float32 `json:"neutral"`
	Positive float32 `json:"positive"`
}

// LineMention is one mention of a [Line].
type LineMention struct {
	Element    schemas.Element `json:"element"`
	Facet      schemas.Facet   `json:"facet"`
	S5         schemas.S5      `json:"s5"`
	Theme      string          `json:"theme,omitempty"`
	Polarity   float32         `json:"polarity"`
	Confidence float32         `json:"confidence"`
	Start      uint32          `json:"start"` // first byte in the text
	End        uint32          `json:"end"`   // byte after the last
}

// NewLine returns the labels in the form of a [Line].
func NewLine(l *schemas.Labels) Line {
	out := Line{Polarity: l.Polarity, Sentiment: l.Sentiment, SentimentText: l.SentimentText, Score: l.Score, Confidence: l.Confidence,
		Probabilities: Probabilities{l.Probabilities[0], l.Probabilities[1], l.Probabilities[2]},
		Intent:        l.Intent, IntentConfidence: l.IntentConfidence, Mentions: make([]LineMention, 0, len(l.Mentions)), Element: l.Element, Stage: l.Stage, StageConfidence: l.StageConfidence, ChurnRisk: l.ChurnRisk,
		ChurnReasons: l.ChurnReasons, ResponseNeeded: l.ResponseNeeded, Urgency: l.Urgency, Language: l.Language,
		Quality: l.Quality, Model: l.Model}
	for _, m := range l.Mentions {
		out.Mentions = append(out.Mentions, LineMention{m.Element, m.Facet, m.S5, m.Theme, m.Polarity, m.Confidence, m.Start, m.End})
	}
	if l.Effort != 0 {
		e := l.Effort
		out.Effort = &e
	}
	return out
}
