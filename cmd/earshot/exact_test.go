package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// The TestExact… stories put the program through a fault and hold the rows against the list of what was accepted. Each
// has a short form that always runs, and with EARSHOT_LONG_TESTS=1 a long one of the same code with greater numbers.

// long picks the greater number for the long form.
func long[T any](short, long T) T {
	if os.Getenv("EARSHOT_LONG_TESTS") != "" {
		return long
	}
	return short
}

// outside are the servers of nodes that embed none: a broker in this process, and the ClickHouse of a node that is left
// to itself otherwise.
type outside struct {
	t          *testing.T
	ctx        context.Context
	nats       string
	clickhouse string
	key        string // file of the customer key
	nc         *nats.Conn
	js         jetstream.JetStream
	publisher  *stream.Publisher
}

const outsideDatabase = "outside"

func startOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{t: t, ctx: t.Context()}
	b, err := broker.Start(o.ctx, broker.Config{Dir: filepath.Join(t.TempDir(), "nats"), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	o.must(err)
	t.Cleanup(func() { b.Close() })
	o.nats = b.URL()
	o.clickhouse = startUp(t, dataFolder(t)).Clickhouse
	o.key = filepath.Join(t.TempDir(), "customer.key")
	secret := make([]byte, 32)
	rand.Read(secret)
	o.must(os.WriteFile(o.key, secret, 0o400))
	o.nc, o.js, err = stream.Connect(o.nats, "test", zerolog.Nop())
	o.must(err)
	t.Cleanup(o.nc.Close)
	_, err = stream.Provision(o.ctx, o.js, stream.ProvisionConfig{Shards: 1})
	o.must(err)
	o.publisher, err = stream.NewPublisher(o.nc, stream.PublisherConfig{Shards: 1})
	o.must(err)
	t.Cleanup(func() { o.publisher.Close(context.Background()) })
	return o
}

func (o *outside) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// env names the servers to a node.
func (o *outside) env() []string {
	return []string{"EARSHOT_NATS_URL=" + o.nats, "EARSHOT_CLICKHOUSE_DSN=" + o.clickhouse, "EARSHOT_DATABASE=" + outsideDatabase,
		"EARSHOT_CUSTOMER_KEY_FILE=" + o.key}
}

// publish brings events straight into the log, in one batch for each thousand.
func (o *outside) publish(ids ...string) error {
	msgs := make([]schemas.Message, len(ids))
	for i, id := range ids {
		msgs[i] = schemas.Message{
			Subject: "feedback.0.acme.support.feedback.received",
			Header:  map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent},
			Data:    []byte(event(id, "Parcel "+id+" arrived crushed and nobody answered for three days.")),
		}
	}
	return o.publisher.Publish(o.ctx, msgs)
}

// ledger is the newest checkpoint, the zero value before the first.
func (o *outside) ledger() schemas.Checkpoint {
	o.t.Helper()
	s, err := stream.OpenShard(o.ctx, o.js, o.nc, 0)
	o.must(err)
	l, err := s.Load(o.ctx)
	o.must(err)
	if l.Checkpoint == nil {
		return schemas.Checkpoint{}
	}
	return *l.Checkpoint
}

// settle waits until the workers have dealt with the whole log and returns the balance, which must be exact.
func settle(t *testing.T, dir string, env ...string) balance {
	t.Helper()
	cmd := earshot(t, dir, "reconcile", "--json", "--wait", patience.String())
	cmd.Env = append(cmd.Env, env...)
	stdout, stderr, code := output(t, cmd)
	var b balance
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || code != 0 || !b.Exact {
		t.Errorf("reconcile ended with %d: %s%s", code, stdout, stderr)
	}
	return b
}

// rowsIn reads one column of the fact table from a ClickHouse.
func rowsIn(t *testing.T, server, database, column string) []string {
	t.Helper()
	return strings.Fields(askServer(t, server, database, "SELECT "+column+" FROM feedback"))
}

// askServer asks a ClickHouse and returns the answer as tab-separated text.
func askServer(t *testing.T, server, database, sql string) string {
	t.Helper()
	resp, err := http.Post(server+"/?default_format=TSV&database="+database, "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %.300s %v", sql, resp.StatusCode, answer, err)
	}
	return strings.TrimSuffix(string(answer), "\n")
}

// verdict is what became of the events that were accepted.
type verdict struct{ rows, lost, doubled int }

// judge holds the rows against the ids of accepted events, and against all ids that were ever sent: what was refused may
// be stored or not, but nothing may be stored that nobody sent.
func judge(t *testing.T, rows []string, accepted map[string]bool, sent func(id string) bool) verdict {
	t.Helper()
	v := verdict{rows: len(rows)}
	seen := make(map[string]bool, len(rows))
	for _, id := range rows {
		if seen[id] {
			v.doubled++
		}
		seen[id] = true
		if !sent(id) {
			t.Errorf("a row bears the id %s, which nobody sent", id)
		}
	}
	for id := range accepted {
		if !seen[id] {
			v.lost++
		}
	}
	return v
}

// report fails the test unless nothing was lost or doubled, and leaves a line for the README's table of faults.
func (v verdict) report(t *testing.T, fault string, rounds int) {
	t.Helper()
	t.Attr("exact", fmt.Sprintf("%s | %d | %d | %d | %d", fault, rounds, v.rows, v.lost, v.doubled))
	if v.lost > 0 || v.doubled > 0 || v.rows == 0 {
		t.Errorf("%d rows, %d lost, %d doubled", v.rows, v.lost, v.doubled)
	}
}

// resident is how much memory a process has in RAM now and at most so far.
func resident(t *testing.T, pid int) (now, peak int64) {
	t.Helper()
	now, peak, _, err := processUse(pid)
	if err != nil {
		t.Fatal(err)
	}
	return now, peak
}

// processUse is what a process takes: memory in RAM now and at most so far, and open files. It fails for one that has ended.
func processUse(pid int) (now, peak int64, files int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return now, peak, len(open), err
}
