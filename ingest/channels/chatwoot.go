package channels

import "github.com/earshot/earshot/schemas"

type chatwootBody struct {
	Event       string
	ID          scalar
	Content     scalar
	ContentType string `json:"content_type"`
	MessageType scalar `json:"message_type"`
	Private     bool
	CreatedAt   scalar `json:"created_at"`
	Inbox       struct{ ID, Name scalar }
	Sender      struct{ ID, Type scalar }
	Attributes  struct {
		Submitted struct {
			CSAT struct {
				Rating   scalar
				Feedback scalar `json:"feedback_message"`
			} `json:"csat_survey_response"`
		} `json:"submitted_values"`
	} `json:"content_attributes"`
	Conversation struct {
		ID      scalar
		Contact struct {
			ID scalar `json:"contact_id"`
		} `json:"contact_inbox"`
	}
}

// chatwoot reads satisfaction answers, which are updates of the message that asked, and the messages of a conversation.
// Private notes are internal; what a bot said is marked as a bot's.
func chatwoot(d *Delivery) ([]schemas.Event, error) {
	var b chatwootBody
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	if b.ID == "" || b.Conversation.ID == "" || b.Event != "message_created" && b.Event != "message_updated" {
		return nil, nil
	}
	f := finds{d: d}
	e := d.event("message/"+b.ID.String(), schemas.MessagePosted, "chat", when(b.CreatedAt.String()))
	e.Data.SourceID, e.Data.SourceName, e.Data.ConversationID = b.Inbox.ID.String(), b.Inbox.Name.String(), d.local(b.Conversation.ID.String())
	e.Data.CustomerID = d.scoped(b.Conversation.Contact.ID.String())
	if b.ContentType == "input_csat" {
		csat := &b.Attributes.Submitted.CSAT
		e.ID, e.Kind, e.Data.Text = "csat/"+b.ID.String(), schemas.RatingSubmitted, csat.Feedback.String()
		if rate(&e.Data, csat.Rating, "csat", 1, 5); e.Data.Number != nil {
			f.add(e)
		}
		return f.events, nil
	}
	e.Data.Text = b.Content.String()
	switch b.MessageType {
	case "incoming", "0":
		e.Data.ActorKind, e.Data.CustomerID = "customer", first(e.Data.CustomerID, d.scoped(b.Sender.ID.String()))
	case "outgoing", "1":
		e.Data.ActorKind, e.Data.AgentID = "agent", b.Sender.ID.String()
		if b.Sender.Type == "agent_bot" {
			e.Data.ActorKind = "bot"
		}
	default: // activity and templates are Chatwoot's own words
		return nil, nil
	}
	if b.Private {
		e.Data.Visibility = "internal"
	}
	f.add(e)
	return f.events, nil
}
