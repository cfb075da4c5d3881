package channels

import "github.com/earshot/earshot/schemas"

type whatsappMessage struct {
	ID, From, Timestamp, Type scalar
	Text                      struct{ Body scalar }
	Image, Video, Document    struct{ Caption scalar }
	Button                    struct{ Text scalar }
	Interactive               struct {
		Button struct{ Title scalar } `json:"button_reply"`
		List   struct{ Title scalar } `json:"list_reply"`
	}
	Context struct{ ID scalar }
}

// whatsApp reads the messages of a Cloud API notification, which nests them three deep. Notices of delivery come to the
// same address and tell of no words. A telephone number names the customer on every channel that has it.
func whatsApp(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Metadata struct {
						Phone scalar `json:"phone_number_id"`
					}
					Messages []whatsappMessage
				}
			}
		}
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for _, entry := range b.Entry {
		for _, change := range entry.Changes {
			v := &change.Value
			for i := range v.Messages {
				m := &v.Messages[i]
				if m.ID == "" || m.From == "" {
					continue
				}
				e := d.event(m.ID.String(), schemas.MessagePosted, "chat", when(m.Timestamp.String()))
				e.Data.Text = first(m.Text.Body.String(), m.Image.Caption.String(), m.Video.Caption.String(), m.Document.Caption.String(),
					m.Button.Text.String(), m.Interactive.Button.Title.String(), m.Interactive.List.Title.String())
				e.Data.ActorKind, e.Data.CustomerID = "customer", "+"+m.From.String()
				e.Data.ConversationID = schemas.KeyToken(d.Tenant, v.Metadata.Phone.String()+"/"+m.From.String())
				e.Data.SourceID, e.Data.InReplyTo = v.Metadata.Phone.String(), m.Context.ID.String()
				f.add(e, "message_type", m.Type.String())
			}
		}
	}
	return f.events, nil
}
