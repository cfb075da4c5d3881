package deadletter_test

import (
	"bytes"
	"context"
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
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/deadletter"
)

// world is a real broker with Earshot's streams.
type world struct {
	t    *testing.T
	ctx  context.Context
	nc   *nats.Conn
	js   jetstream.JetStream
	log  *stream.Publisher
	done []uint64 // of each shard, how far the ledger has come
	at   []uint64 // of each shard, sequence of the newest checkpoint
	name []string // of each shard, its epoch
}

func newWorld(t *testing.T, shards int) *world {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, done: make([]uint64, shards), at: make([]uint64, shards)}
	b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: shards, Logger: zerolog.Nop()})
	w.must(err)
	t.Cleanup(func() { b.Close() })
	w.nc, w.js, err = stream.Connect(b.URL(), "test", zerolog.Nop())
	w.must(err)
	t.Cleanup(w.nc.Close)
	top, err := stream.Provision(ctx, w.js, stream.ProvisionConfig{Shards: shards})
	w.must(err)
	w.name = top.Epochs
	w.log, err = stream.NewPublisher(w.nc, stream.PublisherConfig{Shards: shards})
	w.must(err)
	t.Cleanup(func() { w.log.Close(context.Background()) })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// config is that of a box on the world.
func (w *world) config() deadletter.Config {
	return deadletter.Config{JS: w.js, Log: w.log, Shards: len(w.done), Swap: w.swap}
}

func (w *world) swap(ctx context.Context, entries []schemas.Entry) (uint64, error) {
	return stream.Swap(ctx, w.nc, entries)
}

// death is an event that dies.
type death struct {
	shard           int
	tenant, channel string
	reason          schemas.Reason
	detail          string
	header          map[string]string
	data            string
}

// die puts the events into the log and commits each as a dead letter, as a worker does. It returns their names.
func (w *world) die(deaths ...death) []schemas.LetterID {
	w.t.Helper()
	var out []schemas.LetterID
	for _, d := range deaths {
		subject := fmt.Sprintf("feedback.%d.%s.%s.feedback.received", d.shard, schemas.Token(d.tenant), schemas.Token(d.channel))
		w.must(w.log.Publish(w.ctx, []schemas.Message{{Shard: d.shard, Subject: subject, Header: d.header, Data: []byte(d.data)}}))
		s, err := stream.OpenShard(w.ctx, w.js, w.nc, d.shard)
		w.must(err)
		records, err := s.Read(w.ctx, w.done[d.shard], 1, 0, time.Second, 0)
		w.must(err)
		s.Close()
		r := records[0]
		id := schemas.LetterID{Epoch: w.name[d.shard], Shard: d.shard, Seq: r.Seq}
		h := map[string]string{
			schemas.HeaderReason: string(d.reason), schemas.HeaderDetail: d.detail, schemas.HeaderStream: schemas.FeedbackStream(d.shard),
			schemas.HeaderSequence: fmt.Sprint(r.Seq), schemas.HeaderSubject: r.Subject, schemas.HeaderReceived: r.Time.Format(time.RFC3339Nano),
		}
		if d.reason == schemas.ReasonSink {
			h[schemas.HeaderCode] = "469"
		}
		for k, v := range r.Header {
			h[k] = v
		}
		cp := schemas.Checkpoint{Epoch: id.Epoch, Shard: d.shard, Generation: 1, Hi: r.Seq, Dead: r.Seq}
		w.at[d.shard], err = s.Commit(w.ctx, cp, w.at[d.shard], []schemas.Outcome{{Subject: schemas.DeadSubject(d.shard, d.reason), ID: id.String(), Header: h, Data: r.Data}}, 0)
		w.must(err)
		w.done[d.shard] = r.Seq
		out = append(out, id)
	}
	return out
}

// broken are n events that no reader can read, nor can they be told apart.
func broken(n int) []death {
	out := make([]death, n)
	for i := range out {
		out[i] = death{tenant: "t", channel: "web", reason: schemas.ReasonParse, detail: "is not JSON", data: `{"half":`}
	}
	return out
}

// list returns the chosen letters.
func (w *world) list(f deadletter.Filter) []*deadletter.Letter {
	w.t.Helper()
	var out []*deadletter.Letter
	for l, err := range deadletter.New(w.config()).Letters(w.ctx, f) {
		w.must(err)
		out = append(out, l)
	}
	return out
}

// replay replays the chosen letters and returns how many came into each state, failures under their text.
func (w *world) replay(cfg deadletter.Config, f deadletter.Filter) (map[string]int, error) {
	got := map[string]int{}
	err := deadletter.New(cfg).Replay(w.ctx, f, func(l *deadletter.Letter, err error) {
		if err != nil {
			got[err.Error()]++
			return
		}
		got[string(l.State)]++
	})
	return got, err
}

// again lists the messages of a shard's log that were replayed.
func (w *world) again(shard int) []schemas.Record {
	w.t.Helper()
	s, err := stream.OpenShard(w.ctx, w.js, w.nc, shard)
	w.must(err)
	defer s.Close()
	last, err := s.Last(w.ctx)
	w.must(err)
	var out []schemas.Record
	for after := uint64(0); after < last; {
		rs, err := s.Read(w.ctx, after, 0, 0, time.Second, 0)
		w.must(err)
		for _, r := range rs {
			if r.Header[schemas.HeaderReplay] != "" {
				out = append(out, r)
			}
			after = r.Seq
		}
	}
	return out
}

func TestALetterTellsEverything(t *testing.T) {
	w := newWorld(t, 1)
	header := map[string]string{"ce-id": "1", "ce-specversion": "1.0", "Content-Type": "application/json"}
	id := w.die(death{tenant: "a.b", channel: "chat", reason: schemas.ReasonSink, detail: "refused: VIOLATED_CONSTRAINT", header: header, data: "\x00\xff original"})[0]
	l, err := deadletter.New(w.config()).Letter(w.ctx, schemas.LetterID{Shard: 0, Seq: 1})
	w.must(err)
	switch {
	case l.ID != id, l.Reason != schemas.ReasonSink, l.Code != 469, !strings.Contains(l.Detail, "CONSTRAINT"), l.Tenant != "a.b", l.Channel != "chat",
		string(l.Data) != "\x00\xff original", l.Size != 11, l.State != deadletter.Open, l.Former != "", time.Since(l.Received) > time.Hour:
		t.Errorf("the letter says %+v", l)
	}
	if fmt.Sprint(l.Header) != fmt.Sprint(header) {
		t.Errorf("headers %v, want those of the original, %v", l.Header, header)
	}
	if listed := w.list(deadletter.Filter{}); len(listed) != 1 || listed[0].Data != nil || listed[0].Size != 11 {
		t.Errorf("listed: %+v, want the letter without its body but with its size", listed)
	}
	if _, err := deadletter.New(w.config()).Letter(w.ctx, schemas.LetterID{Seq: 9}); err == nil || !strings.Contains(err.Error(), "dlq list") {
		t.Errorf("a letter that is not there: %v", err)
	}
}

func TestFiltersChoose(t *testing.T) {
	w := newWorld(t, 2)
	one := 1
	ids := w.die(
		death{tenant: "t", channel: "web", reason: schemas.ReasonParse, detail: "is not JSON at byte 3"},
		death{tenant: "t", channel: "chat", reason: schemas.ReasonSchema, detail: "time: is missing"},
		death{shard: 1, tenant: "other one", channel: "web", reason: schemas.ReasonParse, detail: "is empty"},
		death{shard: 1, tenant: "t", channel: "web", reason: schemas.ReasonParse, detail: "is not JSON at byte 9"},
	)
	w.must(deadletter.New(w.config()).Discard(w.ctx, deadletter.Filter{IDs: ids[:1]}, func(*deadletter.Letter, error) {}))
	middle := w.list(deadletter.Filter{})[2].Received
	for _, c := range []struct {
		claim string
		f     deadletter.Filter
		want  []int
	}{
		{"nothing asked: all", deadletter.Filter{}, []int{0, 1, 2, 3}},
		{"shard", deadletter.Filter{Shard: &one}, []int{2, 3}},
		{"tenant, whatever characters it has", deadletter.Filter{Tenant: "other one"}, []int{2}},
		{"channel", deadletter.Filter{Channel: "chat"}, []int{1}},
		{"reason", deadletter.Filter{Reason: schemas.ReasonParse}, []int{0, 2, 3}},
		{"shard and reason", deadletter.Filter{Shard: &one, Reason: schemas.ReasonSchema}, nil},
		{"state", deadletter.Filter{States: []deadletter.State{deadletter.Open}}, []int{1, 2, 3}},
		{"another state", deadletter.Filter{States: []deadletter.State{deadletter.Discarded, deadletter.Replayed}}, []int{0}},
		{"since", deadletter.Filter{Since: middle}, []int{2, 3}},
		{"until", deadletter.Filter{Until: middle}, []int{0, 1}},
		{"detail, whatever the case", deadletter.Filter{Detail: "not json"}, []int{0, 3}},
		{"sequences", deadletter.Filter{Lo: 2, Hi: 2}, []int{1, 3}},
		{"names, full and short", deadletter.Filter{IDs: []schemas.LetterID{ids[0], {Shard: 1, Seq: 2}}}, []int{0, 3}},
		{"a name of another epoch", deadletter.Filter{IDs: []schemas.LetterID{{Epoch: "other", Shard: 1, Seq: 2}}}, nil},
		{"limit", deadletter.Filter{Limit: 2}, []int{0, 1}},
	} {
		var want, got []schemas.LetterID
		for _, i := range c.want {
			want = append(want, ids[i])
		}
		for _, l := range w.list(c.f) {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.claim, got, want)
		}
	}
}

const sound = `{"specversion":"1.0","id":"1","source":"/s","type":"feedback.received.v1","time":"2026-11-01T08:00:00Z","tenantid":"acme","data":{"channel":"web","value_text":"Late.","customer_id":"c7"}}`

func TestAMendedLetterGoesWhereItsEventBelongs(t *testing.T) {
	w := newWorld(t, 4)
	id := w.die(broken(1)...)[0]
	box := deadletter.New(w.config())
	if _, err := box.Mend(w.ctx, id, []byte(`{"specversion":"1.0"}`), nil); err == nil || !strings.Contains(err.Error(), "still at fault") {
		t.Errorf("a half mended event: %v, want a refusal", err)
	}
	if l := w.list(deadletter.Filter{})[0]; l.State != deadletter.Open {
		t.Errorf("after a refusal the letter is %s", l.State)
	}
	l, err := box.Mend(w.ctx, id, []byte(sound), map[string]string{"Content-Type": schemas.ContentTypeEvent})
	w.must(err)
	shard := schemas.Shard(schemas.KeyToken("acme", "c7"), 4)
	rs := w.again(shard)
	if len(rs) != 1 || string(rs[0].Data) != sound || rs[0].Subject != fmt.Sprintf("feedback.%d.acme.web.feedback.received", shard) || rs[0].Header["Content-Type"] != schemas.ContentTypeEvent {
		t.Fatalf("in shard %d: %+v", shard, rs)
	}
	if l.State != deadletter.Replayed || !l.Mended || l.Again.Shard != shard || l.Again.Seq != rs[0].Seq {
		t.Errorf("the letter says %s, mended %v, as %v", l.State, l.Mended, l.Again)
	}
	if _, err := box.Mend(w.ctx, id, []byte(sound), nil); err == nil || !strings.Contains(err.Error(), "in the log again already") {
		t.Errorf("mended twice: %v", err)
	}
}

func TestDiscardedLettersStayAndCanComeBack(t *testing.T) {
	w := newWorld(t, 1)
	w.die(broken(3)...)
	n := 0
	w.must(deadletter.New(w.config()).Discard(w.ctx, deadletter.Filter{States: []deadletter.State{deadletter.Discarded}}, func(*deadletter.Letter, error) { n = 99 }))
	for range 2 {
		w.must(deadletter.New(w.config()).Discard(w.ctx, deadletter.Filter{Lo: 2}, func(_ *deadletter.Letter, err error) { w.must(err); n++ }))
	}
	if n != 2 {
		t.Errorf("%d were discarded, want 2, once", n)
	}
	if got, err := w.replay(w.config(), deadletter.Filter{}); err != nil || got["replayed"] != 1 {
		t.Errorf("replay of all: %v %v, want the one that is open", got, err)
	}
	if got, err := w.replay(w.config(), deadletter.Filter{States: []deadletter.State{deadletter.Discarded, deadletter.Replayed}}); err != nil || got["replayed"] != 2 {
		t.Errorf("replay of the discarded ones: %v %v", got, err)
	}
	if rs := w.again(0); len(rs) != 3 || len(w.list(deadletter.Filter{})) != 3 {
		t.Errorf("%d replayed of %d letters, want 3 of 3", len(rs), len(w.list(deadletter.Filter{})))
	}
}

// A letter that the log would never take stays open and keeps nobody else from going.
func TestWhatTheLogRefusesStaysOpen(t *testing.T) {
	w := newWorld(t, 1)
	w.die(broken(1)...)
	huge := bytes.Repeat([]byte("x"), schemas.MaxEventBytes+1)
	if _, err := w.js.Publish(w.ctx, "feedback.0.t.web.k", huge); err != nil {
		t.Fatal(err)
	}
	h := nats.Header{schemas.HeaderOutcomeID: {w.name[0] + "-0-2"}, schemas.HeaderSubject: {"feedback.0.t.web.k"}, schemas.HeaderReason: {string(schemas.ReasonTooLarge)}}
	if _, err := w.js.PublishMsg(w.ctx, &nats.Msg{Subject: schemas.DeadSubject(0, schemas.ReasonTooLarge), Header: h, Data: huge}); err != nil {
		t.Fatal(err)
	}
	got, err := w.replay(w.config(), deadletter.Filter{})
	if err != nil || got["replayed"] != 1 || len(got) != 2 {
		t.Errorf("%v %v, want one replayed and one refused", got, err)
	}
	if ls := w.list(deadletter.Filter{}); ls[0].State != deadletter.Replayed || ls[1].State != deadletter.Open {
		t.Errorf("the letters are %s and %s", ls[0].State, ls[1].State)
	}
}

// What an adapter published past the server's mappings goes into shard 0 without being mapped a second time.
func TestAnUnmappedLetterIsSentToItsShard(t *testing.T) {
	w := newWorld(t, 1)
	h := nats.Header{schemas.HeaderOutcomeID: {w.name[0] + "-0-1"}, schemas.HeaderSubject: {"feedback.in.t.web.a.b.c.d.e"}, schemas.HeaderReason: {string(schemas.ReasonParse)}}
	if _, err := w.js.PublishMsg(w.ctx, &nats.Msg{Subject: schemas.DeadSubject(0, schemas.ReasonParse), Header: h, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.replay(w.config(), deadletter.Filter{Tenant: "t", Channel: "web"}); err != nil || got["replayed"] != 1 {
		t.Fatalf("%v %v", got, err)
	}
	if rs := w.again(0); len(rs) != 1 || rs[0].Subject != "feedback.0.t.web.a.b.c.d.e" {
		t.Errorf("%+v", rs)
	}
}

// Letters that somebody removed from DEADLETTERS do not keep the others from being listed.
func TestRemovedLettersAreNotWaitedForForEver(t *testing.T) {
	w := newWorld(t, 1)
	w.die(broken(2)...)
	w.list(deadletter.Filter{}) // both are copied
	st, err := w.js.Stream(w.ctx, schemas.DeadLettersStream)
	w.must(err)
	w.must(st.DeleteMsg(w.ctx, 2))
	if ls := w.list(deadletter.Filter{}); len(ls) != 1 {
		t.Errorf("%d letters are listed, want the one that is left", len(ls))
	}
}

// A delivery of an alert that was given up is a letter like others, under a name of its own, and goes back to the outbox.
func TestDeliveriesOfAlertsAreLettersToo(t *testing.T) {
	w := newWorld(t, 1)
	ids := w.die(broken(1)...)
	journal := stream.OpenJournal(w.js, w.nc, schemas.CheckpointPrefix+"alerts")
	var outcomes []schemas.Outcome
	for i := range 2 {
		outcomes = append(outcomes, schemas.Outcome{
			Subject: schemas.DeadSubject(schemas.AlertShard, schemas.ReasonRetryExhausted), ID: fmt.Sprintf("a%d-raised-t1-0", i), Data: fmt.Appendf(nil, `{"n":%d}`, i),
			Header: map[string]string{schemas.HeaderReason: string(schemas.ReasonRetryExhausted), schemas.HeaderDetail: "503", schemas.HeaderSubject: "feedback.alerts.acme.app"},
		})
	}
	_, err := journal.Swap(w.ctx, []byte("{}"), 0, outcomes)
	w.must(err)
	got := w.list(deadletter.Filter{})
	if len(got) != 3 || got[0].ID != ids[0] || got[1].ID.Short() != "alerts-2" || !got[1].Delivery() || got[1].Tenant != "acme" || got[1].Channel != "app" || got[1].State != deadletter.Open {
		t.Fatalf("listed %+v", got)
	}
	shard := schemas.AlertShard
	if only := w.list(deadletter.Filter{Shard: &shard}); len(only) != 2 {
		t.Errorf("%d letters of alerts, want 2", len(only))
	}
	first, ok := schemas.ParseLetterID("alerts-2")
	if !ok {
		t.Fatal("its name is none")
	}
	cfg := w.config()
	var given []string
	cfg.Redeliver = func(_ context.Context, id schemas.LetterID, body []byte) error {
		given = append(given, id.Short()+" "+string(body))
		return nil
	}
	for range 2 { // the second time nothing is left to do
		if _, err := w.replay(cfg, deadletter.Filter{IDs: []schemas.LetterID{first}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(given) != 1 || given[0] != `alerts-2 {"n":0}` {
		t.Errorf("given back: %q", given)
	}
	if len(w.again(0)) > 0 {
		t.Error("a delivery was sent into the log")
	}
	box := deadletter.New(cfg)
	w.must(box.Discard(w.ctx, deadletter.Filter{Shard: &shard}, func(*deadletter.Letter, error) {}))
	got = w.list(deadletter.Filter{})
	if got[0].State != deadletter.Open || got[1].State != deadletter.Replayed || got[2].State != deadletter.Discarded {
		t.Errorf("states %v, %v, %v", got[0].State, got[1].State, got[2].State)
	}
	if l, err := box.Letter(w.ctx, first); err != nil || string(l.Data) != `{"n":0}` {
		t.Errorf("shown %+v, %v", l, err)
	}
	if _, err := box.Mend(w.ctx, first, []byte("{}"), nil); err == nil {
		t.Error("a delivery was mended")
	}
}
