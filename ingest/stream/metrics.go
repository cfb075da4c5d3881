package stream

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/schemas"
)

// publisherMetrics are the figures of a publisher.
type publisherMetrics struct {
	size    prometheus.Histogram
	seconds prometheus.Histogram
	batches *prometheus.CounterVec
	stored  prometheus.Counter
	refused prometheus.Counter
	all     []prometheus.Collector
}

// register makes the metrics and, unless r is nil, has them collected.
func (m *publisherMetrics) register(r prometheus.Registerer, waiting func() int) error {
	m.size = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "earshot_publish_batch_messages", Help: "Messages in one atomic batch sent to the log.",
		Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, MaxBatch},
	})
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "earshot_publish_commit_seconds", Help: "Time from the first message of a batch to the answer that it is on disk.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
	})
	m.batches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "earshot_publish_batches_total", Help: "Batches by what became of them: stored, refused, full, unavailable, or unknown (no answer in time).",
	}, []string{"result"})
	m.stored = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "earshot_publish_messages_total", Help: "Messages the log has confirmed.",
	})
	m.refused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "earshot_publish_busy_total", Help: "Requests refused because the queue was full or the publisher closed.",
	})
	depth := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "earshot_publish_queue_messages", Help: "Messages waiting for a batch.",
	}, func() float64 { return float64(waiting()) })
	m.all = []prometheus.Collector{m.size, m.seconds, m.batches, m.stored, m.refused, depth}
	if r == nil {
		return nil
	}
	for i, c := range m.all {
		if err := r.Register(c); err != nil {
			for _, c := range m.all[:i] {
				r.Unregister(c)
			}
			return err
		}
	}
	return nil
}

// unregister lets a later publisher register its own.
func (m *publisherMetrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all {
		r.Unregister(c)
	}
}

// batch counts one batch.
func (m *publisherMetrics) batch(n int, took time.Duration, err error) {
	m.size.Observe(float64(n))
	m.seconds.Observe(took.Seconds())
	result := "stored"
	switch {
	case err == nil:
		m.stored.Add(float64(n))
	case errors.Is(err, ErrUnknown):
		result = "unknown"
	case errors.Is(err, ErrFull):
		result = "full"
	case errors.Is(err, schemas.ErrUnavailable):
		result = "unavailable"
	default:
		result = "refused"
	}
	m.batches.WithLabelValues(result).Inc()
}
