package channels

import "github.com/earshot/earshot/schemas"

type discoursePost struct {
	ID      scalar
	User    scalar `json:"user_id"`
	Name    scalar `json:"username"`
	Created scalar `json:"created_at"`
	Updated scalar `json:"updated_at"`
	Cooked  string
	Number  scalar `json:"post_number"`
	Type    scalar `json:"post_type"`
	Topic   scalar `json:"topic_id"`
	Slug    scalar `json:"topic_slug"`
	Title   scalar `json:"topic_title"`
	Section scalar `json:"category_slug"`
	Reads   scalar
}

// discourse reads a post that the webhook brings, and the list of the newest posts. Only the regular ones (type 1) are
// somebody's words; the first post of a topic is read with the topic's title.
func discourse(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Post   *discoursePost
		Latest []discoursePost `json:"latest_posts"`
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	if b.Post != nil {
		b.Latest = append(b.Latest, *b.Post)
	}
	f := finds{d: d}
	base := d.Header.Get("X-Discourse-Instance")
	for i := range b.Latest {
		p := &b.Latest[i]
		if p.ID == "" || p.Type != "1" {
			continue
		}
		e := d.event("post/"+p.ID.String(), schemas.FeedbackReceived, "social", when(p.Created.String()))
		e.Data.Text, e.Data.ConversationID = htmlText(p.Cooked), d.local(p.Topic.String())
		if p.Number == "1" {
			e.Data.Text = titled(p.Title.String(), e.Data.Text)
		}
		e.Data.CustomerID, e.Data.SourceName = d.scoped(first(p.User.String(), p.Name.String())), p.Section.String()
		if base != "" && p.Slug != "" {
			e.Data.URI = base + "/t/" + p.Slug.String() + "/" + p.Topic.String() + "/" + p.Number.String()
		}
		if p.Name == "system" || p.Name == "discobot" || len(p.User) > 0 && p.User[0] == '-' {
			e.Data.ActorKind, e.Data.CustomerID = "bot", ""
		}
		if x, ok := p.Reads.number(); ok {
			e.Data.Audience = &x
		}
		switch d.Header.Get("X-Discourse-Event") {
		case "post_edited":
			f.revised(e, p.Updated.String())
		case "post_destroyed":
			f.deleted(e, p.Updated.String())
		default:
			f.add(e)
		}
	}
	return f.events, nil
}
