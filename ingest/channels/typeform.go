package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

type typeformField struct {
	ID, Ref, Type, Title string
	Properties           struct {
		StartAtOne bool `json:"start_at_one"`
		Steps      int
	}
}

type typeformBody struct {
	Type     string `json:"event_type"`
	Response struct {
		FormID      scalar `json:"form_id"`
		Token       scalar
		SubmittedAt scalar `json:"submitted_at"`
		Hidden      map[string]scalar
		Definition  struct {
			Title  string
			Fields []typeformField
		}
		Answers []typeformAnswer
	} `json:"form_response"`
}

type typeformAnswer struct {
	Type    string
	Text    scalar
	Number  scalar
	Boolean *bool
	Date    scalar
	Choice  struct{ Label, Other scalar }
	Choices struct {
		Labels []string
		Other  scalar
	}
	Email scalar
	Field typeformField
}

// typeform reads a submission: one event for each answer, joined to its question by the question's ref. Answers that are
// contact data are not kept; an e-mail address names the customer when no hidden field does.
func typeform(d *Delivery) ([]schemas.Event, error) {
	var b typeformBody
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	r := &b.Response
	if b.Type != "form_response" || r.Token == "" {
		return nil, nil
	}
	fields := map[string]*typeformField{}
	for i := range r.Definition.Fields {
		q := &r.Definition.Fields[i]
		fields[q.Ref], fields[q.ID] = q, q
	}
	customer := first(r.Hidden["user_id"].String(), r.Hidden["customer_id"].String(), r.Hidden["customer"].String())
	for _, a := range r.Answers {
		if a.Type == "email" && customer == "" {
			customer = address(first(a.Email.String(), r.Hidden["email"].String()))
		}
	}
	f := finds{d: d}
	for _, a := range r.Answers {
		q := fields[first(a.Field.Ref, a.Field.ID)]
		if q == nil {
			q = &a.Field
		}
		e := d.event(r.Token.String()+"/"+first(q.Ref, q.ID), schemas.FeedbackReceived, "survey", when(r.SubmittedAt.String()))
		e.Data.SourceID, e.Data.SourceName, e.Data.SubmissionID = r.FormID.String(), r.Definition.Title, r.Token.String()
		e.Data.FieldID, e.Data.FieldLabel, e.Data.QuestionText = first(q.Ref, q.ID), q.Title, q.Title
		e.Data.CustomerID, e.Data.OrderID = customer, r.Hidden["order_id"].String()
		a.read(&e, q)
		f.add(e)
	}
	return f.events, nil
}

// read puts the answer into the event as its question means it.
func (a *typeformAnswer) read(e *schemas.Event, q *typeformField) {
	d := &e.Data
	switch kind := first(q.Type, a.Field.Type); a.Type {
	case "text":
		d.FieldType, d.Text = "text", a.Text.String()
	case "number":
		e.Kind = schemas.RatingSubmitted
		lo, hi := 1.0, float64(q.Properties.Steps)
		switch kind {
		case "nps":
			rate(d, a.Number, "nps", 0, 10)
			return
		case "rating":
			if hi == 0 {
				hi = 5
			}
		case "opinion_scale":
			if hi == 0 {
				hi = 11
			}
			if !q.Properties.StartAtOne {
				lo, hi = 0, hi-1
			}
		default: // a count or an amount, no rating
			if x, ok := a.Number.number(); ok {
				d.Number, d.FieldType = &x, "number"
			}
			return
		}
		rate(d, a.Number, scaleKind(q.Title, lo, hi), lo, hi)
	case "boolean":
		if a.Boolean != nil {
			d.Boolean, d.FieldType, d.Text = a.Boolean, "boolean", map[bool]string{true: "yes", false: "no"}[*a.Boolean]
		}
	case "choice":
		d.FieldType, d.Text = "categorical", first(a.Choice.Label.String(), a.Choice.Other.String())
	case "choices":
		d.FieldType, d.Text = "categorical", strings.Join(a.Choices.Labels, "; ")
		if other := a.Choices.Other.String(); other != "" {
			d.Text = strings.TrimPrefix(d.Text+"; "+other, "; ")
		}
	}
}
