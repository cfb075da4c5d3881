package channels

import (
	"maps"
	"slices"
	"strings"

	"github.com/earshot/earshot/schemas"
)

type googleForm struct {
	FormID string `json:"formId"`
	Info   struct{ Title string }
	Items  []struct {
		Title    string
		Question struct {
			Question struct {
				ID    string                       `json:"questionId"`
				Scale *struct{ Low, High float64 } `json:"scaleQuestion"`
				Text  *struct{}                    `json:"textQuestion"`
			}
		} `json:"questionItem"`
	}
}

type googleResponse struct {
	FormID     string `json:"formId"`
	ResponseID string `json:"responseId"`
	Created    scalar `json:"createTime"`
	Submitted  scalar `json:"lastSubmittedTime"`
	Email      string `json:"respondentEmail"`
	Answers    map[string]struct {
		Text struct {
			Answers []struct{ Value scalar }
		} `json:"textAnswers"`
	}
}

// googleForms reads responses as forms.responses gives them, one or a page, with the form if the caller put it beside them:
// only the form says which numbers are on a scale. The notice that Pub/Sub pushes holds no answers and yields no event.
func googleForms(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		googleResponse
		Form      googleForm
		Responses []googleResponse
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	if b.ResponseID != "" {
		b.Responses = append(b.Responses, b.googleResponse)
	}
	for i := range b.Responses {
		b.Responses[i].add(&f, &b.Form)
	}
	return f.events, nil
}

func (r *googleResponse) add(f *finds, form *googleForm) {
	if r.ResponseID == "" {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(r.Answers)) {
		var said []string
		for _, a := range r.Answers[id].Text.Answers {
			said = append(said, a.Value.String())
		}
		e := f.d.event(r.ResponseID+"/"+id, schemas.FeedbackReceived, "form", when(first(r.Submitted.String(), r.Created.String())))
		e.Data.SourceID, e.Data.SourceName = first(r.FormID, form.FormID), form.Info.Title
		e.Data.SubmissionID, e.Data.FieldID, e.Data.CustomerID = r.ResponseID, id, address(r.Email)
		e.Data.Text = strings.Join(said, "; ")
		_, isNumber := scalar(e.Data.Text).number()
		for _, item := range form.Items {
			q := item.Question.Question
			if q.ID != id {
				continue
			}
			e.Data.QuestionText, e.Data.FieldLabel = item.Title, item.Title
			switch {
			case q.Scale != nil:
				rate(&e.Data, scalar(e.Data.Text), scaleKind(item.Title, q.Scale.Low, q.Scale.High), q.Scale.Low, q.Scale.High)
				e.Kind, e.Data.Text = schemas.RatingSubmitted, ""
			case q.Text == nil:
				e.Data.FieldType = "categorical"
			}
		}
		if isNumber && e.Data.Number == nil { // a number that nobody explains is no rating
			x, _ := scalar(e.Data.Text).number()
			e.Data.Number, e.Data.FieldType, e.Data.Text = &x, "number", ""
		}
		f.add(e)
	}
}
