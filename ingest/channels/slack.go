package channels

import (
	"html"
	"regexp"

	"github.com/earshot/earshot/schemas"
)

type slackMessage struct {
	Type, Subtype, User, Text, TS, Channel scalar
	Thread                                 scalar `json:"thread_ts"`
	Bot                                    scalar `json:"bot_id"`
	Edited                                 struct{ TS scalar }
	Message                                *slackMessage // of an edit
	Previous                               *slackMessage `json:"previous_message"` // of a deletion
	Deleted                                scalar        `json:"deleted_ts"`
}

// slackMarkup is <https://…|label>, <@user>, <#channel|name> and <!here>.
var slackMarkup = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

// slack reads messages of the Events API. An edit takes the place of the message, a deletion takes it back; joins and the like are no words
// of anybody; a bot's are marked as a bot's.
func slack(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Type  string
		Team  scalar `json:"team_id"`
		Event slackMessage
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	m := &b.Event
	if b.Type != "event_callback" || m.Type != "message" && m.Type != "app_mention" {
		return nil, nil
	}
	room, changed := m.Channel, ""
	f := finds{d: d}
	switch m.Subtype {
	case "", "thread_broadcast", "file_share", "me_message", "bot_message":
	case "message_changed":
		if m.Message == nil {
			return nil, nil
		}
		m = m.Message
		changed = m.Edited.TS.String() // without it only a link was unfolded
	case "message_deleted":
		if m.Previous != nil && m.Deleted != "" {
			e := d.event(b.Team.String()+"/"+room.String()+"/"+m.Deleted.String(), schemas.MessagePosted, "chat", when(m.TS.String()))
			e.Data.ConversationID = room.String() + "/" + first(m.Previous.Thread.String(), m.Deleted.String())
			e.Data.CustomerID = d.scoped(m.Previous.User.String())
			f.deleted(e, m.TS.String())
		}
		return f.events, nil
	default:
		return nil, nil
	}
	if m.TS == "" {
		return nil, nil
	}
	e := d.event(b.Team.String()+"/"+room.String()+"/"+m.TS.String(), schemas.MessagePosted, "chat", when(m.TS.String()))
	e.Data.Text = slackText(m.Text.String())
	e.Data.ConversationID = room.String() + "/" + first(m.Thread.String(), m.TS.String())
	e.Data.ActorKind, e.Data.CustomerID = "customer", d.scoped(m.User.String())
	if m.Bot != "" || m.Subtype == "bot_message" {
		e.Data.ActorKind, e.Data.CustomerID, e.Data.AgentID = "bot", "", m.Bot.String()
	}
	f.revised(e, changed, "edited", m.Edited.TS.String())
	return f.events, nil
}

// slackText is what a reader sees of a message.
func slackText(s string) string {
	return html.UnescapeString(slackMarkup.ReplaceAllStringFunc(s, func(m string) string {
		part := slackMarkup.FindStringSubmatch(m)
		switch {
		case part[2] != "":
			return part[2]
		case part[1] != "" && (part[1][0] == '@' || part[1][0] == '#' || part[1][0] == '!'):
			return part[1][:1] + "…" // an id, which says nothing to a reader
		}
		return part[1]
	}))
}
