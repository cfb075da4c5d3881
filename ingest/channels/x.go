package channels

import (
	"html"

	"github.com/earshot/earshot/schemas"
)

// xMentions reads posts of the Account Activity API that speak of the account. Its own posts are not a customer's words.
func xMentions(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		For    scalar `json:"for_user_id"`
		Tweets []struct {
			ID       scalar `json:"id_str"`
			Created  scalar `json:"created_at"`
			MS       scalar `json:"timestamp_ms"`
			Text     scalar
			Extended struct {
				Full scalar `json:"full_text"`
			} `json:"extended_tweet"`
			Lang    scalar
			ReplyTo scalar `json:"in_reply_to_status_id_str"`
			Likes   scalar `json:"favorite_count"`
			Reposts scalar `json:"retweet_count"`
			User    struct {
				ID        scalar `json:"id_str"`
				Followers scalar `json:"followers_count"`
			}
		} `json:"tweet_create_events"`
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for _, t := range b.Tweets {
		if t.ID == "" || t.User.ID == b.For {
			continue
		}
		e := d.event(t.ID.String(), schemas.MentionSeen, "social", when(first(t.MS.String(), t.Created.String())))
		e.Data.Text, e.Data.Language = html.UnescapeString(first(t.Extended.Full.String(), t.Text.String())), t.Lang.String()
		e.Data.CustomerID, e.Data.InReplyTo = d.scoped(t.User.ID.String()), t.ReplyTo.String()
		e.Data.URI = "https://x.com/i/status/" + t.ID.String()
		if x, ok := t.User.Followers.number(); ok {
			e.Data.Audience = &x
		}
		f.add(e, "likes", t.Likes.String(), "reposts", t.Reposts.String())
	}
	return f.events, nil
}
