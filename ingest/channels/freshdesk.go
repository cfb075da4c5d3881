package channels

import (
	"bytes"
	"maps"
	"slices"

	"github.com/earshot/earshot/schemas"
)

type freshdeskRating struct {
	ID       scalar
	SurveyID scalar `json:"survey_id"`
	UserID   scalar `json:"user_id"`
	AgentID  scalar `json:"agent_id"`
	GroupID  scalar `json:"group_id"`
	TicketID scalar `json:"ticket_id"`
	Feedback scalar
	Ratings  map[string]scalar
	Created  scalar `json:"created_at"`
	Webhook  *struct {
		TicketID scalar `json:"ticket_id"`
		Rating   scalar `json:"ticket_survey_rating"`
		Comment  scalar `json:"ticket_latest_public_comment"`
		Email    scalar `json:"ticket_requester_email"`
	} `json:"freshdesk_webhook"`
}

// freshdesk reads satisfaction ratings as the API lists them, one or a list, and the webhook of an automation.
func freshdesk(d *Delivery) ([]schemas.Event, error) {
	var list []freshdeskRating
	if b := bytes.TrimSpace(d.Body); len(b) > 0 && b[0] == '[' {
		if err := d.decode(&list); err != nil {
			return nil, err
		}
	} else {
		list = make([]freshdeskRating, 1)
		if err := d.decode(&list[0]); err != nil {
			return nil, err
		}
	}
	f := finds{d: d}
	for i := range list {
		r := &list[i]
		if w := r.Webhook; w != nil {
			e := d.event("csat/"+w.TicketID.String(), schemas.RatingSubmitted, "support", d.Received)
			e.Data.CaseID, e.Data.CustomerID, e.Data.Text = d.local(w.TicketID.String()), address(w.Email.String()), replyText(w.Comment.String())
			rateWord(&e.Data, w.Rating.String())
			if w.TicketID != "" && e.Data.Number != nil {
				f.add(e)
			}
			continue
		}
		if r.ID == "" {
			continue
		}
		e := d.event("csat/"+r.ID.String(), schemas.RatingSubmitted, "support", when(r.Created.String()))
		e.Data.CaseID, e.Data.CustomerID, e.Data.SourceID = d.local(r.TicketID.String()), d.scoped(r.UserID.String()), r.SurveyID.String()
		e.Data.AgentID, e.Data.TeamID, e.Data.Text = r.AgentID.String(), r.GroupID.String(), r.Feedback.String()
		e.Data.SubmissionID, e.Data.FieldID = r.ID.String(), "default_question"
		rateFreshdesk(&e.Data, r.Ratings["default_question"])
		if e.Data.Number != nil {
			f.add(e, "raw", r.Ratings["default_question"].String())
		}
		// Each further question is an answer of its own to the same ticket.
		for _, name := range slices.Sorted(maps.Keys(r.Ratings)) {
			if name == "default_question" {
				continue
			}
			more := e
			more.ID, more.Data.FieldID, more.Data.Text, more.Data.Number = e.ID+"/"+name, name, "", nil
			rateFreshdesk(&more.Data, r.Ratings[name])
			if more.Data.Number != nil {
				f.add(more, "raw", r.Ratings[name].String())
			}
		}
	}
	return f.events, nil
}
