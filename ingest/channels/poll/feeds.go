package poll

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// feed is how the API of one channel is asked, as the provider documents it.
type feed struct {
	base    string // standard base URL; "": each customer has their own, which must be given
	account string // what the account is, for messages
	// first is path and query of the first page; since is the time from which on, zero: from the beginning.
	first func(account string, since time.Time) string
	// next is the link to the page after the one with this body, asked for with u; "": there is none.
	next    func(u *url.URL, header http.Header, body []byte) string
	sign    func(r *http.Request, c *Credential, now time.Time) error
	overlap time.Duration // how late something may show up with an earlier time
	newest  bool          // pages come newest first, so that a page of old ones ends the round
	every   time.Duration // standard interval
}

// feeds is the table of all channels that can be polled.
var feeds = map[string]feed{
	"appstore": {base: "https://api.appstoreconnect.apple.com", account: "the app's id", overlap: 72 * time.Hour, every: 30 * time.Minute,
		first: func(account string, _ time.Time) string {
			return "/v1/apps/" + account + "/customerReviews?sort=-createdDate&limit=200"
		},
		next: member("links", "next"), sign: appStoreToken, newest: true},
	// Play shows the last seven days only and nothing without words, so a day without polling is close to a loss.
	"googleplay": {base: "https://androidpublisher.googleapis.com", account: "the package's name", overlap: 72 * time.Hour, every: time.Hour,
		first: func(account string, _ time.Time) string {
			return "/androidpublisher/v3/applications/" + account + "/reviews?maxResults=100"
		},
		next: tokenPage("token", "tokenPagination", "nextPageToken"), sign: bearer},
	"trustpilot": {base: "https://api.trustpilot.com", account: "the business unit's id", overlap: 24 * time.Hour, every: 15 * time.Minute,
		first: func(account string, _ time.Time) string {
			return "/v1/business-units/" + account + "/reviews?orderBy=createdat.desc&perPage=100&page=1"
		},
		next: nextNumber("reviews"), sign: header("apikey"), newest: true},
	"discourse": {account: "any name", overlap: time.Hour, every: 5 * time.Minute,
		first: func(string, time.Time) string { return "/posts.json" },
		next:  beforeLowest, sign: header("Api-Key"), newest: true},
	"github": {base: "https://api.github.com", account: "owner/repository", overlap: time.Hour, every: 5 * time.Minute,
		first: func(account string, since time.Time) string {
			return "/repos/" + account + "/issues?state=all&sort=created&direction=desc&per_page=100&page=1" + sinceParameter("since", since)
		},
		next: linkHeader, sign: bearer, newest: true},
	"freshdesk": {account: "any name", overlap: time.Hour, every: 10 * time.Minute,
		first: func(_ string, since time.Time) string {
			return "/api/v2/surveys/satisfaction_ratings?per_page=100&page=1" + sinceParameter("created_since", since)
		},
		next: nextNumber(""), sign: basic},
	"surveymonkey": {base: "https://api.surveymonkey.com", account: "the survey's id", overlap: time.Hour, every: 10 * time.Minute,
		first: func(account string, since time.Time) string {
			return "/v3/surveys/" + account + "/responses/bulk?simple=true&per_page=100&page=1" + sinceParameter("start_modified_at", since)
		},
		next: member("links", "next"), sign: bearer},
}

func sinceParameter(name string, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return "&" + name + "=" + url.QueryEscape(since.UTC().Format(time.RFC3339))
}

// member finds the link at a.b of the body.
func member(a, b string) func(*url.URL, http.Header, []byte) string {
	return func(_ *url.URL, _ http.Header, body []byte) string {
		var doc map[string]json.RawMessage
		var inner map[string]any
		if json.Unmarshal(body, &doc) != nil || json.Unmarshal(doc[a], &inner) != nil {
			return ""
		}
		s, _ := inner[b].(string)
		return s
	}
}

// tokenPage puts the token at a.b of the body into a parameter.
func tokenPage(parameter, a, b string) func(*url.URL, http.Header, []byte) string {
	find := member(a, b)
	return func(u *url.URL, h http.Header, body []byte) string {
		token := find(u, h, body)
		if token == "" {
			return ""
		}
		return with(u, parameter, token)
	}
}

// nextNumber counts the parameter page up while there is something in the list, which is the body or a member of it.
func nextNumber(list string) func(*url.URL, http.Header, []byte) string {
	return func(u *url.URL, _ http.Header, body []byte) string {
		items := json.RawMessage(body)
		if list != "" {
			var doc map[string]json.RawMessage
			if json.Unmarshal(body, &doc) != nil {
				return ""
			}
			items = doc[list]
		}
		var elements []json.RawMessage
		page, err := strconv.Atoi(u.Query().Get("page"))
		if json.Unmarshal(items, &elements) != nil || len(elements) == 0 || err != nil {
			return ""
		}
		return with(u, "page", strconv.Itoa(page+1))
	}
}

// beforeLowest asks Discourse for the posts before the lowest id of the page.
func beforeLowest(u *url.URL, _ http.Header, body []byte) string {
	var doc struct {
		Posts []struct{ ID int64 } `json:"latest_posts"`
	}
	if json.Unmarshal(body, &doc) != nil || len(doc.Posts) == 0 {
		return ""
	}
	lowest := doc.Posts[0].ID
	for _, p := range doc.Posts {
		lowest = min(lowest, p.ID)
	}
	if lowest <= 1 {
		return ""
	}
	return with(u, "before", strconv.FormatInt(lowest, 10))
}

// linkHeader finds rel="next" (RFC 8288).
func linkHeader(_ *url.URL, h http.Header, _ []byte) string {
	for _, one := range strings.Split(h.Get("Link"), ",") {
		target, rel, ok := strings.Cut(strings.TrimSpace(one), ">")
		if ok && strings.Contains(rel, `rel="next"`) {
			return strings.TrimPrefix(target, "<")
		}
	}
	return ""
}

func with(u *url.URL, name, value string) string {
	v := *u
	q := v.Query()
	q.Set(name, value)
	v.RawQuery = q.Encode()
	return v.String()
}

// resolve makes an absolute address of a link, and refuses one that leads to another host.
func resolve(base *url.URL, link string) (*url.URL, error) {
	u, err := base.Parse(link)
	if err != nil {
		return nil, fmt.Errorf("the link to the next page cannot be read: %w", err)
	}
	if u.Scheme != base.Scheme || u.Host != base.Host || u.User != nil {
		return nil, fmt.Errorf("the link to the next page leads to %s, not to %s; nothing is sent there", u.Host, base.Host)
	}
	return u, nil
}
