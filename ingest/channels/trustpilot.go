package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

type trustpilotReview struct {
	ID, Language, Title, Text, Stars, Link scalar
	Reference                              scalar `json:"referenceId"`
	Created                                scalar `json:"createdAt"`
	Updated                                scalar `json:"updatedAt"`
	Verified                               scalar `json:"isVerified"`
	Location                               scalar `json:"locationId"`
	Consumer                               struct{ ID scalar }
	Tags                                   []struct{ Value scalar }
}

// trustpilot reads the webhook's list of events and a page of reviews of the API. A change does not always say when it was
// made: then it is named by what the review says now, so that the same change sent again is a repetition.
func trustpilot(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Events []struct {
			Name string           `json:"eventName"`
			Data trustpilotReview `json:"eventData"`
		}
		Reviews []trustpilotReview
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for i := range b.Events {
		action := b.Events[i].Name[strings.LastIndexByte(b.Events[i].Name, '-')+1:]
		if r := &b.Events[i].Data; action == "created" || action == "updated" || action == "deleted" {
			r.add(&f, action)
		}
	}
	for i := range b.Reviews {
		b.Reviews[i].add(&f, "created")
	}
	return f.events, nil
}

func (r *trustpilotReview) add(f *finds, action string) {
	if r.ID == "" {
		return
	}
	e := f.d.event(r.ID.String(), schemas.ReviewPublished, "review", when(r.Created.String()))
	e.Data.Text, e.Data.Language, e.Data.OrderID = titled(r.Title.String(), r.Text.String()), r.Language.String(), r.Reference.String()
	e.Data.CustomerID, e.Data.URI = f.d.scoped(r.Consumer.ID.String()), r.Link.String()
	rate(&e.Data, r.Stars, "rating", 1, 5)
	var tags []string
	for _, t := range r.Tags {
		tags = append(tags, t.Value.String())
	}
	changed := ""
	switch action {
	case "deleted":
		f.deleted(e, r.Updated.String())
		return
	case "updated":
		changed = first(r.Updated.String(), schemas.KeyToken(f.d.Tenant, r.Stars.String()+"\n"+e.Data.Text))
	}
	f.revised(e, changed, "verified", r.Verified.String(), "location", r.Location.String(), "tags", strings.Join(tags, " "))
}
