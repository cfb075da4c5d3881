package alerts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// noon is when the stories happen: a Wednesday, after five weeks of history.
var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// world is a real broker and a real store with the time of the test's choice.
type world struct {
	t     *testing.T
	store *clickhouse.Store
	nc    *nats.Conn
	js    jetstream.JetStream
	seq   uint64
	rows  []schemas.Row
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	b, err := broker.Start(t.Context(), broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if w.nc, w.js, err = stream.Connect(b.URL(), "test", zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nc.Close)
	if _, err := stream.Provision(t.Context(), w.js, stream.ProvisionConfig{Shards: 1}); err != nil {
		t.Fatal(err)
	}
	if w.store, err = clickhouse.Open(t.Context(), clickhouse.Config{DSN: enginetest.Start(t), Logger: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if _, err := w.store.Migrate(t.Context(), clickhouse.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) journal() *stream.Journal {
	return stream.OpenJournal(w.js, w.nc, schemas.AlertJournal)
}

// say adds one piece of feedback; store stores what was added.
func (w *world) say(at time.Time, tenant, customer, text string, polarity schemas.Polarity) {
	w.seq++
	e := &schemas.Event{ID: fmt.Sprint(w.seq), Source: "/test", Kind: schemas.FeedbackReceived, Tenant: tenant, Time: at}
	e.Data.Channel, e.Data.Text = "app", text
	r := schemas.Row{Event: e, ID: e.Identity(), CustomerKey: customer, Epoch: "e", Seq: w.seq, Generation: 1, ReceivedAt: at}
	r.Labels.Polarity = polarity
	if polarity == schemas.Negative {
		r.Labels.Mentions = []schemas.Mention{{Element: schemas.Product, Facet: schemas.Quality, Theme: "crash-or-bug", Polarity: -1, End: uint32(len(text))}}
	}
	r.Seal(nil)
	w.rows = append(w.rows, r)
}

func (w *world) save() {
	w.t.Helper()
	months := map[string][]schemas.Row{}
	for _, r := range w.rows {
		m := fmt.Sprint(r.Generation, r.Event.Time.Format("200601"))
		months[m] = append(months[m], r)
	}
	for _, rows := range months {
		if err := w.store.Insert(w.t.Context(), rows, fmt.Sprintf("t-%d-%d-%d", rows[0].Generation, rows[0].Seq, rows[0].Event.Time.Unix())); err != nil {
			w.t.Fatal(err)
		}
	}
	w.rows = nil
}

// weeks gives a tenant so many weeks of two customers an hour, one of ten negative.
func (w *world) weeks(tenant string, n int) {
	from := noon.Add(-time.Duration(n) * 7 * 24 * time.Hour)
	for i, at := 0, from; at.Before(noon.Add(-20 * time.Minute)); i, at = i+1, at.Add(30*time.Minute) {
		p := schemas.Positive
		if i%10 == 0 {
			p = schemas.Negative
		}
		w.say(at, tenant, fmt.Sprintf("%s-old-%d", tenant, i), "as always", p)
	}
}

// crowd has n customers speak within the minutes before and after noon.
func (w *world) crowd(tenant string, from, minutes, n int, text string, polarity schemas.Polarity, same bool) {
	for i := range n {
		who := fmt.Sprintf("%s-%d", tenant, w.seq)
		if same {
			who = tenant + "-same"
		}
		w.say(noon.Add(time.Duration(from)*time.Minute+time.Duration(i)*time.Duration(minutes)*time.Minute/time.Duration(n)), tenant, who, text, polarity)
	}
}

func (w *world) evaluator(rules string) *alerts.Evaluator {
	w.t.Helper()
	parsed, err := alerts.ParseRules("test", []byte(rules))
	if err != nil {
		w.t.Fatal(err)
	}
	masker, err := privacy.NewMasker()
	if err != nil {
		w.t.Fatal(err)
	}
	return alerts.New(alerts.Config{Rules: parsed, Receivers: []string{"pager"}, Owner: fmt.Sprintf("o%d", time.Now().UnixNano()), Store: w.store, Journal: w.journal(), Link: "https://example.org/", Quote: masker.Quote})
}

// collector collects what is delivered, as a receiver would see it.
type collector struct {
	t    *testing.T
	seen []string // minute, tenant and what
	keys []string
	last map[string]schemas.Alert
}

// orders are what an evaluator hands out.
func (w *world) orders(e *alerts.Evaluator, now time.Time) []alerts.Order {
	w.t.Helper()
	out, err := e.Orders(w.t.Context(), now)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// step evaluates at a minute after noon and delivers what is due.
func (c *collector) step(ctx context.Context, e *alerts.Evaluator, minute int) {
	c.t.Helper()
	now := noon.Add(time.Duration(minute) * time.Minute)
	if _, err := e.Step(ctx, now); err != nil {
		c.t.Fatalf("minute %d: %v", minute, err)
	}
	orders, err := e.Orders(ctx, now)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range orders {
		if o.Receiver != alerts.Table {
			what := "raised"
			if o.Alert.Resolved() {
				what = "resolved"
			}
			c.seen = append(c.seen, fmt.Sprintf("%d %s %s %s", minute, o.Alert.Rule, o.Alert.Cell["tenant"], what))
			c.keys = append(c.keys, o.Key())
			if c.last == nil {
				c.last = map[string]schemas.Alert{}
			}
			c.last[o.Alert.Cell["tenant"]] = o.Alert
		}
		if _, err := e.Done(ctx, o, now, nil); err != nil {
			c.t.Fatal(err)
		}
	}
}

// announced waits for the announcements on INSIGHTS and checks that there are no others.
func (w *world) announced(subjects ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	st, err := w.js.Stream(ctx, schemas.InsightsStream)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for seq := uint64(1); len(got) < len(subjects); {
		m, err := st.GetMsg(ctx, seq)
		if err != nil {
			if ctx.Err() != nil {
				w.t.Fatalf("announced %q, want %q", got, subjects)
			}
			time.Sleep(10 * time.Millisecond)
			continue
		}
		var e struct{ Type string }
		if err := json.Unmarshal(m.Data, &e); err != nil || !strings.HasPrefix(e.Type, "alert.") {
			w.t.Errorf("%s is no alert: %.200s", m.Subject, m.Data)
		}
		got = append(got, m.Subject)
		seq++
	}
	if !slices.Equal(got, subjects) {
		w.t.Errorf("announced %q, want %q", got, subjects)
	}
}
