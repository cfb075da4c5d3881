package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

// zendeskBody is what the trigger's body template sends (the admin pastes it; see testdata/samples/zendesk), and what a
// CSAT survey response holds.
type zendeskBody struct {
	Ticket struct {
		ID, Subject, Via, Tags, Group, Priority, URL scalar
	}
	Requester    struct{ ID, Locale scalar }
	Satisfaction struct{ Score, Comment, Reason scalar }
	Comment      struct {
		ID, Body scalar
		Public   *bool
		AuthorID scalar `json:"author_id"`
	}
	UpdatedAt scalar         `json:"updated_at"`
	Survey    *zendeskSurvey `json:"survey_response"`
}

type zendeskSurvey struct {
	ID          scalar
	ResponderID scalar   `json:"responder_id"`
	Subjects    []string `json:"subject_zrns"`
	SurveyID    scalar   `json:"survey_id"`
	UpdatedAt   scalar   `json:"updated_at"`
	Answers     []struct {
		Type, Rating, Value scalar
		Question            struct{ Alias scalar }
	}
}

// zendesk reads what a trigger pushes about a ticket: a satisfaction rating, a public comment, or a survey response.
func zendesk(d *Delivery) ([]schemas.Event, error) {
	var z zendeskBody
	if err := d.decode(&z); err != nil {
		return nil, err
	}
	f := finds{d: d}
	if z.Survey != nil {
		z.Survey.add(&f)
		return f.events, nil
	}
	ticket := z.Ticket.ID.String()
	e := d.event("csat/"+ticket, schemas.RatingSubmitted, "support", when(z.UpdatedAt.String()))
	e.Data.CustomerID, e.Data.Language = d.scoped(z.Requester.ID.String()), z.Requester.Locale.String()
	e.Data.CaseID, e.Data.TeamID, e.Data.URI = d.local(ticket), z.Ticket.Group.String(), link(z.Ticket.URL.String())
	meta := []string{"via", z.Ticket.Via.String(), "tags", z.Ticket.Tags.String(), "priority", z.Ticket.Priority.String()}
	switch score := z.Satisfaction.Score.String(); {
	case ticket == "":
		return nil, nil
	case score != "":
		rateWord(&e.Data, score)
		if e.Data.Number == nil { // offered, but not answered
			return nil, nil
		}
		e.Data.Text = z.Satisfaction.Comment.String()
		meta = append(meta, "reason", z.Satisfaction.Reason.String())
	case z.Comment.Body != "":
		e.ID, e.Kind = "comment/"+first(z.Comment.ID.String(), ticket+"@"+z.UpdatedAt.String()), schemas.MessagePosted
		e.Data.Text, e.Data.ConversationID, e.Data.ActorKind = replyText(z.Comment.Body.String()), d.local(ticket), "customer"
		if z.Comment.AuthorID != "" && z.Comment.AuthorID != z.Requester.ID {
			e.Data.ActorKind, e.Data.AgentID = "agent", z.Comment.AuthorID.String()
		}
		if z.Comment.Public != nil && !*z.Comment.Public {
			e.Data.Visibility = "internal"
		}
	default:
		return nil, nil
	}
	f.add(e, meta...)
	return f.events, nil
}

// add takes the rating of a survey response together with its words. On the scale of five Zendesk counts 4 and 5 as good.
func (s *zendeskSurvey) add(f *finds) {
	e := f.d.event("survey/"+s.ID.String(), schemas.RatingSubmitted, "survey", when(s.UpdatedAt.String()))
	e.Data.CustomerID, e.Data.SourceID, e.Data.SubmissionID = f.d.scoped(s.ResponderID.String()), s.SurveyID.String(), s.ID.String()
	for _, zrn := range s.Subjects {
		if ticket, ok := strings.CutPrefix(zrn, "zen:ticket:"); ok {
			e.Data.CaseID = f.d.local(ticket)
		}
	}
	for _, a := range s.Answers {
		switch {
		case a.Rating != "":
			rate(&e.Data, a.Rating, "csat", 1, 5)
			e.Data.FieldID = a.Question.Alias.String()
		case a.Value != "" && e.Data.Text == "":
			e.Data.Text = a.Value.String()
		}
	}
	if s.ID != "" && e.Data.Number != nil {
		f.add(e)
	}
}
