package channels

import "github.com/earshot/earshot/schemas"

type intercomPart struct {
	ID        scalar
	Body      scalar
	CreatedAt scalar `json:"created_at"`
	Author    struct{ Type, ID scalar }
}

type intercomBody struct {
	ID        scalar
	Topic     string
	CreatedAt scalar `json:"created_at"`
	Data      struct {
		Item struct {
			ID     scalar
			Source intercomPart
			Parts  struct {
				List []intercomPart `json:"conversation_parts"`
			} `json:"conversation_parts"`
			Rating struct {
				Rating    scalar
				Remark    scalar
				CreatedAt scalar `json:"created_at"`
				Contact   struct {
					ID       scalar
					External scalar `json:"external_id"`
				}
				Teammate struct{ ID scalar }
			} `json:"conversation_rating"`
		}
	}
}

// intercom reads ratings of conversations (conversation.rating.added) and what customers write in them. Bodies are HTML.
func intercom(d *Delivery) ([]schemas.Event, error) {
	var b intercomBody
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	item := &b.Data.Item
	conversation := item.ID.String()
	if conversation == "" {
		return nil, nil
	}
	switch b.Topic {
	case "conversation.rating.added":
		r := &item.Rating
		e := d.event("rating/"+conversation+"/"+r.CreatedAt.String(), schemas.RatingSubmitted, "chat",
			when(first(r.CreatedAt.String(), b.CreatedAt.String())))
		rate(&e.Data, r.Rating, "csat", 1, 5)
		if e.Data.Number == nil {
			return nil, nil
		}
		e.Data.Text, e.Data.ConversationID, e.Data.AgentID = htmlText(r.Remark.String()), d.local(conversation), r.Teammate.ID.String()
		e.Data.CustomerID = first(r.Contact.External.String(), d.scoped(r.Contact.ID.String()))
		f.add(e)
	case "conversation.user.created":
		f.addIntercom(conversation, &item.Source, b.CreatedAt)
	case "conversation.user.replied":
		for i := range item.Parts.List {
			f.addIntercom(conversation, &item.Parts.List[i], b.CreatedAt)
		}
	}
	return f.events, nil
}

func (f *finds) addIntercom(conversation string, p *intercomPart, at scalar) {
	e := f.d.event(conversation+"/"+first(p.ID.String(), "source"), schemas.MessagePosted, "chat", when(first(p.CreatedAt.String(), at.String())))
	e.Data.Text, e.Data.ConversationID, e.Data.CustomerID = htmlText(p.Body.String()), f.d.local(conversation), f.d.scoped(p.Author.ID.String())
	e.Data.ActorKind = map[string]string{"user": "customer", "lead": "customer", "contact": "customer", "bot": "bot", "admin": "agent"}[p.Author.Type.String()]
	if e.Data.ActorKind != "customer" {
		e.Data.ActorKind, e.Data.AgentID, e.Data.CustomerID = first(e.Data.ActorKind, "system"), p.Author.ID.String(), ""
	}
	f.add(e)
}
