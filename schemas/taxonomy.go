package schemas

import "slices"

// The taxonomy has three axes. An element is what the customer speaks of, a facet is a part of one element, and a 5S
// value is a virtue of service. The service facets are at once the stages of the customer's journey.

// Element is one of the three elements of customer satisfaction, or [Unspecified] where the text names none.
type Element string

// The three elements and the honest fourth answer.
const (
	Product     Element = "product"     // the goods: quality, packaging, price
	Service     Element = "service"     // what people or processes did or failed to do, before, during, after the sale
	Image       Element = "image"       // brand, trust, reputation, ethics, advertising
	Unspecified Element = "unspecified" // the text names none of the three
)

// Facet is a part of an element; the empty Facet means the element as a whole.
type Facet string

// The seven facets, in the order of [Facets].
const (
	Quality    Facet = "quality"    // product: the goods themselves
	Packaging  Facet = "packaging"  // product: how they were packed
	Price      Facet = "price"      // product: price and value for money
	Presale    Facet = "presale"    // service: information, advice, availability, waiting to buy
	Sale       Facet = "sale"       // service: ordering, checkout, payment, delivery, being served
	Aftersale  Facet = "aftersale"  // service: support, returns, refunds, repair, complaints, warranty
	Impression Facet = "impression" // image: the overall impression of the enterprise
)

// S5 is one of the five virtues of service; the empty S5 means none was named.
type S5 string

// The five virtues, in the order of [Virtues].
const (
	Smile     S5 = "smile"     // friendliness, courtesy, patience; rudeness is its negative
	Speed     S5 = "speed"     // waiting, response, delivery time, being kept informed
	Sincerity S5 = "sincerity" // honesty, promises kept, apology; hidden fees are its negative
	Smart     S5 = "smart"     // neat, agile, efficient; clumsy handling is its negative
	Study     S5 = "study"     // knowledge of the goods, learning; the same fault again is its negative
)

// Elements lists the three elements in their fixed order, which is also the order of [Scores].Element.
func Elements() []Element { return []Element{Product, Service, Image} }

// Place is where the element stands in [Elements], −1 for [Unspecified] and anything unknown.
func (e Element) Place() int {
	switch e {
	case Product:
		return 0
	case Service:
		return 1
	case Image:
		return 2
	}
	return -1
}

// Facets lists the seven facets in their fixed order, which is also the order of [Scores].Facet.
func Facets() []Facet {
	return []Facet{Quality, Packaging, Price, Presale, Sale, Aftersale, Impression}
}

// Place is where the facet stands in [Facets], −1 for the empty and anything unknown.
func (f Facet) Place() int {
	switch f {
	case Quality:
		return 0
	case Packaging:
		return 1
	case Price:
		return 2
	case Presale:
		return 3
	case Sale:
		return 4
	case Aftersale:
		return 5
	case Impression:
		return 6
	}
	return -1
}

// Virtues lists the five S in their fixed order, which is also the order of [Scores].S5.
func Virtues() []S5 { return []S5{Smile, Speed, Sincerity, Smart, Study} }

// Place is where the virtue stands in [Virtues], −1 for the empty and anything unknown.
func (v S5) Place() int {
	switch v {
	case Smile:
		return 0
	case Speed:
		return 1
	case Sincerity:
		return 2
	case Smart:
		return 3
	case Study:
		return 4
	}
	return -1
}

// Element returns the element that the facet is a part of, [Unspecified] for the empty or an unknown facet.
func (f Facet) Element() Element {
	switch f {
	case Quality, Packaging, Price:
		return Product
	case Presale, Sale, Aftersale:
		return Service
	case Impression:
		return Image
	}
	return Unspecified
}

// Stage is where on the customer's journey a text belongs: one of the service facets, or [NoStage].
type Stage string

// The stages. NoStage is a comment on the goods or the enterprise themselves.
const (
	StagePresale   Stage = "presale"
	StageSale      Stage = "sale"
	StageAftersale Stage = "aftersale"
	NoStage        Stage = "none"
)

// Polarity is the three-way direction of a text.
type Polarity string

// The three polarities.
const (
	Negative Polarity = "negative"
	Neutral  Polarity = "neutral"
	Positive Polarity = "positive"
)

// Sentiment is the six-way label of a text.
type Sentiment string

// The six sentiments. Mixed means that mentions of one text disagree.
const (
	VeryNegative      Sentiment = "very_negative"
	SentimentNegative Sentiment = "negative"
	SentimentNeutral  Sentiment = "neutral"
	SentimentPositive Sentiment = "positive"
	VeryPositive      Sentiment = "very_positive"
	Mixed             Sentiment = "mixed"
)

// Intent is what the customer wants to achieve with the text.
type Intent string

// The six intents.
const (
	Complaint   Intent = "complaint"
	Praise      Intent = "praise"
	Question    Intent = "question"
	Request     Intent = "request"
	ChurnNotice Intent = "churn_notice"
	OtherIntent Intent = "other"
)

// TextQuality says whether a text can be read as feedback at all.
type TextQuality string

// The four text qualities. A record of any quality is stored; the quality is a label, never a filter.
const (
	QualityOK       TextQuality = "ok"
	QualitySpam     TextQuality = "spam"
	QualityEmpty    TextQuality = "empty"
	QualityOffTopic TextQuality = "off_topic"
)

// Urgency says how fast an answer is wanted.
type Urgency string

// The three urgencies.
const (
	UrgencyLow    Urgency = "low"
	UrgencyMedium Urgency = "medium"
	UrgencyHigh   Urgency = "high"
)

// Channels lists the values that data.channel may take, "other" last.
func Channels() []string {
	return []string{"survey", "review", "support", "chat", "email", "call", "social", "store", "app", "form", "web",
		"interview", "other"}
}

// ValidElement reports whether e is one of the three elements or [Unspecified].
func ValidElement(e Element) bool { return e == Unspecified || slices.Contains(Elements(), e) }
