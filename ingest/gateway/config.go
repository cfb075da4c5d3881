package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
)

// Log is where accepted events go. Publish returns nil only after every message is committed. It returns
// [schemas.ErrBusy] or [schemas.ErrUnavailable], wrapped or not, when it cannot; after any error but ErrBusy some of the
// messages may be stored. It may keep msgs and their data after ctx has ended.
type Log interface {
	Publish(ctx context.Context, msgs []schemas.Message) error
}

// Config is what a gateway needs. Log and Shards are required.
type Config struct {
	Log    Log
	Shards int // number of shards of the log, at least 1

	Keys      Keys   // who may send events; nil: everybody
	Hooks     Hooks  // takes what providers push to /v1/hooks/…; nil: there is no such page
	PublicURL string // under which senders call and customers answer, without a path; "": the request's own host
	AnswerKey []byte // signs the links by which customers answer, at least [MinAnswerKey] bytes; nil: there are none

	Now        func() time.Time      // the clock; nil: time.Now
	Registerer prometheus.Registerer // takes the gateway's metrics; nil: they are kept nowhere
	Gatherer   prometheus.Gatherer   // what GET /metrics shows; nil: there is no such page
	Logger     zerolog.Logger        // changes of state only; zero: discards

	// Ready are the checks behind GET /readyz by name, each given at most ReadyTimeout. None: always ready.
	Ready        map[string]func(context.Context) error
	ReadyTimeout time.Duration // 0: 2 s
	// Notices are checks like those of Ready, shown by ?verbose, whose failure keeps nobody from sending events.
	Notices map[string]func(context.Context) error

	MaxBatchBytes    int           // decoded bytes of a batch; 0: 4 MiB
	MaxBatchEvents   int           // events in a batch; 0: 5,000
	MaxInFlightBytes int64         // bytes of all bodies being worked on, beyond which requests get 429; 0: 128 MiB
	MaxConnections   int           // open connections, beyond which new ones wait to be accepted; 0: 1,024
	MaxRatio         int           // decoded bytes per byte of gzip, once an event's worth is decoded; 0: 100
	EventsPerSecond  float64       // allowed to one address in the long run, behind a proxy the proxy's; 0: no bound
	Burst            int           // events one address may send at once; less than a batch: MaxBatchEvents
	PublishTimeout   time.Duration // how long the log may take to commit; 0: 10 s
	DrainTimeout     time.Duration // how long Serve waits for requests under way when it ends; 0: 15 s
}

// withDefaults checks c, all faults at once, and fills in what was left zero.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Log == nil {
		errs = append(errs, errors.New("Log: none given, one is needed to publish to"))
	}
	if c.Shards < 1 {
		errs = append(errs, fmt.Errorf("Shards: %d, must be at least 1", c.Shards))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"MaxBatchBytes", &c.MaxBatchBytes, 4 << 20}, {"MaxBatchEvents", &c.MaxBatchEvents, 5000},
		{"MaxConnections", &c.MaxConnections, 1024}, {"MaxRatio", &c.MaxRatio, 100}, {"Burst", &c.Burst, 0},
	} {
		if *n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d, must not be negative", n.name, *n.value))
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"ReadyTimeout", &c.ReadyTimeout, 2 * time.Second}, {"PublishTimeout", &c.PublishTimeout, 10 * time.Second},
		{"DrainTimeout", &c.DrainTimeout, 15 * time.Second},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %s, must not be negative", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.MaxInFlightBytes == 0 {
		c.MaxInFlightBytes = 128 << 20
	}
	if c.MaxInFlightBytes < int64(c.MaxBatchBytes) {
		errs = append(errs, fmt.Errorf("MaxInFlightBytes: %d, must be at least MaxBatchBytes, %d", c.MaxInFlightBytes, c.MaxBatchBytes))
	}
	if n := len(c.AnswerKey); n > 0 && n < MinAnswerKey {
		errs = append(errs, fmt.Errorf("AnswerKey: %d bytes, must be at least %d", n, MinAnswerKey))
	}
	if !(c.EventsPerSecond >= 0) {
		errs = append(errs, fmt.Errorf("EventsPerSecond: %g, must not be negative", c.EventsPerSecond))
	}
	c.Burst = max(c.Burst, c.MaxBatchEvents)
	if len(errs) > 0 {
		return c, fmt.Errorf("configure gateway: %w", errors.Join(errs...))
	}
	return c, nil
}
