package worker

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/schemas"
)

// Metrics are the workers' counters. One is shared by all workers of a process; nil counts nothing.
type Metrics struct {
	events   *prometheus.CounterVec
	stage    *prometheus.HistogramVec
	rows     prometheus.Histogram
	latency  prometheus.Histogram
	position *prometheus.GaugeVec
	repairs  *prometheus.CounterVec
	halts    *prometheus.GaugeVec
}

// NewMetrics registers the workers' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_process_events_total", Help: "Events of the log that were dealt with, by what became of them."}, []string{"outcome"}),
		stage:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "earshot_process_duration_seconds", Help: "Time a batch takes, by stage.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)}, []string{"stage"}),
		rows:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "earshot_sink_batch_rows", Help: "Rows of an insert.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		latency:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "earshot_e2e_latency_seconds", Help: "From the log's receipt of a batch's oldest event to the commit of the batch.", Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 12)}),
		position: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "earshot_process_position", Help: "Sequence up to which a shard is committed."}, []string{"shard"}),
		repairs:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_process_repairs_total", Help: "Inserts repeated after reading back that rows were missing."}, []string{"shard"}),
		halts:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "earshot_process_halted", Help: "1 where a shard has halted because the table contradicts its ledger."}, []string{"shard"}),
	}
	reg.MustRegister(m.events, m.stage, m.rows, m.latency, m.position, m.repairs, m.halts)
	return m
}

func (m *Metrics) prepared(d time.Duration) {
	if m != nil {
		m.stage.WithLabelValues("prepare").Observe(d.Seconds())
	}
}

func (m *Metrics) inserted(rows int, d time.Duration) {
	if m != nil {
		m.stage.WithLabelValues("insert").Observe(d.Seconds())
		m.rows.Observe(float64(rows))
	}
}

func (m *Metrics) committed(shard int, b *batch, p *schemas.Plan) {
	if m == nil {
		return
	}
	m.events.WithLabelValues("stored").Add(float64(p.Rows()))
	m.events.WithLabelValues("duplicate").Add(float64(len(b.dups)))
	m.events.WithLabelValues("dead").Add(float64(len(b.dead)))
	m.position.WithLabelValues(strconv.Itoa(shard)).Set(float64(p.Hi))
	if len(b.rows) > 0 {
		m.latency.Observe(time.Since(b.rows[0].ReceivedAt).Seconds())
	}
}

func (m *Metrics) repaired(shard int) {
	if m != nil {
		m.repairs.WithLabelValues(strconv.Itoa(shard)).Inc()
	}
}

func (m *Metrics) halted(shard int) {
	if m != nil {
		m.halts.WithLabelValues(strconv.Itoa(shard)).Set(1)
	}
}
