package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Keys knows who may send events. Authenticate returns an error for a key that counts for nothing; its text is for the
// gateway's log.
type Keys interface {
	Authenticate(key string, now time.Time) (Grant, error)
}

// Grant is what a key allows.
type Grant struct {
	ID              string   // of the key; no secret
	Tenant          string   // whose events; "": any tenant's
	Channels        []string // none: all
	EventsPerSecond float64  // 0: no bound
}

// grantKey is where a request's context holds its grant.
type grantKey struct{}

// admit lets through what bears a good key. It is asked before anything of the body is read.
func (g *Gateway) admit(h http.HandlerFunc) http.HandlerFunc {
	if g.cfg.Keys == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			key = ""
		}
		grant, err := g.cfg.Keys.Authenticate(key, g.cfg.Now())
		if err != nil {
			g.metrics.count(noChannel, outcomeUnproven, 1)
			if g.refusals.AllowN(g.cfg.Now(), 1) {
				g.cfg.Logger.Warn().Err(err).Str("route", r.URL.Path).Str("client", clientOf(r.RemoteAddr)).Msg("a request without a good key was refused")
			}
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeProblem(w, problem{Type: typeUnproven, Status: http.StatusUnauthorized,
				Detail: "send the header Authorization: Bearer with a key; 'earshot key create' makes one. Nothing was stored"})
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, grant)))
	}
}

// allowed holds events against the grant of the request; ok is false when it has been answered.
func (g *Gateway) allowed(w http.ResponseWriter, r *http.Request, events []*schemas.Event) (ok bool) {
	grant, keyed := r.Context().Value(grantKey{}).(Grant)
	if !keyed {
		return true
	}
	var list []fault
	for i, e := range events {
		var ps schemas.Problems
		if grant.Tenant != "" && e.Tenant != grant.Tenant {
			ps = append(ps, schemas.Problem{Field: "tenantid", Bound: fmt.Sprintf("%q", grant.Tenant), Detail: "is a tenant that this key may not send for", Reason: schemas.ReasonTenant})
		}
		if len(grant.Channels) > 0 && !slices.Contains(grant.Channels, e.Data.Channel) {
			ps = append(ps, schemas.Problem{Field: "data.channel", Value: e.Data.Channel, Bound: strings.Join(grant.Channels, ", "), Detail: "is a channel that this key may not send on", Reason: schemas.ReasonSchema})
		}
		if (e.Kind == schemas.CustomerEraseRequested || e.Kind == schemas.LabelCorrected) && len(grant.Channels) > 0 { // they are about other channels too
			ps = append(ps, schemas.Problem{Field: "type", Value: e.Type, Bound: "a key for all channels", Detail: "is what a key for some channels may not send", Reason: schemas.ReasonSchema})
		}
		list = append(list, faults(i, ps)...)
	}
	if len(list) > 0 {
		g.metrics.count(noChannel, outcomeUnproven, len(events))
		if g.refusals.AllowN(g.cfg.Now(), 1) {
			g.cfg.Logger.Warn().Str("key", grant.ID).Str("route", r.URL.Path).Str("client", clientOf(r.RemoteAddr)).Msg("a key was used for what it does not allow")
		}
		p := invalid(len(events), len(list), list)
		p.Type, p.Status = typeForbidden, http.StatusForbidden
		writeProblem(w, p)
		return false
	}
	if wait := g.quotas.take(grant, g.cfg.Now(), len(events)); wait > 0 {
		g.countAll(events, outcomeLimited)
		writeProblem(w, problem{Type: typeRate, Status: http.StatusTooManyRequests, retryAfter: wait,
			Detail: "this key sends more events than it may; nothing was stored, send again after the time given"})
		return false
	}
	return true
}

// quotas keeps a token bucket for each key that has a bound.
type quotas struct {
	mu     sync.Mutex
	bucket map[string]*quota // by id; there are as many as keys
}

// quota holds the events of one second, at least one. A request with more than that is let in when it is full, and leaves it
// in debt: in the long run no more come in than the key may send, and never at once more than one request or one second's.
type quota struct {
	perSecond, events float64
	at                time.Time // when events was right
}

func (q *quotas) take(grant Grant, now time.Time, n int) (wait time.Duration) {
	if grant.EventsPerSecond == 0 {
		return 0
	}
	full := max(grant.EventsPerSecond, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.bucket[grant.ID]
	if b == nil || b.perSecond != grant.EventsPerSecond {
		b = &quota{grant.EventsPerSecond, full, now}
		q.bucket[grant.ID] = b
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.events, b.at = min(full, b.events+passed*b.perSecond), now
	}
	if lacks := min(float64(n), full) - b.events; lacks > 1e-9 {
		return time.Duration(lacks / b.perSecond * float64(time.Second))
	}
	b.events -= float64(n)
	return 0
}
