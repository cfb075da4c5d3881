package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// bench holds the servers that the contenders work with.
type bench struct {
	o       *benchOptions
	env     *environment
	opened  closers
	servers *servers
	nc      *nats.Conn
	js      jetstream.JetStream
	db      driver.Conn
}

// naiveTable is where the naive contender writes: the fact table's twin.
const naiveTable = "naive"

// benchSecret keys the customers of a measurement. Nothing of it outlives the measurement.
const benchSecret = "a measurement's customers"

// open starts the servers and makes streams and tables.
func (b *bench) open(ctx context.Context) error {
	log := newLogger(&b.env.config, b.env.stderr)
	var err error
	if b.servers, err = openServers(ctx, b.env, need{nats: true, clickhouse: true}, log, &b.opened); err != nil {
		return err
	}
	if b.nc, b.js, err = stream.Connect(b.servers.natsURL, "earshot-bench", log); err != nil {
		return err
	}
	b.opened.add("NATS connection", func(context.Context) error { b.nc.Close(); return nil })
	if _, err := stream.Provision(ctx, b.js, stream.ProvisionConfig{Shards: 1}); err != nil {
		return err
	}
	store, err := openStore(ctx, b.env, b.servers, log)
	if err != nil {
		return err
	}
	b.opened.add("store", func(context.Context) error { return store.Close() })
	if _, err := store.Migrate(ctx, clickhouse.MigrateOptions{}); err != nil {
		return err
	}
	if b.db, err = openDriver(b.servers.dsn, b.env.config.Database); err != nil {
		return err
	}
	b.opened.add("ClickHouse connection", func(context.Context) error { return b.db.Close() })
	if err := b.db.Exec(ctx, "CREATE TABLE "+naiveTable+" AS feedback"); err != nil {
		return fmt.Errorf("create table %s: %w", naiveTable, err)
	}
	return nil
}

// openDriver opens ClickHouse as a program that knows nothing of earshot does.
func openDriver(dsn, database string) (driver.Conn, error) {
	opt, err := ch.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the DSN of ClickHouse: %w", err)
	}
	opt.Auth.Database = database
	conn, err := ch.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("connect to ClickHouse: %w", err)
	}
	return conn, nil
}

// reset takes away everything a run left, but the log, and waits for a quiet machine.
func (b *bench) reset(ctx context.Context) error {
	for _, name := range []string{schemas.OutcomesStream, schemas.InsightsStream, schemas.DeadLettersStream} {
		st, err := b.js.Stream(ctx, name)
		if err == nil {
			err = st.Purge(ctx)
		}
		if err != nil {
			return fmt.Errorf("empty %s: %w", name, err)
		}
	}
	st, err := b.js.Stream(ctx, schemas.FeedbackStream(0))
	if err != nil {
		return err
	}
	names := st.ConsumerNames(ctx)
	for name := range names.Name() {
		if err := st.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("delete consumer %s: %w", name, err)
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("list consumers: %w", err)
	}
	for _, table := range []string{"feedback", naiveTable} {
		if err := b.db.Exec(ctx, "TRUNCATE TABLE "+table); err != nil {
			return fmt.Errorf("empty table %s: %w", table, err)
		}
	}
	return calm(ctx)
}

// How long a run waits for a machine that others do not use, and over what time that is looked at.
const (
	quietPatience = 6 * time.Second
	quietWindow   = 250 * time.Millisecond
)

// calm waits until the machine is quiet, or for as long as its patience goes.
func calm(ctx context.Context) error {
	patience := time.After(quietPatience)
	for {
		before := readConsumption(0)
		select {
		case <-time.After(quietWindow):
		case <-patience:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if readConsumption(0).foreign(before) <= quiet {
			return nil
		}
	}
}

// Bounds of a run: how often the servers are asked whether it is over, how long a contender may take to be ready, and
// how slow it may be before it counts as hung.
const (
	pollEvery    = 4 * time.Millisecond
	readyTimeout = time.Minute
	slowest      = 1000 // events a second
)

// run lets one contender work off the log. The clock is that of this process: it starts when the contender, ready, is
// told to go, and stops when the servers prove that everything is done.
func (b *bench) run(ctx context.Context, name string, last bool) (*benchRun, error) {
	j := job{Contender: name, Nats: b.servers.natsURL, DSN: b.servers.dsn, Database: b.env.config.Database, Secret: []byte(benchSecret)}
	if last && b.o.profile != "" {
		j.Profile = filepath.Join(b.o.profile, name+".pprof")
	}
	if name == limit || name == naive {
		if err := b.consumer(ctx, name); err != nil {
			return nil, err
		}
	}
	limitTime := readyTimeout + time.Duration(b.o.events/slowest)*time.Second
	ctx, cancel := context.WithTimeout(ctx, limitTime)
	defer cancel()
	c, err := b.start(ctx, j)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	pid := c.cmd.Process.Pid
	before := readConsumption(pid)
	began := time.Now()
	if err := c.tell(goLine); err != nil {
		return nil, err
	}
	if err := b.await(ctx, name, c); err != nil {
		return nil, err
	}
	wall := time.Since(began)
	after := readConsumption(pid)
	r := &benchRun{
		Contender: name, Seconds: wall.Seconds(), PerSecond: float64(b.o.events) / wall.Seconds(),
		CPUPerEvent: float64((after.child - before.child).Microseconds()) / float64(b.o.events),
		ServerCPU:   float64((after.self - before.self).Microseconds()) / float64(b.o.events),
		PeakBytes:   peakMemory(pid), Foreign: after.foreign(before),
	}
	if err := c.stop(); err != nil {
		return nil, err
	}
	return r, b.verify(ctx, r)
}

// child is a running contender.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{} // closed when the process has ended
	err   error         // why, readable after that
}

// start starts the contender and waits until it is ready.
func (b *bench) start(ctx context.Context, j job) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "bench", contenderArg), ended: make(chan struct{})}
	c.cmd.Stderr = b.env.stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the contender: %w", err)
	}
	text, err := json.Marshal(j)
	if err == nil {
		err = c.tell(string(text) + "\n")
	}
	var line string
	if err == nil {
		line, err = bufio.NewReader(out).ReadString('\n')
	}
	go func() { c.err = c.cmd.Wait(); close(c.ended) }()
	if err != nil || line != readyLineOf {
		return nil, fmt.Errorf("the contender did not get ready (it said %q): %w", line, errors.Join(err, c.stop()))
	}
	return c, nil
}

func (c *child) tell(line string) error {
	if _, err := io.WriteString(c.in, line); err != nil {
		return fmt.Errorf("talk to the contender: %w", err)
	}
	return nil
}

// stop ends the contender, which takes the end of its input for the sign, and says whether it ended well.
func (c *child) stop() error {
	c.in.Close()
	<-c.ended
	if c.err != nil {
		return fmt.Errorf("the contender ended badly: %w", c.err)
	}
	return nil
}

// consumer makes the durable consumer of a contender that brings none of its own.
func (b *bench) consumer(ctx context.Context, name string) error {
	cfg := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckAllPolicy, MaxAckPending: -1}
	if name == naive {
		cfg.AckPolicy, cfg.MaxAckPending = jetstream.AckExplicitPolicy, 4*naiveBatch
	}
	_, err := b.js.CreateConsumer(ctx, schemas.FeedbackStream(0), cfg)
	if err != nil {
		return fmt.Errorf("create consumer %s: %w", name, err)
	}
	return nil
}

// await returns when the servers prove that the contender is done: the acknowledged floor of its consumer, or the
// checkpoint of its worker, has reached the end of the log.
func (b *bench) await(ctx context.Context, name string, c *child) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		at, err := b.position(ctx, name)
		if err != nil {
			return err
		}
		if at >= uint64(b.o.events) {
			return nil
		}
		select {
		case <-t.C:
		case <-c.ended:
			return fmt.Errorf("the contender ended at %d of %d events: %w", at, b.o.events, errors.Join(c.err, errReported))
		case <-ctx.Done():
			return fmt.Errorf("at %d of %d events: %w", at, b.o.events, ctx.Err())
		}
	}
}

// position is how far the servers say a contender has come.
func (b *bench) position(ctx context.Context, name string) (uint64, error) {
	if name == limit || name == naive {
		info, err := b.consumerInfo(ctx, name)
		if err != nil {
			return 0, err
		}
		return info.AckFloor.Stream, nil
	}
	cp, err := b.checkpoint(ctx)
	if err != nil || cp.Outcomes > 0 { // a commit is under way
		return 0, err
	}
	return cp.Hi, nil
}

func (b *bench) consumerInfo(ctx context.Context, name string) (*jetstream.ConsumerInfo, error) {
	cons, err := b.js.Consumer(ctx, schemas.FeedbackStream(0), name)
	if err != nil {
		return nil, fmt.Errorf("look at consumer %s: %w", name, err)
	}
	return cons.CachedInfo(), nil
}

// checkpoint is the worker's newest one; its zero value before the first.
func (b *bench) checkpoint(ctx context.Context) (cp schemas.Checkpoint, err error) {
	st, err := b.js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		return cp, err
	}
	m, err := st.GetLastMsgForSubject(ctx, schemas.CheckpointSubject(0))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return cp, nil
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &cp)
	}
	if err != nil {
		return cp, fmt.Errorf("look at the checkpoint: %w", err)
	}
	return cp, nil
}

// compared are columns whose content must not depend on who wrote the row.
var compared = []string{"event_id", "tenant", "source", "source_event_id", "kind", "channel", "occurred_at", "received_at",
	"seq", "customer_key", "product_id", "field_type", "text", "language", "value_number", "polarity", "sentiment", "score",
	"confidence", "intent", "element", "urgency", "response_needed", "churn_risk", "churn_reasons", "quality",
	"mention_element", "mention_facet", "mention_s5", "mention_theme", "mention_polarity", "mention_start", "element_product",
	"element_service", "element_image", "facet_quality", "facet_aftersale", "s5_speed", "rating", "csat"}

// verify asks the servers what a contender really did.
func (b *bench) verify(ctx context.Context, r *benchRun) error {
	table := "feedback"
	switch r.Contender {
	case limit:
		info, err := b.consumerInfo(ctx, limit)
		if err != nil {
			return err
		}
		r.Counted = info.Delivered.Consumer // deliveries, repeated ones included
		return nil
	case naive:
		table = naiveTable
	default:
		cp, err := b.checkpoint(ctx)
		if err != nil {
			return err
		}
		if r.Counted = cp.Stored; r.Contender == null || cp.Stored != cp.Accepted() {
			return nil
		}
	}
	query := "SELECT count(), uniqExact(event_id), sum(cityHash64(toString(tuple(" + strings.Join(compared, ", ") + ")))) FROM " + table
	if err := b.db.QueryRow(ctx, query).Scan(&r.Counted, &r.Distinct, &r.Content); err != nil {
		return fmt.Errorf("count table %s: %w", table, err)
	}
	return nil
}
