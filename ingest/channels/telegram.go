package channels

import "github.com/earshot/earshot/schemas"

type telegramMessage struct {
	ID   scalar `json:"message_id"`
	Date scalar
	From struct {
		ID       scalar
		Bot      bool   `json:"is_bot"`
		Language scalar `json:"language_code"`
	}
	Chat          struct{ ID, Type scalar }
	Text, Caption scalar
	Edited        scalar              `json:"edit_date"`
	Sender        struct{ ID scalar } `json:"sender_chat"`
}

// telegram reads an update of the Bot API: messages and channel posts, new or edited. Other updates tell of no words.
func telegram(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Message *telegramMessage
		Edited  *telegramMessage `json:"edited_message"`
		Post    *telegramMessage `json:"channel_post"`
		EditedP *telegramMessage `json:"edited_channel_post"`
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for _, m := range []*telegramMessage{b.Message, b.Edited, b.Post, b.EditedP} {
		if m == nil || m.ID == "" {
			continue
		}
		chat := m.Chat.ID.String()
		e := d.event(chat+"/"+m.ID.String(), schemas.MessagePosted, "chat", when(m.Date.String()))
		e.Data.Text, e.Data.ConversationID, e.Data.Language = first(m.Text.String(), m.Caption.String()), d.local(chat), m.From.Language.String()
		e.Data.ActorKind, e.Data.CustomerID = "customer", d.scoped(first(m.From.ID.String(), m.Sender.ID.String()))
		if m.From.Bot {
			e.Data.ActorKind, e.Data.CustomerID, e.Data.AgentID = "bot", "", m.From.ID.String()
		}
		f.revised(e, m.Edited.String(), "edited", m.Edited.String(), "chat_type", m.Chat.Type.String())
	}
	return f.events, nil
}
