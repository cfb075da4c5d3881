package compare_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/compare"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
	"github.com/earshot/earshot/sinks/deadletter"
)

// stores are a real log and a real table with a worker between them.
type stores struct {
	t         *testing.T
	ctx       context.Context
	nc        *nats.Conn
	js        jetstream.JetStream
	dsn       string
	store     *clickhouse.Store
	publisher *stream.Publisher
	log       *stream.Shard
	published uint64
}

func openStores(t *testing.T) *stores {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s := &stores{t: t, ctx: ctx}
	b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	s.must(err)
	t.Cleanup(func() { b.Close() })
	s.nc, s.js, err = stream.Connect(b.URL(), "test", zerolog.Nop())
	s.must(err)
	t.Cleanup(s.nc.Close)
	_, err = stream.Provision(ctx, s.js, stream.ProvisionConfig{Shards: 1})
	s.must(err)
	s.publisher, err = stream.NewPublisher(s.nc, stream.PublisherConfig{Shards: 1})
	s.must(err)
	t.Cleanup(func() { s.publisher.Close(context.Background()) })
	s.dsn = enginetest.Start(t)
	s.store, err = clickhouse.Open(ctx, clickhouse.Config{DSN: s.dsn, Database: s.dsn[strings.LastIndex(s.dsn, "/")+1:], Logger: zerolog.Nop()})
	s.must(err)
	t.Cleanup(func() { s.store.Close() })
	_, err = s.store.Migrate(ctx, clickhouse.MigrateOptions{})
	s.must(err)
	s.log, err = stream.OpenShard(ctx, s.js, s.nc, 0)
	s.must(err)
	t.Cleanup(s.log.Close)
	s.work()
	return s
}

func (s *stores) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// work runs a worker until the test ends.
func (s *stores) work() {
	classifier, err := classify.Load()
	s.must(err)
	keyer, err := privacy.NewKeyer([]byte("0123456789abcdef"))
	s.must(err)
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- worker.New(worker.Config{Log: log, Store: s.store, Classifier: classifier, Keyer: keyer, Logger: zerolog.Nop(), Linger: 5 * time.Millisecond}).Run(ctx)
	}()
	s.t.Cleanup(func() { cancel(); <-ended; log.Close() })
}

// exec runs a statement behind the pipeline's back.
func (s *stores) exec(statement string) {
	s.t.Helper()
	at := strings.LastIndex(s.dsn, "/")
	resp, err := http.Post(s.dsn[:at]+"/?mutations_sync=2&database="+s.dsn[at+1:], "text/plain", strings.NewReader(statement))
	s.must(err)
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", statement, answer)
	}
}

// publish puts bodies into the log on a channel.
func (s *stores) publish(channel string, bodies ...string) {
	s.t.Helper()
	msgs := make([]schemas.Message, len(bodies))
	for i, body := range bodies {
		body = strings.Replace(body, `"channel":"support"`, fmt.Sprintf(`"channel":%q`, channel), 1)
		msgs[i] = schemas.Message{Subject: "feedback.0.t." + channel + ".feedback.received", Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}, Data: []byte(body)}
	}
	s.must(s.publisher.Publish(s.ctx, msgs))
	s.published += uint64(len(bodies))
}

func events(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"specversion":"1.0","id":"%s%d","source":"/w","type":"feedback.received.v1","time":"2026-%02d-11T08:00:00Z","tenantid":"t","data":{"channel":"support","customer_id":"c","value_text":"Late."}}`, prefix, i, 9+i%2)
	}
	return out
}

// compare waits for the worker and compares, a window at a time.
func (s *stores) compare(window uint64) *compare.Sheet {
	s.t.Helper()
	for {
		l, err := s.log.Load(s.ctx)
		s.must(err)
		if l.Checkpoint != nil && l.Checkpoint.Hi == s.published && l.Checkpoint.Outcomes == 0 {
			break
		}
		if s.ctx.Err() != nil {
			s.t.Fatal("the worker does not get there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	letters, err := deadletter.New(deadletter.Config{JS: s.js}).Sequences(s.ctx, s.log.Epoch(), 0)
	s.must(err)
	var sheet compare.Sheet
	s.must(compare.Shard{
		Log: s.log, Table: s.store, Letters: letters, Epoch: s.log.Epoch(), Generation: 1, Lo: 1, Hi: s.published, Window: window,
	}.Compare(s.ctx, &sheet))
	return &sheet
}

// sums adds the lines of a channel up, since a test may go past the end of an hour.
func sums(sheet *compare.Sheet, channel string) string {
	var l compare.Line
	for _, line := range sheet.Lines() {
		if line.Channel == channel {
			l.Published += line.Published
			l.Stored += line.Stored
			l.Duplicates += line.Duplicates
			l.Dead += line.Dead
			l.Difference += line.Difference
		}
	}
	return fmt.Sprintf("%d = %d + %d + %d, %d", l.Published, l.Stored, l.Duplicates, l.Dead, l.Difference)
}

// Whatever somebody takes from the stores or adds to them behind the pipeline's back is found and named, and nothing else.
func TestEveryDifferenceIsFoundAndNamed(t *testing.T) {
	s := openStores(t)
	s.publish("chat", events("a", 100)...)            // 1–100
	s.publish("web", events("b", 50)...)              // 101–150
	s.publish("web", "no event", "neither", "nor it") // 151–153
	s.publish("web", events("a", 30)...)              // 154–183, of which all are duplicates
	s.publish("chat", events("c", 17)...)             // 184–200
	for _, window := range []uint64{3, 200, 1000} {
		sheet := s.compare(window)
		if chat, web := sums(sheet, "chat"), sums(sheet, "web"); sheet.Differ != 0 || chat != "117 = 117 + 0 + 0, 0" || web != "83 = 50 + 30 + 3, 0" {
			t.Errorf("as it should be, %d at a time: chat %s, web %s, %v", window, chat, web, sheet.Faults)
		}
	}
	remove := func(name string, seq uint64) {
		t.Helper()
		st, err := s.js.Stream(s.ctx, name)
		s.must(err)
		s.must(st.DeleteMsg(s.ctx, seq))
	}
	const another = "INSERT INTO feedback SELECT * REPLACE (%s) FROM (SELECT * FROM feedback WHERE seq = %d)"
	before := s.named()
	for _, c := range []struct {
		claim  string
		tamper func()
		want   map[uint64]string // faults that it adds
		gone   uint64            // a fault that it takes away
	}{
		{"a row is deleted", func() { s.exec("DELETE FROM feedback WHERE seq = 40") }, map[uint64]string{40: "it is not stored"}, 0},
		{"a row is made another event's", func() { s.exec("ALTER TABLE feedback UPDATE event_id = generateUUIDv4() WHERE seq = 35") },
			map[uint64]string{35: "of another event"}, 0},
		{"a row is doubled, and one deleted of the same hour and channel", func() {
			s.exec("INSERT INTO feedback SELECT * FROM feedback WHERE seq = 50")
			s.exec("DELETE FROM feedback WHERE seq = 51")
		}, map[uint64]string{50: "stored 2 times", 51: "it is not stored"}, 0},
		{"a row of which there is a duplicate is deleted", func() { s.exec("DELETE FROM feedback WHERE seq = 5") },
			map[uint64]string{5: "it is not stored", 158: "it is not stored"}, 0},
		{"that event is found to be stored in a former epoch", func() {
			s.exec(fmt.Sprintf(another, "'former' AS epoch, '"+schemas.Identify("t", "/w", "a4").String()+"' AS event_id", 60))
		}, nil, 5},
		{"the only holder has a greater sequence", func() {
			s.exec("DELETE FROM feedback WHERE seq = 70")
			s.exec(fmt.Sprintf(another, "'"+schemas.Identify("t", "/w", "a69").String()+"' AS event_id", 200))
		}, map[uint64]string{70: "it is not stored", 200: "stored 2 times"}, 0},
		{"a dead letter is removed", func() { remove(schemas.DeadLettersStream, 2) }, map[uint64]string{152: "no dead letter"}, 0},
		{"a row is added that the log never had", func() { s.exec(fmt.Sprintf(another, "seq + 1000 AS seq", 80)) },
			map[uint64]string{1080: "a row without a message in the log, which ends at 200"}, 0},
		{"a message is removed from the log", func() { remove(schemas.FeedbackStream(0), 90) }, map[uint64]string{90: "a row without a message"}, 0},
		{"a dead one's message is removed from the log", func() { remove(schemas.FeedbackStream(0), 151) }, map[uint64]string{151: "a dead letter without a message"}, 0},
		{"a row is added for a dead one", func() { s.exec(fmt.Sprintf(another, "153 AS seq", 80)) }, map[uint64]string{153: "stored and has a dead letter too"}, 0},
	} {
		c.tamper()
		after := s.named()
		for seq, what := range c.want {
			if !strings.Contains(after[seq], what) {
				t.Errorf("%s: of %d it says %q, want %q", c.claim, seq, after[seq], what)
			}
		}
		if c.gone > 0 { // with the event stored elsewhere, both its messages are duplicates
			if delete(before, c.gone); after[c.gone] != "" || after[158] != "" {
				t.Errorf("%s: %q, %q", c.claim, after[c.gone], after[158])
			}
			delete(before, 158)
		}
		if want := len(before) + len(c.want); len(after) != want {
			t.Errorf("%s: %d are named, want %d: %v", c.claim, len(after), want, after)
		}
		before = after
	}
}

// Rows that no longer count are stored, whether their messages are still in the log, as after a deletion, or not, as after
// an erasure.
func TestRowsThatNoLongerCountAreStored(t *testing.T) {
	s := openStores(t)
	s.publish("chat", events("a", 20)...)
	s.compare(100)
	place := func(seq uint64) []schemas.Trace { return []schemas.Trace{{Epoch: s.log.Epoch(), Seq: seq}} }
	s.must(s.store.Supersede(s.ctx, place(3)))
	s.must(s.store.Blank(s.ctx, place(5)))
	s.must(s.store.Blank(s.ctx, place(9)))
	st, err := s.js.Stream(s.ctx, schemas.FeedbackStream(0))
	s.must(err)
	s.must(st.SecureDeleteMsg(s.ctx, 9))
	for _, window := range []uint64{3, 1000} {
		if sheet := s.compare(window); sheet.Differ != 0 || sums(sheet, "chat") != "19 = 19 + 0 + 0, 0" {
			t.Errorf("%d at a time: %s, %v", window, sums(sheet, "chat"), sheet.Faults)
		}
	}
	s.must(st.SecureDeleteMsg(s.ctx, 3)) // whose row is not erased
	if sheet := s.compare(1000); sheet.Differ != 1 || sheet.Faults[0].Seq != 3 {
		t.Errorf("without the message of a superseded row: %v", sheet.Faults)
	}
}

// named compares part by part, so that no more differ in one than are named.
func (s *stores) named() map[uint64]string {
	s.t.Helper()
	letters, err := deadletter.New(deadletter.Config{JS: s.js}).Sequences(s.ctx, s.log.Epoch(), 0)
	s.must(err)
	out := map[uint64]string{}
	for lo := uint64(1); lo <= s.published; lo += 100 {
		var sheet compare.Sheet
		s.must(compare.Shard{Log: s.log, Table: s.store, Letters: letters, Epoch: s.log.Epoch(), Generation: 1, Lo: lo, Hi: lo + 99, Window: 60}.Compare(s.ctx, &sheet))
		if sheet.Differ != uint64(len(sheet.Faults)) {
			s.t.Errorf("%d differ, %d are named", sheet.Differ, len(sheet.Faults))
		}
		for _, f := range sheet.Faults {
			out[f.Seq] = f.What
		}
	}
	return out
}
