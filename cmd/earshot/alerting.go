package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/delivery"
)

// alertsOff is the value of EARSHOT_ALERT_RULES that turns alerts off.
const alertsOff = "off"

// Times of the alerting loop.
const (
	alertTick     = time.Second            // between two evaluations; most of what an alert takes to arrive is this and the insert's linger
	alertSlow     = 250 * time.Millisecond // a count that took longer is made beside the evaluations, which go on meanwhile
	alertPatience = 5 * time.Second        // for deliveries under way when the process ends; what is left goes out after the next start
)

// alerting is the loop that evaluates rules and tells receivers.
type alerting struct {
	config   *Config
	settings alertSettings
	stamps   alertStamps
	log      zerolog.Logger

	current    prometheus.Gauge
	firing     prometheus.Gauge
	changes    *prometheus.CounterVec // by cause
	deliveries *prometheus.CounterVec // by receiver and outcome
	letGo      prometheus.Counter
	seconds    prometheus.Histogram
	saidSo     time.Time // when it was last logged that deliveries were let go of
}

// newAlerting reads rules and receivers; nil: alerts are off.
func newAlerting(c *Config, reg prometheus.Registerer, log zerolog.Logger) (*alerting, error) {
	if c.AlertRules == alertsOff {
		return nil, nil
	}
	stamps := stampAlertFiles(c)
	settings, err := loadAlertSettings(c)
	if err != nil {
		return nil, err
	}
	a := &alerting{
		config: c, settings: settings, stamps: stamps, log: log.With().Str("component", "alerts").Logger(),
		current:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "earshot_alerts_config_current", Help: "Whether the files of rules and receivers are in force as they are: 1; 0: they have faults, and what was read before is in force."}),
		firing:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "earshot_alerts_firing", Help: "Alerts that are open."}),
		changes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_alerts_changes_total", Help: "Alerts raised, resolved, and released from an inhibition or a mute."}, []string{"cause"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_alerts_deliveries_total", Help: "Attempts to tell a receiver: done, failed, or given up."}, []string{"receiver", "outcome"}),
		letGo:      prometheus.NewCounter(prometheus.CounterOpts{Name: "earshot_alerts_let_go_total", Help: "Deliveries that became dead letters because too much was waiting for receivers that are away."}),
		seconds:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "earshot_alerts_evaluation_seconds", Help: "Time of one evaluation of all rules that were due.", Buckets: []float64{.005, .02, .05, .1, .2, .5, 1, 2, 5}}),
	}
	a.current.Set(1)
	reg.MustRegister(a.current, a.firing, a.changes, a.deliveries, a.letGo, a.seconds)
	return a, nil
}

// attempt is a delivery that was tried.
type attempt struct {
	order alerts.Order
	err   error
}

// run evaluates and delivers until ctx ends.
func (a *alerting) run(ctx context.Context, natsURL string, store *clickhouse.Store, quotes *privacy.Masker) error {
	nc, js, err := stream.Connect(natsURL, "earshot-alerts", a.log)
	if err != nil {
		return err
	}
	defer nc.Close()
	all, listeners, forgetful := a.settings.names()
	e := alerts.New(alerts.Config{Rules: a.settings.rules, Receivers: all, Listeners: listeners, Forgetful: forgetful, Owner: rand.Text(), Store: store, Quote: quotes.Quote, Clock: time.Now, Patience: alertSlow,
		Link: a.config.AlertLink, Journal: stream.OpenJournal(js, nc, schemas.AlertJournal)})
	tick := time.NewTicker(alertTick)
	defer tick.Stop()
	done := make(chan attempt, 64) // those that come after the end find room and do not wait
	under := 0                     // deliveries under way
	state, refreshed, looked := "", time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			a.end(e, done, under)
			return nil
		case d := <-done:
			under--
			a.note(ctx, e, d)
		case <-tick.C:
			if time.Since(looked) >= alertFilesEvery {
				looked = time.Now()
				a.reload(e)
			}
			state = a.step(ctx, e, state)
		}
		orders, err := e.Orders(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			a.log.Error().Err(err).Msg("the state of the alerts could not be stored: it is read again")
		}
		receivers := a.settings.receivers
		for _, o := range orders {
			under++
			go func() { done <- attempt{o, tell(ctx, store, receivers, o)} }()
		}
		if time.Since(refreshed) >= delivery.Refresh {
			refreshed = time.Now()
			a.refresh(ctx, e.Firing())
		}
	}
}

// step evaluates once. It logs changes of state only: was is how the step before ended.
func (a *alerting) step(ctx context.Context, e *alerts.Evaluator, was string) string {
	began := time.Now()
	r, err := e.Step(ctx, began)
	a.seconds.Observe(time.Since(began).Seconds())
	a.firing.Set(float64(r.Open))
	for _, ch := range r.Changes {
		a.changes.WithLabelValues(ch.Cause).Inc()
		a.log.Warn().Str("rule", ch.Alert.Rule).Interface("cell", ch.Alert.Cell).Str("severity", string(ch.Alert.Severity)).Str("alert", ch.Alert.ID).
			Float64("observed", ch.Alert.Observed).Float64("expected", ch.Alert.Expected).Float64("probability", ch.Alert.Probability).Msg("alert " + ch.Cause)
	}
	if r.LetGo > 0 {
		a.letGo.Add(float64(r.LetGo))
		if time.Since(a.saidSo) >= alerts.Budget { // once, not with every alert that comes while the receiver is away
			a.saidSo = time.Now()
			a.log.Error().Int("deliveries", r.LetGo).Msg("too much is waiting for receivers that are away: the oldest become dead letters, counted in earshot_alerts_let_go_total")
		}
	}
	now := "evaluates"
	switch {
	case ctx.Err() != nil:
		return was
	case err != nil:
		now = "failed"
	case r.Standby:
		now = "standby"
	}
	switch {
	case now == was:
	case now == "failed":
		a.log.Error().Err(err).Msg("alerts cannot be evaluated, at least in part: trying again every second")
	case now == "standby":
		a.log.Info().Msg("another process evaluates the alerts: standing by")
	case was != "":
		a.log.Info().Msg("alerts are evaluated again")
	}
	return now
}

// tell makes one attempt. It is not cut off when the process is told to end: what the receiver has taken would be sent again.
func tell(ctx context.Context, store *clickhouse.Store, receivers []delivery.Receiver, o alerts.Order) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delivery.AttemptTimeout+alertPatience)
	defer cancel()
	if o.Receiver == alerts.Table {
		return store.WriteAlert(ctx, &o.Alert)
	}
	for _, r := range receivers {
		if r.Name() == o.Receiver {
			return r.Deliver(ctx, delivery.Notification{Alert: o.Alert, Key: o.Key(), Now: time.Now(), Acked: o.Acked, Again: o.Again})
		}
	}
	return &delivery.Error{Receiver: o.Receiver, Detail: "there is no such receiver any more", Final: true}
}

// note reports an attempt to the evaluator, unless it was cut off by the end of the process.
func (a *alerting) note(ctx context.Context, e *alerts.Evaluator, d attempt) {
	if d.err != nil && ctx.Err() != nil {
		return
	}
	outcome := "done"
	dead, err := e.Done(context.WithoutCancel(ctx), d.order, time.Now(), d.err)
	switch {
	case dead:
		outcome = "given_up"
		a.log.Error().Err(d.err).Str("receiver", d.order.Receiver).Str("alert", d.order.Delivery.Alert).Msg("a receiver could not be told: it is a dead letter now")
	case d.err != nil:
		outcome = "failed"
		if d.order.Attempts == 0 {
			a.log.Warn().Err(d.err).Str("receiver", d.order.Receiver).Str("alert", d.order.Delivery.Alert).Msg("a receiver could not be told: trying again for a day")
		}
	}
	if err != nil {
		a.log.Error().Err(err).Msg("the state of the alerts could not be stored: it is read again")
	}
	a.deliveries.WithLabelValues(d.order.Receiver, outcome).Inc()
}

// refresh tells the receivers that forget what they do not hear of. An attempt that fails is made up for by the next.
func (a *alerting) refresh(ctx context.Context, firing []schemas.Alert) {
	for _, r := range a.settings.receivers {
		if !r.Traits().Refreshes || len(firing) == 0 {
			continue
		}
		go func() {
			ctx, cancel := context.WithTimeout(ctx, delivery.Refresh)
			defer cancel()
			for _, alert := range firing {
				if err := r.Deliver(ctx, delivery.Notification{Alert: alert, Key: alert.ID + "-raised", Now: time.Now()}); err != nil {
					a.deliveries.WithLabelValues(r.Name(), "failed").Inc()
					return
				}
			}
		}()
	}
}

// end waits for deliveries under way and stores what they came to.
func (a *alerting) end(e *alerts.Evaluator, done chan attempt, under int) {
	ctx, cancel := context.WithTimeout(context.Background(), alertPatience)
	defer cancel()
	for under > 0 && ctx.Err() == nil {
		select {
		case d := <-done:
			under--
			if d.err == nil { // one that was cut off is made again
				if _, err := e.Done(ctx, d.order, time.Now(), nil); err != nil {
					a.log.Warn().Err(err).Msg("a delivery could not be noted")
				}
			}
		case <-ctx.Done():
		}
	}
	if err := e.Flush(ctx, time.Now()); err != nil {
		a.log.Warn().Err(err).Msg("the last deliveries could not be noted: they are made again at the next start, under the same keys")
	}
}
