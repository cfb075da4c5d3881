package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/sinks/clickhouse"
)

// cacher makes what is cached for named queries again when it is stale.
type cacher struct {
	store *clickhouse.Store
	log   zerolog.Logger
	pace  pace
	sick  bool // the last round failed, and the log says so

	refreshes *prometheus.CounterVec
	taken     prometheus.Gauge
}

// cacheTimeout bounds one refresh.
const cacheTimeout = 30 * time.Minute

func newCacher(registry prometheus.Registerer, log zerolog.Logger) *cacher {
	c := &cacher{
		log:       log,
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_cache_refreshes_total", Help: "Refreshes of what is cached for named queries, by result: ok or failed."}, []string{"result"}),
		taken:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "earshot_cache_refresh_seconds", Help: "How long the last refresh took."}),
	}
	registry.MustRegister(c.refreshes, c.taken)
	return c
}

// round looks at the cache and refreshes it where that is due.
func (c *cacher) round(ctx context.Context) {
	look, err := c.store.Cache(ctx)
	if err == nil && c.pace.due(time.Now(), look) {
		began := time.Now()
		working, cancel := context.WithTimeout(ctx, cacheTimeout)
		err = c.store.RefreshCache(working)
		cancel()
		c.pace.made(time.Now(), time.Since(began), err == nil)
		if err == nil {
			c.refreshes.WithLabelValues("ok").Inc()
			c.taken.Set(time.Since(began).Seconds())
		}
	}
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, clickhouse.ErrUnsettled) {
		return // soon again
	}
	if err != nil {
		c.refreshes.WithLabelValues("failed").Inc()
		if !c.sick {
			c.log.Warn().Err(err).Msg("what is cached for named queries cannot be made again; until it can they read the views, which takes longer")
		}
	}
	c.sick = err != nil
}

// pace says when to refresh: as soon as nothing has changed between two looks, or every minute while it goes on changing, for those
// who take answers that are not of now; and never so often that it takes more than a tenth of the time.
type pace struct {
	state string    // at the last look
	rest  time.Time // until then nothing is done in any case
	busy  time.Time // until then nothing is done while things change
}

// cacheShare is how many times as long as a refresh took the next one waits, and cacheBusy how long while things change.
const (
	cacheShare = 9
	cacheBusy  = time.Minute
)

// due says whether to refresh now.
func (p *pace) due(now time.Time, look clickhouse.CacheLook) bool {
	calm := look.State == p.state
	if p.busy.IsZero() {
		p.busy = now.Add(cacheBusy)
	}
	p.state = look.State
	return !look.Fresh && !look.Busy && !now.Before(p.rest) && (calm || !now.Before(p.busy))
}

// made notes that a refresh has ended. After one that failed nothing is done for a minute.
func (p *pace) made(now time.Time, took time.Duration, ok bool) {
	p.rest, p.busy = now.Add(cacheShare*took), now.Add(cacheBusy)
	if !ok && p.rest.Before(p.busy) {
		p.rest = p.busy
	}
}
