package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// auditor audits a node's shards at its start and then on a clock. It mends nothing: what it finds goes into the log
// once, into the metrics, and into /readyz?verbose.
type auditor struct {
	examiner
	nc      *nats.Conn
	log     zerolog.Logger
	metrics *auditMetrics

	whole time.Time // when the next look at everything is due

	mu    sync.Mutex
	state string // of the last audit; changes of it are logged
	found error  // what the last audit found wrong or why there was none; nil: all is well, or none was made yet
}

// auditShare is which part of the time the looks at whole shards may take: one that takes a second is made every 50
// seconds at most. In between, what is new since then is looked at.
const auditShare = 50

// Bounds of one audit and of a look for missing events after it. An audit that takes longer is given up and reported.
const (
	auditTimeout = 10 * time.Minute
	findTimeout  = time.Minute
)

// newAuditor opens shards of its own on a connection of its own, because the look for missing events reads in bulk.
func newAuditor(ctx context.Context, server string, shards int, store *clickhouse.Store, metrics *auditMetrics, log zerolog.Logger) (*auditor, error) {
	nc, js, err := stream.Connect(server, "earshot-auditor", log)
	if err != nil {
		return nil, err
	}
	opened, err := openShards(ctx, js, nc, shards)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &auditor{
		examiner: examiner{shards: opened, store: store, pick: rand.N[uint64], proven: make([]schemas.Checkpoint, shards)},
		nc:       nc, log: log, metrics: metrics,
	}, nil
}

func (a *auditor) close() {
	for _, s := range a.shards {
		s.Close()
	}
	a.nc.Close()
}

// onTheClock calls f at once and then in intervals, one at a time, until ctx ends; 0: only once.
func onTheClock(ctx context.Context, every time.Duration, f func(context.Context)) {
	if every <= 0 {
		f(ctx)
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	f(ctx)
	for {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		if ctx.Err() != nil {
			return
		}
		f(ctx)
	}
}

// round is one audit. Where a look at whole shards is not due, it looks at what is new in those that were found right.
func (a *auditor) round(ctx context.Context) {
	began := time.Now()
	looking, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if whole := !began.Before(a.whole); whole {
		clear(a.proven)
		defer func() { a.whole = began.Add(auditShare * time.Since(began)) }()
	}
	x, err := a.examine(looking)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.failed(fmt.Errorf("the last audit could not be made: %w", err))
		return
	}
	for i := range x.Shards {
		if x.Shards[i].OK() {
			a.proven[i] = x.Shards[i].Upto
		}
	}
	a.judged(ctx, &x, time.Since(began))
}

// failed notes that an audit could not be made.
func (a *auditor) failed(err error) {
	a.metrics.runs.WithLabelValues("failed").Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != "failed" {
		a.log.Warn().Err(err).Msg("audit failed; it is tried again")
	}
	a.state, a.found = "failed", err
}

// judged notes what an audit found. A change is logged; where events are missing, the log is read to say which.
func (a *auditor) judged(ctx context.Context, x *examination, took time.Duration) {
	a.metrics.note(x, took)
	state := ""
	if !x.OK {
		state = x.state()
	}
	a.mu.Lock()
	former := a.state
	a.mu.Unlock()
	if state == former {
		return
	}
	finding, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	for i := range x.Shards {
		if x.Shards[i].Gap > 0 && a.find(finding, &x.Shards[i]) != nil {
			x.Shards[i].Found = nil // too long or too late: the command can take its time
		}
	}
	for _, f := range x.faults() {
		a.log.Error().Msg("audit: " + f)
	}
	if state == "" && former != "" {
		a.log.Info().Msg("audit: nothing is wrong any more")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state, a.found = state, x.err()
}

// err is what the last audit found wrong.
func (a *auditor) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found
}

// auditMetrics are what the audits of a node found.
type auditMetrics struct {
	gap, duplicates                             *prometheus.GaugeVec
	differences, violations, lastSuccess, taken prometheus.Gauge
	runs                                        *prometheus.CounterVec
}

func newAuditMetrics(reg prometheus.Registerer) *auditMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	perShard := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"shard"})
	}
	m := &auditMetrics{
		gap:         perShard("earshot_audit_gap_rows", "Events up to the checkpoint that are neither a row nor counted as a duplicate or dead letter."),
		duplicates:  perShard("earshot_audit_duplicate_rows", "Rows up to the checkpoint that are there a second time."),
		differences: gauge("earshot_audit_projection_differences", "Figures of the hourly projection that differ from the rows, in the hour that was compared."),
		violations:  gauge("earshot_audit_violations", "Findings of the last audit of any kind; the log says what they are."),
		lastSuccess: gauge("earshot_audit_last_success_timestamp_seconds", "When an audit last found nothing wrong."),
		taken:       gauge("earshot_audit_duration_seconds", "How long the last audit took."),
		runs:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_audit_runs_total", Help: "Audits by result: ok, violation, or failed (it could not be made)."}, []string{"result"}),
	}
	reg.MustRegister(m.gap, m.duplicates, m.differences, m.violations, m.lastSuccess, m.taken, m.runs)
	return m
}

// note shows what an audit found.
func (m *auditMetrics) note(x *examination, took time.Duration) {
	for i := range x.Shards {
		s := &x.Shards[i]
		m.gap.WithLabelValues(strconv.Itoa(s.Shard)).Set(float64(s.Gap))
		m.duplicates.WithLabelValues(strconv.Itoa(s.Shard)).Set(float64(s.Duplicates))
	}
	m.differences.Set(float64(x.Projection.Differences))
	m.violations.Set(float64(len(x.faults())))
	m.taken.Set(took.Seconds())
	result := "violation"
	if x.OK {
		result = "ok"
		m.lastSuccess.SetToCurrentTime()
	}
	m.runs.WithLabelValues(result).Inc()
}
