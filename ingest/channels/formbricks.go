package channels

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/earshot/earshot/schemas"
)

type formbricksBody struct {
	Event string
	Data  struct {
		ID         scalar
		UpdatedAt  scalar `json:"updatedAt"`
		SurveyID   scalar `json:"surveyId"`
		Finished   bool
		Language   scalar
		Attributes map[string]scalar `json:"contactAttributes"`
		Data       map[string]json.RawMessage
		Meta       struct{ URL, Country scalar }
		Survey     struct {
			Title     scalar
			Questions []struct {
				ID, Type string
				Headline map[string]scalar
				Range    float64
			}
		}
	}
}

// formbricks reads a finished response: one event for each answer. The same response is announced up to three times, when
// it is begun, changed and finished; only the finished one counts. Without the questions a number's scale is told by its
// question's id, where that says nps, csat or ces.
func formbricks(d *Delivery) ([]schemas.Event, error) {
	var b formbricksBody
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	r := &b.Data
	if r.ID == "" || !r.Finished {
		return nil, nil
	}
	f := finds{d: d}
	for _, id := range slices.Sorted(maps.Keys(r.Data)) {
		e := d.event(r.ID.String()+"/"+id, schemas.FeedbackReceived, "survey", when(r.UpdatedAt.String()))
		e.Data.SourceID, e.Data.SourceName, e.Data.SubmissionID = r.SurveyID.String(), r.Survey.Title.String(), r.ID.String()
		e.Data.FieldID, e.Data.CustomerID = id, first(r.Attributes["userId"].String(), address(r.Attributes["email"].String()))
		if r.Language != "default" {
			e.Data.Language = r.Language.String()
		}
		kind, hi := strings.ToLower(id), 0.0
		for _, q := range r.Survey.Questions {
			if q.ID == id {
				kind, hi = q.Type, q.Range
				e.Data.QuestionText = first(q.Headline["default"].String(), q.Headline[r.Language.String()].String())
				e.Data.FieldLabel = e.Data.QuestionText
			}
		}
		readFormbricks(&e, r.Data[id], kind, hi)
		f.add(e, "country", r.Meta.Country.String(), "url", r.Meta.URL.String())
	}
	return f.events, nil
}

// readFormbricks puts one answer into the event: a number, a text, or a list of choices.
func readFormbricks(e *schemas.Event, answer json.RawMessage, kind string, hi float64) {
	var choices []string
	if json.Unmarshal(answer, &choices) == nil && len(choices) > 0 {
		e.Data.FieldType, e.Data.Text = "categorical", strings.Join(choices, "; ")
		return
	}
	var s scalar
	if json.Unmarshal(answer, &s) != nil || s == "" {
		return
	}
	if _, isNumber := s.number(); !isNumber || answer[0] == '"' {
		switch kind {
		case "consent", "contactInfo", "address", "fileUpload", "cta", "cal": // no words of feedback
			return
		case "multipleChoiceSingle", "pictureSelection":
			e.Data.FieldType = "categorical"
		}
		e.Data.Text = s.String()
		return
	}
	e.Kind = schemas.RatingSubmitted
	switch {
	case strings.Contains(kind, "nps"):
		rate(&e.Data, s, "nps", 0, 10)
	case kind == "rating" && hi > 1:
		rate(&e.Data, s, "rating", 1, hi)
	case strings.Contains(kind, "csat"):
		rate(&e.Data, s, "csat", 1, 5)
	case strings.Contains(kind, "ces"):
		rate(&e.Data, s, "ces", 1, 7)
	default:
		if x, ok := s.number(); ok {
			e.Data.Number, e.Data.FieldType = &x, "number"
		}
	}
}
