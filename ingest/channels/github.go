package channels

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/earshot/earshot/schemas"
)

type githubPost struct {
	ID, Number, Title, Body scalar
	URL                     scalar `json:"html_url"`
	Created                 scalar `json:"created_at"`
	Updated                 scalar `json:"updated_at"`
	User                    struct{ Login, ID, Type scalar }
	Labels                  []struct{ Name scalar }
	Reactions               struct {
		Total scalar `json:"total_count"`
	}
	Pull any `json:"pull_request"`
}

// templateComment is what issue templates tell the writer.
var templateComment = regexp.MustCompile(`(?s)<!--.*?-->`)

// github reads issues, discussions and comments on them, as the webhook brings them and as the API lists them. A pull
// request is work, not feedback; of actions, only what brings new words counts.
func github(d *Delivery) ([]schemas.Event, error) {
	f := finds{d: d}
	if b := bytes.TrimSpace(d.Body); len(b) > 0 && b[0] == '[' {
		var list []githubPost
		if err := d.decode(&list); err != nil {
			return nil, err
		}
		for i := range list {
			f.addGithub("issue", d.Source, &list[i], &list[i], "")
		}
		return f.events, nil
	}
	var b struct {
		Action                     string
		Issue, Discussion, Comment *githubPost
		Repository                 struct {
			Name scalar `json:"full_name"`
		}
	}
	if err := d.decode(&b); err != nil {
		return nil, err
	}
	about, kind := b.Issue, "issue"
	if b.Discussion != nil {
		about, kind = b.Discussion, "discussion"
	}
	if about == nil {
		return nil, nil
	}
	switch {
	case b.Comment != nil && (b.Action == "created" || b.Action == "edited" || b.Action == "deleted"):
		f.addGithub(kind+"-comment", b.Repository.Name.String(), about, b.Comment, b.Action)
	case b.Comment == nil && (b.Action == "opened" || b.Action == "created" || b.Action == "edited" || b.Action == "deleted"):
		f.addGithub(kind, b.Repository.Name.String(), about, about, b.Action)
	}
	return f.events, nil
}

func (f *finds) addGithub(kind, repository string, about, p *githubPost, action string) {
	if p.ID == "" || about.Pull != nil {
		return
	}
	e := f.d.event(kind+"/"+p.ID.String(), schemas.FeedbackReceived, "support", when(p.Created.String()))
	e.Data.Text = titled(p.Title.String(), replyText(templateComment.ReplaceAllString(p.Body.String(), "")))
	e.Data.ConversationID, e.Data.SourceName = repository+"#"+about.Number.String(), repository
	e.Data.CustomerID, e.Data.URI = f.d.scoped(p.User.ID.String()), p.URL.String()
	if p.User.Type == "Bot" || strings.HasSuffix(p.User.Login.String(), "[bot]") {
		e.Data.ActorKind, e.Data.CustomerID, e.Data.AgentID = "bot", "", p.User.Login.String()
	}
	changed := ""
	var labels []string
	for _, l := range about.Labels {
		labels = append(labels, l.Name.String())
	}
	switch action {
	case "deleted":
		f.deleted(e, p.Updated.String())
		return
	case "edited":
		changed = p.Updated.String()
	}
	f.revised(e, changed, "labels", strings.Join(labels, ", "), "reactions", p.Reactions.Total.String())
}
