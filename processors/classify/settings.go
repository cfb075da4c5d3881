package classify

// settings are the numbers of settings.tsv; each row of the file says what its number does.
type settings struct {
	NegationScope, NegationScopeHan    float32
	NegatedPositive, NegatedNegative   float32
	CapsFactor                         float32
	BeforeBut, AfterBut, ConcedeWeight float32
	FullValence                        float32
	Very                               float32
	MixedSide                          float32
	ComplaintFrom, PraiseFrom          float32
	ConfidenceOwn, ConfidencePair      float32
	ConfidenceValence, ConfidenceGuess float32
	SpamFrom, ElementFrom              float32
	ElementAgainst                     float32
	ChurnFrom, RequestFrom             float32
	IntentSure                         float32
	SilentPraise, SilentComplaint      float32
	WishFrom, WishUntil                float32
	AskedFrom                          float32
	PlainFrom, PlainOdds, PlainMost    float32
	Answer                             float32
}

func (s *settings) fields() map[string]*float32 {
	return map[string]*float32{
		"negation-scope": &s.NegationScope, "negation-scope-han": &s.NegationScopeHan,
		"negated-positive": &s.NegatedPositive, "negated-negative": &s.NegatedNegative, "caps-factor": &s.CapsFactor,
		"before-but": &s.BeforeBut, "after-but": &s.AfterBut, "concede-weight": &s.ConcedeWeight,
		"full-valence": &s.FullValence, "very": &s.Very, "mixed-side": &s.MixedSide,
		"complaint-from": &s.ComplaintFrom, "praise-from": &s.PraiseFrom,
		"confidence-own": &s.ConfidenceOwn, "confidence-pair": &s.ConfidencePair,
		"confidence-valence": &s.ConfidenceValence, "confidence-guess": &s.ConfidenceGuess,
		"spam-from": &s.SpamFrom, "intent-sure": &s.IntentSure, "element-from": &s.ElementFrom, "element-against": &s.ElementAgainst,
		"churn-from": &s.ChurnFrom, "request-from": &s.RequestFrom,
		"silent-praise": &s.SilentPraise, "silent-complaint": &s.SilentComplaint, "wish-from": &s.WishFrom, "wish-until": &s.WishUntil,
		"asked-from": &s.AskedFrom, "plain-from": &s.PlainFrom, "plain-odds": &s.PlainOdds, "plain-most": &s.PlainMost,
		"answer": &s.Answer,
	}
}
