package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of an event at the door: the outcome label of earshot_ingest_events_total.
const (
	outcomeAccepted    = "accepted"    // committed
	outcomeInvalid     = "invalid"     // against the contract; with it the whole request was refused
	outcomeLimited     = "limited"     // the client sends too fast
	outcomeBusy        = "busy"        // the log's queue is full
	outcomeUnavailable = "unavailable" // the log did not commit
	outcomeUnproven    = "unproven"    // a call of a hook that was not the provider's; one for a call, whatever was in it
)

// noChannel stands for the channel of events that could not be read.
const noChannel = "unknown"

// metrics are the gateway's own. No label holds anything that a client chose freely: channel is one of the contract's.
type metrics struct {
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, bytes *atomic.Int64) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_ingest_events_total",
			Help: "Events that reached the gateway, by channel and what became of them."}, []string{"channel", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_ingest_requests_total",
			Help: "HTTP requests answered."}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "earshot_ingest_request_duration_seconds",
			Help:    "From the request's headers to its answer, the commit included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "earshot_ingest_in_flight_requests",
			Help: "Requests being answered now."}),
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "earshot_ingest_in_flight_bytes",
		Help: "Bytes reserved for the bodies of requests being answered now."}, func() float64 { return float64(bytes.Load()) })
	for _, c := range []prometheus.Collector{m.events, m.requests, m.duration, m.inFlight, held} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(channel, outcome string, n int) {
	if n > 0 {
		m.events.WithLabelValues(channel, outcome).Add(float64(n))
	}
}
