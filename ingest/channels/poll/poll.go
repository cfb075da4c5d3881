package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/ingest/channels"
	"github.com/earshot/earshot/schemas"
)

// Log is where events go; it has them when Publish returns nil.
type Log interface {
	Publish(ctx context.Context, msgs []schemas.Message) error
}

// Cursors keeps how far each source came. Load returns nil for a name that was never saved.
type Cursors interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, cursor []byte) error
}

// Source is one account that is polled.
type Source struct {
	Channel    string
	Name       string // of the source, a part of every event's identity
	Tenant     string
	Account    string // as the provider knows it; "": Name
	BaseURL    string // "": the provider's own
	Credential *Credential
	Every      time.Duration // 0: as the channel suggests
}

// Names lists the channels that can be polled, sorted.
func Names() []string { return slices.Sorted(maps.Keys(feeds)) }

// Check says what is wrong with a source, and fills in what was left out.
func (s *Source) Check() error {
	f, ok := feeds[s.Channel]
	if !ok {
		return fmt.Errorf("the channel %q cannot be polled; those that can are %s", s.Channel, strings.Join(Names(), ", "))
	}
	var errs []error
	if s.Name == "" || s.Name != schemas.Token(s.Name) {
		errs = append(errs, errors.New("the name must be of letters, digits, - and _"))
	}
	if s.Tenant == "" {
		errs = append(errs, errors.New("there is no tenant"))
	}
	if s.Account == "" {
		s.Account = s.Name
	}
	if s.BaseURL == "" {
		s.BaseURL = f.base
	}
	if u, err := url.Parse(s.BaseURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		errs = append(errs, fmt.Errorf("url is %q, must be such as https://forum.acme.example", s.BaseURL))
	} else if u.Scheme == "http" && !s.Credential.empty() && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		errs = append(errs, fmt.Errorf("url is %q: a secret is sent over https, or to this machine, and not in the open", s.BaseURL))
	}
	if s.Every == 0 {
		s.Every = f.every
	}
	if s.Every < time.Second {
		errs = append(errs, fmt.Errorf("every is %v, must be a second at least", s.Every))
	}
	return errors.Join(errs...)
}

// Poller fetches sources. Its methods may be called at the same time for different sources.
type Poller struct {
	Log     Log
	Cursors Cursors
	Shards  int
	Now     func() time.Time
	Client  *http.Client // nil: one that follows no redirect and waits for 30 s
}

// Bounds of one round.
const (
	maxPages = 1000
	maxPage  = 8 << 20 // bytes
	maxSeen  = 5000    // identities a cursor remembers
	timeout  = 30 * time.Second
)

// cursor is how far a source came: the newest time seen, and what was seen within the overlap before it.
type cursor struct {
	Newest time.Time            `json:"newest"`
	Seen   map[string]time.Time `json:"seen"`
}

// Round fetches what is new of a source and returns how many events that were. The cursor moves when the log has them.
func (p *Poller) Round(ctx context.Context, s *Source) (n int, err error) {
	f := feeds[s.Channel]
	name := s.Channel + "." + s.Name
	cur, err := p.load(ctx, name)
	if err != nil {
		return 0, err
	}
	base, err := url.Parse(s.BaseURL)
	if err != nil {
		return 0, err
	}
	client := p.Client
	if client == nil {
		client = &http.Client{Timeout: timeout, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fmt.Errorf("the provider sends us on to %s, which is not followed", r.URL.Host)
		}}
	}
	credential, err := s.Credential.exchange(client, "https://www.googleapis.com/auth/androidpublisher", p.Now())
	if err != nil {
		return 0, err
	}
	var since time.Time
	if !cur.Newest.IsZero() {
		since = cur.Newest.Add(-f.overlap)
	}
	next := cursor{Newest: cur.Newest, Seen: maps.Clone(cur.Seen)}
	if next.Seen == nil {
		next.Seen = map[string]time.Time{}
	}
	link := strings.TrimRight(base.Path, "/") + f.first(strings.ReplaceAll(url.PathEscape(s.Account), "%2F", "/"), since)
	for page := 0; link != "" && page < maxPages; page++ {
		u, err := resolve(base, link)
		if err != nil {
			return n, err
		}
		body, header, err := p.fetch(ctx, client, u, &f, credential)
		if err != nil {
			return n, err
		}
		header.Set("X-Discourse-Instance", strings.TrimRight(s.BaseURL, "/"))
		fresh, past, err := p.fresh(s, body, header, since, &next)
		if err != nil {
			return n, fmt.Errorf("%s: %w", u.Path, err)
		}
		if err := p.publish(ctx, fresh); err != nil {
			return n, err
		}
		n += len(fresh)
		if f.newest && len(fresh) == 0 && past { // this page and all further ones are of the time before
			break
		}
		link = f.next(u, header, body)
	}
	next.forget(f.overlap)
	return n, p.save(ctx, name, &next)
}

func (p *Poller) fetch(ctx context.Context, client *http.Client, u *url.URL, f *feed, c *Credential) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "earshot")
	if err := f.sign(req, c, p.Now()); err != nil {
		return nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s: %w", u.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the answer of %s: %w", u.Host, err)
	case resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
		return []byte("{}"), resp.Header, nil
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("%s answers %s to %s", u.Host, resp.Status, u.Path)
	case len(body) > maxPage:
		return nil, nil, fmt.Errorf("%s answers with more than %d bytes to %s", u.Host, maxPage, u.Path)
	}
	return body, resp.Header, nil
}

// fresh are the events of a page that the cursor does not know; past says that the page goes further back than anything
// new may show up.
func (p *Poller) fresh(s *Source, body []byte, header http.Header, since time.Time, next *cursor) (events []schemas.Event, past bool, err error) {
	all, err := channels.ForChannel(s.Channel)(&channels.Delivery{Channel: s.Channel, Source: s.Name, Tenant: s.Tenant,
		Header: header, Body: body, Received: p.Now()})
	if err != nil {
		return nil, false, err
	}
	for i := range all {
		e := &all[i]
		id := e.Identity().String()
		at, seen := next.Seen[id]
		if e.Time.Before(since) {
			past = true
			continue
		}
		if seen && at.Equal(e.Time) {
			continue
		}
		next.Seen[id] = e.Time
		if e.Time.After(next.Newest) {
			next.Newest = e.Time
		}
		events = append(events, *e)
	}
	return events, past, nil
}

func (p *Poller) publish(ctx context.Context, events []schemas.Event) error {
	if len(events) == 0 {
		return nil
	}
	msgs := make([]schemas.Message, len(events))
	for i := range events {
		e := &events[i]
		shard := schemas.Shard(e.PartitionKey(), p.Shards)
		msgs[i] = schemas.Message{Shard: shard, Subject: e.LogSubject(shard), Data: schemas.AppendStructured(nil, e),
			Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}}
	}
	return p.Log.Publish(ctx, msgs)
}

// forget drops what lies further back than the overlap, and of what is left the oldest if there is too much.
func (c *cursor) forget(overlap time.Duration) {
	maps.DeleteFunc(c.Seen, func(_ string, at time.Time) bool { return at.Before(c.Newest.Add(-overlap)) })
	if len(c.Seen) <= maxSeen {
		return
	}
	ids := slices.Collect(maps.Keys(c.Seen))
	slices.SortFunc(ids, func(a, b string) int { return c.Seen[b].Compare(c.Seen[a]) })
	for _, id := range ids[maxSeen:] {
		delete(c.Seen, id)
	}
}

func (p *Poller) load(ctx context.Context, name string) (c cursor, err error) {
	b, err := p.Cursors.Load(ctx, name)
	if err != nil {
		return c, fmt.Errorf("load the cursor of %s: %w", name, err)
	}
	if b == nil {
		return c, nil
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("load the cursor of %s: %w", name, err)
	}
	return c, nil
}

func (p *Poller) save(ctx context.Context, name string, c *cursor) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := p.Cursors.Save(ctx, name, b); err != nil {
		return fmt.Errorf("save the cursor of %s: %w", name, err)
	}
	return nil
}
