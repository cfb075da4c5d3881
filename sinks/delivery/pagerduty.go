package delivery

import (
	"context"
	"net/http"
	"time"
)

// PagerDuty opens and closes an incident through version 2 of its Events API. The alert's id is the deduplication key, so
// that a repetition changes nothing.
type PagerDuty struct {
	name, url string
	key       Secret
	client    *http.Client
}

// pagerDutyURL is where events go, unless the configuration names another address (an installation in the EU has one).
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// Name is the receiver's name.
func (r *PagerDuty) Name() string { return r.name }

// Traits: it knows acknowledgements.
func (r *PagerDuty) Traits() Traits { return Traits{Listens: true} }

// Deliver triggers, acknowledges or resolves.
func (r *PagerDuty) Deliver(ctx context.Context, n Notification) error {
	a := &n.Alert
	event := map[string]any{"routing_key": r.key.Reveal(), "event_action": "trigger", "dedup_key": a.ID}
	if word := action(&n); word != "trigger" {
		event["event_action"] = word
		return post(ctx, r.client, r.name, r.url, event, nil)
	}
	event["client"] = "Earshot"
	if u := a.Links["dashboard"]; u != "" {
		event["client_url"] = u
		event["links"] = []any{map[string]string{"href": u, "text": "Dashboard"}}
	}
	event["payload"] = map[string]any{
		"summary": cut(a.Summary(), 1024), "source": "earshot/" + a.Cell["tenant"], "severity": string(a.Severity),
		"timestamp": a.RaisedAt.UTC().Format(time.RFC3339), "component": a.Cell["channel"], "group": a.Cell["tenant"], "class": a.Rule,
		"custom_details": annotations(a),
	}
	return post(ctx, r.client, r.name, r.url, event, nil)
}

// action is what the event does to the incident.
func action(n *Notification) string {
	switch {
	case n.Alert.Resolved():
		return "resolve"
	case n.Acked:
		return "acknowledge"
	}
	return "trigger"
}
