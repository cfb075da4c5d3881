package schemas

import "math"

// Mention is one thing that a text says about one part of the taxonomy.
type Mention struct {
	Element    Element // product, service or image
	Facet      Facet   // part of Element; empty: the element as a whole
	S5         S5      // virtue of service; empty: none; only with Element service
	Theme      string  // stable id of the theme, such as "late-delivery"; empty: none
	Polarity   float32 // −1 … 1, a multiple of 1/128 (see [Quantise])
	Confidence float32 // 0 … 1
	Start, End uint32  // bytes [Start, End) of the original text, at UTF-8 boundaries
}

// Labels are what the classifier says of one text. They never overwrite the event: they stand beside it with the model
// that made them.
type Labels struct {
	Polarity         Polarity
	Sentiment        Sentiment
	Score            float32    // −1 … 1, a multiple of 1/128
	Confidence       float32    // probability of Polarity, 0 … 1
	Probabilities    [3]float32 // of negative, neutral, positive; their sum is 1
	Intent           Intent
	IntentConfidence float32 // 0 … 1
	Mentions         []Mention
	Element          Element // the element most of the text is about, or [Unspecified]
	Stage            Stage   // of the customer's journey; empty: the text was not judged
	StageConfidence  float32 // 0 … 1
	Effort           int8    // −5 … 5; 0: the text says nothing of effort
	Urgency          Urgency
	ResponseNeeded   bool
	ChurnRisk        float32  // 0 … 1
	ChurnReasons     []string // why ChurnRisk is what it is, such as "explicit: buy elsewhere"
	Language         string   // BCP 47; "und" where it is not known
	Quality          TextQuality
	// SentimentText is the polarity of the words alone. Empty: there are none, or none that can be read, so that Polarity
	// and Score rest on the rating, or on nothing.
	SentimentText Polarity
	Model         string // name and version of the model, such as "cues-1"
}

// Score is a number that can be absent: an axis nobody mentioned has no score, which is not a score of zero.
type Score struct {
	Value float32
	Valid bool // false: absent, Value is 0
}

// Scores are the fixed numeric columns of one event, from its labels and its rating. Definitions: the decision record
// on figures.
type Scores struct {
	Element [3]Score // in the order of [Elements]; −1 … 1, a multiple of 1/128: mean polarity of the mentions
	Facet   [7]Score // in the order of [Facets]
	S5      [5]Score // in the order of [Virtues]

	Rating Score // any rating, brought to −1 … 1 (higher is better), a multiple of 1/128
	CSAT   Score // 1: satisfied by the top-box rule of its scale; 0.5: neutral middle; 0: neither
	NPS    Score // 1 promoter, 0 passive, −1 detractor; only of an 11-point 0–10 answer of type nps
	CES    Score // effort answer on its own 1–7 scale; only of type ces with that scale

	// RatingDisagrees says that the rating and the words point in opposite directions, as in five stars for "it broke".
	// Neither is changed for it.
	RatingDisagrees bool
}

// Quantise rounds a score to the nearest multiple of 1/128 within −1 … 1; NaN becomes 0. Sums of such numbers are exact
// in float64 whatever their order (up to 2^46 of them), so that an aggregate kept by the store and the same aggregate
// computed from the rows are equal to the last bit.
func Quantise(x float64) float32 {
	switch {
	case math.IsNaN(x):
		return 0
	case x >= 1:
		return 1
	case x <= -1:
		return -1
	}
	return float32(math.Round(x*128) / 128)
}
