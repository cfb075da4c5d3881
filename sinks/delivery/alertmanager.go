package delivery

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Alertmanager tells a Prometheus Alertmanager, through version 2 of its API. Grafana and Mimir take the same.
type Alertmanager struct {
	name, url string
	client    *http.Client
}

// Refresh is how often an Alertmanager is to be told again of an alert that goes on: it forgets what it does not hear of.
const Refresh = time.Minute

// Name is the receiver's name.
func (r *Alertmanager) Name() string { return r.name }

// Traits: it is refreshed. It is not told of an acknowledgement by itself, which is no silence: a silence would keep others
// from hearing of it again. The name of who looks after it is among the annotations of the next refresh.
func (r *Alertmanager) Traits() Traits { return Traits{Refreshes: true} }

// posted is an alert as the API takes it.
type posted struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Deliver posts the alert. One that goes on ends, as far as the Alertmanager knows, after four missed refreshes.
func (r *Alertmanager) Deliver(ctx context.Context, n Notification) error {
	a := &n.Alert
	p := posted{labels(a), annotations(a), a.RaisedAt, n.Now.Add(4 * Refresh), a.Links["dashboard"]}
	if a.Resolved() {
		p.EndsAt = a.ResolvedAt
	}
	return post(ctx, r.client, r.name, strings.TrimRight(r.url, "/")+"/api/v2/alerts", []posted{p}, nil)
}

// group is the body of a webhook in version 4 of Alertmanager's form, which many tools read.
type group struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []grouped         `json:"alerts"`
	Acknowledged      *acknowledged     `json:"acknowledged,omitempty"`
}

type acknowledged struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

type grouped struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // year 1 while it goes on, as Alertmanager writes it
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// groupOf is the group that the alert makes alone.
func groupOf(receiver string, n *Notification) group {
	a := &n.Alert
	l, words := labels(a), annotations(a)
	g := group{
		Version: "4", GroupKey: `{}:{alertname="` + a.Rule + `"}:` + a.Fingerprint(), Status: status(a), Receiver: receiver,
		GroupLabels: map[string]string{"alertname": a.Rule}, CommonLabels: l, CommonAnnotations: words, ExternalURL: a.Links["dashboard"],
		Alerts: []grouped{{status(a), l, words, a.RaisedAt, a.ResolvedAt, a.Links["dashboard"], a.Fingerprint()}},
	}
	if n.Acked {
		g.Acknowledged = &acknowledged{a.AckedBy, a.AckedAt}
	}
	return g
}
