package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

type surveymonkeyBody struct {
	ID, Language scalar
	SurveyID     scalar            `json:"survey_id"`
	CollectorID  scalar            `json:"collector_id"`
	Status       scalar            `json:"response_status"`
	Modified     scalar            `json:"date_modified"`
	Custom       map[string]scalar `json:"custom_variables"`
	Pages        []struct {
		Questions []struct {
			ID, Family, Subtype, Heading scalar
			Scale                        struct{ Min, Max scalar }
			Answers                      []struct {
				Text     scalar
				ChoiceID scalar                  `json:"choice_id"`
				Simple   scalar                  `json:"simple_text"`
				Meta     struct{ Weight scalar } `json:"choice_metadata"`
			}
		}
	}
	Data []surveymonkeyBody // of a page of responses
}

// surveymonkey reads responses in full, one or a page of them, as the API gives them. The webhook itself is a notice that
// holds no answers; it yields no event, and the response is fetched by polling.
func surveymonkey(d *Delivery) ([]schemas.Event, error) {
	var b surveymonkeyBody
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	b.add(&f)
	for i := range b.Data {
		b.Data[i].add(&f)
	}
	return f.events, nil
}

func (b *surveymonkeyBody) add(f *finds) {
	if b.ID == "" || b.Status != "completed" {
		return
	}
	for _, page := range b.Pages {
		for _, q := range page.Questions {
			e := f.d.event(b.ID.String()+"/"+q.ID.String(), schemas.FeedbackReceived, "survey", when(b.Modified.String()))
			e.Data.SourceID, e.Data.SubmissionID, e.Data.FieldID = b.SurveyID.String(), b.ID.String(), q.ID.String()
			e.Data.FieldLabel, e.Data.QuestionText = q.Heading.String(), q.Heading.String()
			e.Data.CustomerID, e.Data.Language = b.Custom["customer_id"].String(), b.Language.String()
			var said []string
			for _, a := range q.Answers {
				said = append(said, first(a.Text.String(), a.Simple.String()))
				if a.Meta.Weight != "" && e.Data.Number == nil {
					lo, _ := q.Scale.Min.number()
					hi, ok := q.Scale.Max.number()
					if ok {
						rate(&e.Data, a.Meta.Weight, scaleKind(q.Heading.String(), lo, hi), lo, hi)
					}
				}
				e.Data.ValueID = a.ChoiceID.String()
			}
			e.Data.Text = strings.Join(said, "; ")
			switch {
			case e.Data.Number != nil:
				e.Kind = schemas.RatingSubmitted
			case q.Family == "open_ended":
				e.Data.FieldType = "text"
			default:
				e.Data.FieldType = "categorical"
			}
			f.add(e, "collector", b.CollectorID.String())
		}
	}
}
