package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

// googlePlay reads a page of reviews of the Android Publisher API. A text is the title, a tab and the body; the developer's
// answer is not the customer's.
func googlePlay(d *Delivery) ([]schemas.Event, error) {
	var b struct {
		Reviews []struct {
			ID       scalar `json:"reviewId"`
			Comments []struct {
				User *struct {
					Text     string
					Modified struct{ Seconds scalar } `json:"lastModified"`
					Stars    scalar                   `json:"starRating"`
					Language scalar                   `json:"reviewerLanguage"`
					Version  scalar                   `json:"appVersionName"`
					Device   scalar
					Android  scalar `json:"androidOsVersion"`
					Up       scalar `json:"thumbsUpCount"`
					Down     scalar `json:"thumbsDownCount"`
				} `json:"userComment"`
			}
		}
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	f := finds{d: d}
	for _, r := range b.Reviews {
		for _, c := range r.Comments {
			if c.User == nil || r.ID == "" {
				continue
			}
			e := d.event(r.ID.String(), schemas.ReviewPublished, "review", when(c.User.Modified.Seconds.String()))
			title, body, tab := strings.Cut(c.User.Text, "\t")
			if !tab {
				title, body = "", c.User.Text
			}
			e.Data.Text, e.Data.ProductID, e.Data.Language = titled(title, body), d.Source, c.User.Language.String()
			rate(&e.Data, c.User.Stars, "rating", 1, 5)
			f.add(e, "app_version", c.User.Version.String(), "device", c.User.Device.String(), "os_version", c.User.Android.String(),
				"likes", c.User.Up.String(), "dislikes", c.User.Down.String())
		}
	}
	return f.events, nil
}
