package channels

import "github.com/earshot/earshot/schemas"

// appStore reads a page of customer reviews of the App Store Connect API. A nickname is no identity, so nobody is named.
func appStore(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Data []struct {
			ID         scalar
			Attributes struct {
				Rating, Title, Body, Territory scalar
				Created                        scalar `json:"createdDate"`
			}
		}
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for _, r := range b.Data {
		if r.ID == "" {
			continue
		}
		e := d.event(r.ID.String(), schemas.ReviewPublished, "review", when(r.Attributes.Created.String()))
		e.Data.Text, e.Data.ProductID = titled(r.Attributes.Title.String(), r.Attributes.Body.String()), d.Source
		rate(&e.Data, r.Attributes.Rating, "rating", 1, 5)
		f.add(e, "territory", r.Attributes.Territory.String())
	}
	return f.events, nil
}

// titled puts a title before the words: it is the customer's as well, and often the clearest part.
func titled(title, body string) string {
	if title == "" || body == title {
		return body
	}
	return title + "\n" + body
}
