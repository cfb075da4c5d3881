package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// stores are a real log and a real table with everything a worker needs.
type stores struct {
	t          *testing.T
	ctx        context.Context
	nc         *nats.Conn
	js         jetstream.JetStream
	dsn        string
	store      *clickhouse.Store
	publisher  *stream.Publisher
	classifier *classify.Classifier
	keyer      *privacy.Keyer
	published  uint64
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
	s.classifier, err = classify.Load()
	s.must(err)
	s.keyer, err = privacy.NewKeyer([]byte("0123456789abcdef"))
	s.must(err)
	return s
}

func (s *stores) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// exec runs a statement that is none of the worker's business, as an operator would.
func (s *stores) exec(statement string) {
	s.t.Helper()
	at := strings.LastIndex(s.dsn, "/")
	resp, err := http.Post(s.dsn[:at]+"/?database="+s.dsn[at+1:], "text/plain", strings.NewReader(statement))
	s.must(err)
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", statement, answer)
	}
}

// publish puts events with the ids into the log.
func (s *stores) publish(product string, ids ...string) {
	s.t.Helper()
	msgs := make([]schemas.Message, len(ids))
	for i, id := range ids {
		msgs[i] = schemas.Message{
			Subject: "feedback.0.t.support.feedback.received",
			Header:  map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent},
			Data: fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/w","type":"feedback.received.v1","time":"2026-%02d-11T08:00:00Z","tenantid":"t","data":{"channel":"support","customer_id":"c%s","product_id":%q,"value_text":"The parcel arrived crushed and nobody answered for three days."}}`,
				id, 9+i%2, id, product),
		}
	}
	s.must(s.publisher.Publish(s.ctx, msgs))
	s.published += uint64(len(ids))
}

// start runs a worker until stop is called.
func (s *stores) start(change func(*worker.Config)) (stop func() error) {
	s.t.Helper()
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	cfg := worker.Config{
		Log: log, Store: s.store, Classifier: s.classifier, Keyer: s.keyer, Logger: zerolog.Nop(),
		Metrics:       worker.NewMetrics(prometheus.NewRegistry()),
		InsightMaxAge: 60 * 365 * 24 * time.Hour,
		Linger:        5 * time.Millisecond, Idle: 50 * time.Millisecond, Takeover: time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.New(cfg).Run(ctx) }()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() { cancel(); err = <-ended; log.Close() })
		return err
	}
	s.t.Cleanup(func() { stop() })
	return stop
}

// settled waits until everything published is committed and returns the checkpoint.
func (s *stores) settled() schemas.Checkpoint {
	s.t.Helper()
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	defer log.Close()
	for {
		l, err := log.Load(s.ctx)
		s.must(err)
		if l.Checkpoint != nil && l.Checkpoint.Hi == s.published && l.Checkpoint.Outcomes == 0 {
			return *l.Checkpoint
		}
		select {
		case <-s.ctx.Done():
			s.t.Fatalf("the worker stands at %+v, want %d", l.Checkpoint, s.published)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// want holds checkpoint and table against what was published.
func (s *stores) want(stored, duplicates, dead uint64) {
	s.t.Helper()
	cp := s.settled()
	if cp.Stored != stored || cp.Duplicates != duplicates || cp.Dead != dead {
		s.t.Errorf("checkpoint counts %d stored, %d duplicates, %d dead; want %d, %d, %d", cp.Stored, cp.Duplicates, cp.Dead, stored, duplicates, dead)
	}
	rows, distinct, err := s.store.Count(s.ctx, 1, cp.Epoch, 0, cp.Hi)
	s.must(err)
	if rows != stored || distinct != stored {
		s.t.Errorf("the table has %d rows of %d sequences, want %d", rows, distinct, stored)
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(prefix, i)
	}
	return out
}

func TestEventsOfSeveralMonthsBecomeRowsInsightsAndCounts(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 500)...)
	s.publish("", names("a", 300)...)
	s.publish("", "b", "b", "b")
	s.start(nil)
	s.want(501, 302, 0)
	st, err := s.js.Stream(s.ctx, schemas.InsightsStream)
	s.must(err)
	for {
		info, err := st.Info(s.ctx)
		s.must(err)
		if info.State.Msgs == 501 {
			break
		}
		if s.ctx.Err() != nil {
			t.Fatalf("%d insights, want one of each of 501 unanswered complaints", info.State.Msgs)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var key string
	s.must(s.store.Value(s.ctx, "SELECT customer_key FROM feedback WHERE source_event_id = 'b'", &key))
	if want := s.keyer.Key("t", "cb"); key != want {
		t.Errorf("customer key %q, want the keyed hash %q", key, want)
	}
}

func TestHistoryRaisesNoInsights(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 50)...)
	s.start(func(c *worker.Config) { c.InsightMaxAge = 0 }) // the default of three days; the events are weeks old
	s.want(50, 0, 0)
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	info, err := st.Info(s.ctx, jetstream.WithSubjectFilter(schemas.InsightSubjects))
	s.must(err)
	if len(info.State.Subjects) > 0 {
		t.Errorf("insights of weeks ago: %v", info.State.Subjects)
	}
}

// A commit is cut off after its first piece and taken up by a session whose settings raise no insights at all: it must end
// all the same, with everything counted once.
func TestACommitCutOffEndsUnderOtherSettings(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 1500)...)
	stop := s.start(func(c *worker.Config) { c.Log, c.Linger = &cutOff{c.Log, s.js}, 5*time.Second }) // one batch of all
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	defer log.Close()
	for {
		l, err := log.Load(s.ctx)
		s.must(err)
		if l.Checkpoint != nil && l.Checkpoint.Outcomes > 0 {
			break
		}
		if s.ctx.Err() != nil {
			t.Fatal("no commit was cut off")
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.must(stop())
	s.start(func(c *worker.Config) { c.InsightMaxAge = time.Minute })
	s.want(1500, 0, 0)
}

// cutOff is a log whose worker dies in the middle of its first large commit: the ledger says that 999 outcomes are out,
// the rest never comes.
type cutOff struct {
	worker.Log
	js jetstream.JetStream
}

func (c *cutOff) Commit(ctx context.Context, cp schemas.Checkpoint, expect uint64, outcomes []schemas.Outcome, done int) (uint64, error) {
	if len(outcomes) <= 999 {
		return c.Log.Commit(ctx, cp, expect, outcomes, done)
	}
	cp.Outcomes = 999
	data, err := json.Marshal(cp)
	if err == nil {
		_, err = c.js.Publish(ctx, schemas.CheckpointSubject(cp.Shard), data)
	}
	if err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

// The table is given a rule that refuses some rows: they become dead letters with ClickHouse's reason, their neighbours
// are stored, and what is sent after a restart is told from what is there.
func TestRowsThatClickHouseRefusesBecomeDeadLetters(t *testing.T) {
	s := openStores(t)
	s.exec("ALTER TABLE feedback ADD CONSTRAINT wholesome CHECK product_id != 'poison'")
	s.publish("", names("a", 200)...)
	s.publish("poison", "p1", "p2")
	s.publish("", names("b", 100)...)
	s.publish("poison", "p3")
	stop := s.start(nil)
	s.want(300, 0, 3)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.publish("", "a1", "p1") // p1 was never stored, so it is new, and now it is wholesome
	s.start(nil)
	s.want(301, 1, 3)
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	m, err := st.GetLastMsgForSubject(s.ctx, schemas.DeadSubject(0, schemas.ReasonSink))
	s.must(err)
	if detail := m.Header.Get(schemas.HeaderDetail); !strings.Contains(detail, "wholesome") {
		t.Errorf("the dead letter says %q, want ClickHouse's own reason", detail)
	}
	if code := m.Header.Get(schemas.HeaderCode); code != "469" { // VIOLATED_CONSTRAINT
		t.Errorf("the dead letter's code is %q, want ClickHouse's own", code)
	}
	if received, err := time.Parse(time.RFC3339Nano, m.Header.Get(schemas.HeaderReceived)); err != nil || time.Since(received) > time.Hour {
		t.Errorf("the dead letter was received at %v (%v), want when the log took it", received, err)
	}
}

// Two workers on one shard push each other aside and come back; nothing is lost or doubled by it.
func TestTwoWorkersOnOneShardStoreEverythingOnce(t *testing.T) {
	s := openStores(t)
	small := func(c *worker.Config) { c.BatchRows, c.Takeover = 20, 100*time.Millisecond }
	first, second := s.start(small), s.start(small)
	for round := range 10 {
		s.publish("", names(fmt.Sprint("r", round, "-"), 60)...)
	}
	s.want(600, 0, 0)
	for _, stop := range []func() error{first, second} {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// Beyond what the memory holds, the table is asked: a duplicate is one however old it is.
func TestDuplicatesOlderThanTheMemoryAreFoundInTheTable(t *testing.T) {
	s := openStores(t)
	s.publish("", names("old", 300)...)
	stop := s.start(nil)
	s.want(300, 0, 0)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.start(func(c *worker.Config) { c.DedupCapacity = 100 }) // it remembers a hundred and knows that there are more
	s.publish("", names("old", 300)...)
	s.publish("", names("new", 10)...)
	s.want(310, 300, 0)
}
