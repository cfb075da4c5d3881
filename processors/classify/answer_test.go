package classify

import (
	"testing"

	"github.com/earshot/earshot/schemas"
)

// A bare answer says what its question makes of it, and nothing by itself.
func TestABareAnswerIsReadByItsQuestion(t *testing.T) {
	c := mustLoad(t)
	for _, row := range []struct {
		question, text, lang string
		want                 schemas.Polarity
	}{
		{"Was your problem solved?", "No.", "", schemas.Negative},
		{"Was your problem solved?", "Yes!", "", schemas.Positive},
		{"Did you have any problems with your delivery?", "no", "", schemas.Positive},
		{"Did you have any problems with your delivery?", "Yes", "", schemas.Negative},
		{"What could we improve?", "Nothing", "", schemas.Positive},
		{"What could we improve?", "everything", "", schemas.Negative},
		{"What did you like most?", "Nothing really", "", schemas.Negative},
		{"What did you like most?", "All of it", "", schemas.Positive},
		{"What did you like least?", "Nothing", "", schemas.Positive},
		{"Is there anything we could do better?", "Not really", "", schemas.Positive},
		{"Would you recommend us?", "👍 Definitely", "", schemas.Positive},
		{"Hat alles gut funktioniert, oder gab es Probleme?", "Nein", "de", schemas.Positive},
		{"Wurde Ihr Anliegen gelöst?", "Nein", "de", schemas.Negative},
		{"您的问题解决了吗？", "没有", "zh", schemas.Negative},
		{"您对我们的服务满意吗？", "不", "zh", schemas.Negative},
		{"Qu'est-ce que nous pourrions améliorer ?", "Rien", "fr", schemas.Positive},
		{"¿Qué podríamos mejorar?", "Nada", "es", schemas.Positive},
		{"Was your problem not solved?", "Yes", "", schemas.Negative},
		{"What did you not like?", "Nothing", "", schemas.Positive},
		{"What didn't you like?", "Nothing", "", schemas.Positive},
		{"What don't you like about us?", "Everything", "", schemas.Negative},
		{"Is there a reason you would not recommend us?", "None", "", schemas.Positive},
		{"Any reason you wouldn't buy again?", "None", "", schemas.Positive},
		{"Was anything not to your satisfaction?", "No", "", schemas.Positive},
		{"Did we fail to meet your expectations?", "Yes", "", schemas.Negative},
		{"Did we fail to meet your expectations?", "No", "", schemas.Positive},
		{"Was hat Ihnen nicht gefallen?", "Nichts", "de", schemas.Positive},
		{"Qu'est-ce qui ne vous a pas plu ?", "Rien", "fr", schemas.Positive},
		{"¿Qué no le gustó?", "Nada", "es", schemas.Positive},
		{"有没有什么不方便？", "没有", "zh", schemas.Positive},
		{"您觉得哪里不够方便？", "没有", "zh", schemas.Positive},
		{"有没有不及时的情况？", "没有", "zh", schemas.Positive},
		{"Was the staff rude?", "Yes", "", schemas.Negative},
		{"Was the staff rude?", "No", "", schemas.Positive},
		{"Were you overcharged?", "Yes", "", schemas.Negative},
		{"Was it horrible?", "Yes", "", schemas.Negative},
		{"Was the food good?", "No", "", schemas.Negative},
		{"Was everything ok?", "No", "", schemas.Negative},
		{"Would you use us again?", "definitely not", "", schemas.Negative},
		{"Any problems?", "No thanks", "", schemas.Positive},
		{"Did everything work?", "no", "", schemas.Negative},
		{"Did everything work?", "yes", "", schemas.Positive},
		{"Did anything not work?", "no", "", schemas.Positive},
		// What a question asks to name is good or bad as it asks.
		{"What did you like most?", "the staff", "", schemas.Positive},
		{"What did you like least?", "delivery times", "", schemas.Negative},
		{"What could we improve?", "price", "", schemas.Negative},
		{"What could we improve?", "better prices", "", schemas.Negative},
		{"What could we improve?", "great service", "", schemas.Positive}, // its own words decide
		{"What did you like most?", "slow delivery", "", schemas.Negative},
		{"Was könnten wir verbessern?", "die Preise", "de", schemas.Negative},
		{"我们有什么可以改进的？", "价格", "zh", schemas.Negative},
		{"What could we improve?", "idk", "", schemas.Neutral},
		{"What would make you come back?", "coupons", "", schemas.Neutral},
		// What asks of nothing good or bad makes no news of any answer.
		{"Is there anything else you would like to tell us?", "No", "", schemas.Neutral},
		{"Is there anything else you'd like to share?", "Nope.", "", schemas.Neutral},
		{"Anything you would like to add?", "Nothing really", "", schemas.Neutral},
		{"Anything else we can help you with?", "No thanks", "", schemas.Neutral},
		{"Would you like us to contact you?", "No", "", schemas.Neutral},
		{"Would you like to receive our newsletter?", "Yes", "", schemas.Neutral},
		{"May we come back to you about this?", "No", "", schemas.Neutral},
		{"Did someone recommend us to you?", "No", "", schemas.Neutral},
		{"Would you like a refund?", "Yes", "", schemas.Neutral},
		{"您是否方便接听电话？", "不", "zh", schemas.Neutral},
		{"您需要我们帮助吗？", "不", "zh", schemas.Neutral},
		{"您是通过朋友推荐知道我们的吗？", "不是", "zh", schemas.Neutral},
		{"Möchten Sie wieder kontaktiert werden?", "Nein", "de", schemas.Neutral},
		{"Do you own a car?", "No", "", schemas.Neutral},
		{"Do you own a car?", "Yes", "", schemas.Neutral},
		{"", "No", "", schemas.Neutral},
		{"What could we improve?", "No yes", "", schemas.Neutral},     // no bare answer
		{"Was your problem solved?", "No idea", "", schemas.Negative}, // not a bare answer: its words decide
	} {
		l := c.Classify(Input{Text: row.text, QuestionText: row.question, Language: row.lang})
		if l.Polarity != row.want {
			t.Errorf("%q to %q is %s (%v), want %s", row.text, row.question, l.Polarity, l.Probabilities, row.want)
		}
	}
	l := c.Classify(Input{Text: "price", QuestionText: "What could we improve?"})
	if len(l.Mentions) != 1 || l.Mentions[0].Facet != schemas.Price || l.Mentions[0].Polarity >= 0 || l.Intent == schemas.Praise {
		t.Errorf("a price to what could be improved gives %+v", l)
	}
	l = c.Classify(Input{Text: "the staff", QuestionText: "What did you like most?"})
	if len(l.Mentions) != 1 || l.Mentions[0].Element != schemas.Service || l.Mentions[0].Polarity <= 0 || l.Intent != schemas.Praise {
		t.Errorf("the staff to what was liked gives %+v", l)
	}
	l = c.Classify(Input{Text: "Yes", QuestionText: "Did you have any problems with your delivery?"})
	if len(l.Mentions) != 1 || l.Mentions[0].Facet != schemas.Sale || l.Mentions[0].Polarity >= 0 || l.SentimentText != schemas.Negative {
		t.Errorf("a yes to a question about the delivery gives %+v", l)
	}
}
