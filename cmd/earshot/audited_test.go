package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// audited are a real log and a real table with a worker and an auditor, in this process.
type audited struct {
	*auditor
	t         testing.TB
	ctx       context.Context
	dsn       string
	from      string // database that the rows were copied from
	server    string
	js        jetstream.JetStream
	conn      *nats.Conn
	batch     int // most rows of an insert
	publisher *stream.Publisher
	logged    bytes.Buffer
}

func openAudited(t testing.TB) *audited {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	t.Cleanup(cancel)
	a := &audited{t: t, ctx: ctx, batch: 100}
	b, err := broker.Start(ctx, broker.Config{Dir: filepath.Join(t.TempDir(), "nats"), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	a.must(err)
	t.Cleanup(func() { b.Close() })
	a.server = b.URL()
	a.conn, a.js, err = stream.Connect(a.server, "test", zerolog.Nop())
	a.must(err)
	t.Cleanup(a.conn.Close)
	_, err = stream.Provision(ctx, a.js, stream.ProvisionConfig{Shards: 1})
	a.must(err)
	a.publisher, err = stream.NewPublisher(a.conn, stream.PublisherConfig{Shards: 1})
	a.must(err)
	t.Cleanup(func() { a.publisher.Close(context.Background()) })
	a.openTable()
	_, err = a.store.Migrate(ctx, clickhouse.MigrateOptions{})
	a.must(err)
	return a
}

// copy is a table with the same rows as a's, beside the same log and ledger, with an auditor of its own.
func (a *audited) copy(t *testing.T) *audited {
	t.Helper()
	c := &audited{t: t, from: a.store.Database(), ctx: a.ctx, server: a.server, js: a.js, conn: a.conn, publisher: a.publisher}
	c.openTable()
	for _, statement := range factStatements() {
		c.exec(statement)
	}
	for _, month := range []string{"202609", "202610"} {
		c.exec("ALTER TABLE feedback ATTACH PARTITION (1, " + month + ") FROM " + c.from + ".feedback")
	}
	return c
}

// openTable opens a fresh database and an auditor for it.
func (a *audited) openTable() {
	a.t.Helper()
	a.dsn = enginetest.Start(a.t)
	store, err := clickhouse.Open(a.ctx, clickhouse.Config{DSN: a.dsn, Logger: zerolog.Nop()})
	a.must(err)
	a.t.Cleanup(func() { store.Close() })
	a.auditor, err = newAuditor(a.ctx, a.server, 1, store, newAuditMetrics(prometheus.NewRegistry()), zerolog.New(&a.logged))
	a.must(err)
	a.t.Cleanup(a.auditor.close)
}

func (a *audited) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// exec runs a statement that is none of the program's business, as somebody at the database would.
func (a *audited) exec(statement string) {
	a.t.Helper()
	at := strings.LastIndex(a.dsn, "/")
	resp, err := http.Post(a.dsn[:at]+"/?mutations_sync=2&database="+a.dsn[at+1:], "text/plain", strings.NewReader(statement))
	a.must(err)
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		a.t.Fatalf("%s: %s", statement, answer)
	}
}

// publish puts events with the numbers into the log; 0 is one that cannot be decoded.
func (a *audited) publish(numbers ...int) {
	a.t.Helper()
	msgs := make([]schemas.Message, len(numbers))
	for i, n := range numbers {
		data := fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/w","type":"feedback.received.v1","time":"2026-%02d-11T08:00:00Z","tenantid":"t","data":{"channel":"support","customer_id":"c%d","value_text":"The parcel arrived crushed."}}`, n, 9+n%2, n)
		if n == 0 {
			data = []byte("broken")
		}
		msgs[i] = schemas.Message{Subject: "feedback.0.t.support.feedback.received", Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}, Data: data}
	}
	a.must(a.publisher.Publish(a.ctx, msgs))
}

// work runs a worker until stop is called.
func (a *audited) work() (stop func()) {
	a.t.Helper()
	log, err := stream.OpenShard(a.ctx, a.js, a.conn, 0)
	a.must(err)
	classifier, err := classify.Load()
	a.must(err)
	keyer, err := privacy.NewKeyer([]byte("0123456789abcdef"))
	a.must(err)
	w := worker.New(worker.Config{Log: unmarked{log}, Store: a.store, Classifier: classifier, Keyer: keyer, Logger: zerolog.Nop(),
		BatchRows: a.batch, Linger: 5 * time.Millisecond, Idle: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(a.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		a.t.Helper()
		cancel()
		a.must(<-done)
		log.Close()
	}
}

// settle runs a worker until everything in the log is dealt with.
func (a *audited) settle() {
	a.t.Helper()
	stop := a.work()
	_, err := waitCaughtUp(a.ctx, a.shards)
	a.must(err)
	stop()
}

// story puts 300 events into log and table: 1 to 280 once, 10 of them again, and 10 that are broken.
func (a *audited) story() {
	a.t.Helper()
	var numbers []int
	for n := 1; n <= 280; n++ {
		numbers = append(numbers, n)
	}
	for n := range 10 {
		numbers = append(numbers, 21+n, 0)
	}
	a.publish(numbers...)
	a.settle()
}

func value(c prometheus.Collector) float64 { return testutil.ToFloat64(c) }

// gauges are what the last round showed: missing, doubled, differing, findings.
func (a *audited) gauges() [4]float64 {
	m := a.metrics
	return [4]float64{value(m.gap.WithLabelValues("0")), value(m.duplicates.WithLabelValues("0")), value(m.differences), value(m.violations)}
}

// factStatements make the fact table: the first as it was made first, the others what was added to it.
func factStatements() (out []string) {
	for _, o := range sql.Tables() {
		if strings.HasPrefix(o.Path, "tables/feedback.") {
			out = append(out, o.SQL)
		}
	}
	return out
}
