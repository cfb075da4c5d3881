package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// timed is an event that says it happened at a time.
func timed(id, at string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/test/clock","type":"feedback.received.v1","time":%q,"tenantid":"acme","data":{"channel":"support","value_text":"Late again.","customer_id":"c-1"}}`, id, at)
}

// Whatever an event says of its time, it ends as a row with that very time, or is refused with the reason: at the gateway
// with a 4xx, straight from NATS as a dead letter.
func TestExactEventTimes(t *testing.T) {
	t.Parallel()
	const noTime, future, past = "is not a time", "is in the future", "is not a time anybody gave feedback"
	now := time.Now().UTC()
	cases := []struct{ at, refused string }{
		{"1970-01-02T00:00:00Z", ""},
		{"1999-12-31T23:59:59.999Z", ""},
		{"2024-02-29T12:00:00Z", ""},
		{"2026-03-29T02:30:00+01:00", ""}, // an hour that clocks in Berlin leap over; with its offset it is an instant
		{"2026-10-25T02:30:00+02:00", ""}, // an hour that they show twice
		{"2026-10-25T02:30:00+01:00", ""},
		{"2016-12-31T23:59:59Z", ""},
		{now.Add(4 * time.Minute).Format(time.RFC3339), ""}, // clocks differ that much
		{"2016-12-31T23:59:60Z", noTime},                    // a leap second: no clock in the pipeline can tell it
		{"2026-02-29T12:00:00Z", noTime},
		{"2026-10-25T02:30:00", noTime},
		{"1970-01-01T00:00:00Z", past},
		{"1969-07-20T20:17:40Z", past},
		{"0001-01-01T00:00:00Z", past},
		{now.Add(2 * time.Hour).Format(time.RFC3339), future},
		{"9999-12-31T23:59:59Z", future},
	}
	dir := dataFolder(t)
	up := startUp(t, dir)
	_, js, err := stream.Connect(up.Nats, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	accepted, want, dead := map[string]bool{}, map[string]int64{}, map[string]string{}
	for i, c := range cases {
		g, n := fmt.Sprint("gateway-", i), fmt.Sprint("nats-", i)
		code, answer, err := post(up.Gateway+"/v1/events", schemas.ContentTypeEvent, []byte(timed(g, c.at)))
		if _, err := js.Publish(t.Context(), "feedback.in.acme.support.feedback.received.k", []byte(timed(n, c.at))); err != nil {
			t.Fatal(err)
		}
		switch {
		case err != nil:
			t.Fatal(err)
		case c.refused == "":
			if code != http.StatusAccepted {
				t.Errorf("%s: the gateway says %d %s", c.at, code, answer)
			}
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			accepted[g], accepted[n] = true, true
			want[g], want[n] = at.UnixMilli(), at.UnixMilli()
		default:
			if code < 400 || code > 499 || !strings.Contains(string(answer), c.refused) {
				t.Errorf("%s: the gateway says %d %s, want a 4xx with %q", c.at, code, answer, c.refused)
			}
			dead[n] = c.refused
		}
	}
	if b := settle(t, dir); b.Dead != uint64(len(dead)) || b.Stored != uint64(len(accepted)) {
		t.Errorf("%+v, want %d stored and %d dead", b, len(accepted), len(dead))
	}
	for _, line := range rowsIn(t, up.Clickhouse, "earshot", "concat(source_event_id, '=', toString(toUnixTimestamp64Milli(occurred_at)))") {
		id, at, _ := strings.Cut(line, "=")
		if at != fmt.Sprint(want[id]) {
			t.Errorf("%s is stored as of %s, want %d", id, at, want[id])
		}
	}
	for id, detail := range deadLettersOf(t, js) {
		if reason, ok := dead[id]; !ok || !strings.Contains(detail, reason) {
			t.Errorf("the dead letter %s says %q, want %q", id, detail, reason)
		}
		delete(dead, id)
	}
	if len(dead) > 0 {
		t.Errorf("no dead letter for %v", dead)
	}
	judge(t, rowsIn(t, up.Clickhouse, "earshot", "source_event_id"), accepted, func(id string) bool { return accepted[id] }).
		report(t, "event times of 1969, 1970, 9999, in 2 h, in DST gaps, on a leap second", len(cases))
	up.stop()
}

// deadLettersOf reads the details of all dead letters by the id of the event.
func deadLettersOf(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	c, err := js.OrderedConsumer(t.Context(), schemas.OutcomesStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"dead.>"}})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for {
		m, err := c.Next(jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return out
		}
		var e struct{ ID string }
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			t.Errorf("a dead letter is not what was sent: %v", err)
		}
		out[e.ID] = m.Headers().Get(schemas.HeaderDetail)
	}
}

// One batch holds events of many months, decades apart, as an import of history does: one plan with a part for each.
func TestExactMonthsFarApart(t *testing.T) {
	t.Parallel()
	months := long(48, 670)
	dir := dataFolder(t)
	up := startUp(t, dir)
	accepted, want := map[string]bool{}, []string{}
	body := []byte{'['}
	for i := range 3 * months {
		at := time.Date(1970, time.Month(2+i%months*(670/months)), 2+i/months, 23, 59, 59, 0, time.UTC)
		id := fmt.Sprint(i)
		accepted[id] = true
		want = append(want, fmt.Sprint(id, "=", at.Format("200601")))
		body = append(append(body, timed(id, at.Format(time.RFC3339))...), ',')
	}
	body[len(body)-1] = ']'
	for range 2 {
		if code, answer, err := post(up.Gateway+"/v1/events", batchType, body); err != nil || code != http.StatusAccepted {
			t.Fatalf("%d %s %v", code, answer, err)
		}
	}
	if b := settle(t, dir); b.Stored != uint64(3*months) || b.Duplicates != uint64(3*months) {
		t.Errorf("%+v, want %d stored and as many duplicates", b, 3*months)
	}
	got := rowsIn(t, up.Clickhouse, "earshot", "concat(source_event_id, '=', toString(toYYYYMM(occurred_at)))")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the months are not those of the events: %v", got)
	}
	judge(t, rowsIn(t, up.Clickhouse, "earshot", "source_event_id"), accepted, func(id string) bool { return accepted[id] }).
		report(t, fmt.Sprintf("%d months in one batch", months), 1)
	up.stop()
}

// backwards is a log whose clock is set back by an hour every hundred events.
type backwards struct {
	*stream.Shard
}

func (b backwards) Read(ctx context.Context, after uint64, most, maxBytes int, idle, linger time.Duration) ([]schemas.Record, error) {
	rs, err := b.Shard.Read(ctx, after, most, maxBytes, idle, linger)
	for i := range rs {
		rs[i].Time = rs[i].Time.Add(-time.Duration(rs[i].Seq/100) * time.Hour)
	}
	return rs, err
}

// The clock of the log runs backwards, over restarts of the worker, which asks for the identities received last: the
// order is that of the sequences, and the times decide nothing.
func TestExactClockRunsBackwards(t *testing.T) {
	t.Parallel()
	o := startOutside(t)
	store, err := clickhouse.Open(o.ctx, clickhouse.Config{DSN: o.clickhouse, Database: outsideDatabase, Logger: zerolog.Nop()})
	o.must(err)
	defer store.Close()
	_, err = store.Migrate(o.ctx, clickhouse.MigrateOptions{})
	o.must(err)
	classifier, err := classify.Load()
	o.must(err)
	keyer, err := privacy.NewKeyer(make([]byte, 32))
	o.must(err)
	const rounds, size = 4, 200
	accepted := map[string]bool{}
	for round := range rounds {
		ids := make([]string, 0, 2*size)
		for i := range size { // new ones, and of each earlier round some again
			ids = append(ids, fmt.Sprint(round*size+i), fmt.Sprint((round*size+i)*7%(round*size+i+1)))
		}
		for _, id := range ids {
			accepted[id] = true
		}
		o.must(o.publish(ids...))
		shard, err := stream.OpenShard(o.ctx, o.js, o.nc, 0)
		o.must(err)
		ctx, cancel := context.WithCancel(o.ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- worker.New(worker.Config{Log: backwards{shard}, Store: store, Classifier: classifier, Keyer: keyer, Logger: zerolog.Nop(),
				BatchRows: 50, Linger: time.Millisecond, Idle: 50 * time.Millisecond, DedupCapacity: 1}).Run(ctx)
		}()
		eventually(t, "the round is stored", func() bool { return o.ledger().Hi == uint64(2*size*(round+1)) })
		cancel()
		o.must(<-ended)
		shard.Close()
	}
	if b := settle(t, dataFolder(t), o.env()...); b.Stored != rounds*size || b.Dead != 0 {
		t.Errorf("%+v, want %d stored", b, rounds*size)
	}
	judge(t, rowsIn(t, o.clickhouse, outsideDatabase, "source_event_id"), accepted, func(id string) bool { return accepted[id] }).
		report(t, "the log's clock runs backwards", rounds)
}
