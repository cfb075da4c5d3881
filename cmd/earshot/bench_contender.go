package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// Names of the contenders.
const (
	limit    = "limit"
	null     = "null"
	analytic = "clickhouse"
	naive    = "naive"
)

// contenders run in this order in every round.
var contenders = []string{limit, null, analytic, naive}

// What the measuring process and a contender say to each other. The contender is this program with contenderArg, which
// is not for people. It reads its job, does everything that is not to be measured, says that it is ready, starts at the
// word to go, and stops when its input ends.
const (
	contenderArg = "contender"
	readyLineOf  = "ready\n"
	goLine       = "go\n"
)

// job is what a contender is told.
type job struct {
	Contender string `json:"contender"`
	Nats      string `json:"nats"`
	DSN       string `json:"dsn"`
	Database  string `json:"database"`
	Secret    []byte `json:"secret"`            // of customer keys
	Profile   string `json:"profile,omitempty"` // file for a CPU profile
}

// contender is the process's side of a measurement.
type contender struct {
	job
	env        *environment
	log        zerolog.Logger
	nc         *nats.Conn
	js         jetstream.JetStream
	classifier *classify.Classifier
	keyer      *privacy.Keyer
	masker     *privacy.Masker
}

// contend is the life of a contender.
func contend(ctx context.Context, env *environment) error {
	in := bufio.NewReader(env.stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return usagef("%s is started by 'earshot bench' only", contenderArg)
	}
	c := &contender{env: env}
	if err := json.Unmarshal(line, &c.job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	c.log = newLogger(&env.config, env.stderr).Level(zerolog.WarnLevel)
	if c.classifier, err = classify.Load(); err != nil {
		return err
	}
	if c.keyer, err = privacy.NewKeyer(c.Secret); err != nil {
		return err
	}
	if c.masker, err = loadMasker(&env.config); err != nil {
		return err
	}
	if c.nc, c.js, err = stream.Connect(c.Nats, "earshot-"+c.Contender, c.log); err != nil {
		return err
	}
	defer c.nc.Close()
	work, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	io.WriteString(env.stdout, readyLineOf)
	if _, err := in.ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the word to go: %w", err)
	}
	stopProfile, err := c.profile()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		io.Copy(io.Discard, in)
		stop()
	}()
	err = work(ctx)
	return closeErr(err, stopProfile())
}

// profile starts the CPU profile if one is wanted.
func (c *contender) profile() (stop func() error, err error) {
	if c.Profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(c.Profile)
	if err != nil {
		return nil, fmt.Errorf("create the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("start the profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// prepare opens what the contender needs and returns what is measured.
func (c *contender) prepare(ctx context.Context) (func(context.Context) error, error) {
	switch c.Contender {
	case limit:
		return c.drain, nil
	case null:
		return c.worker(ctx, nowhere{})
	case analytic:
		store, err := clickhouse.Open(ctx, clickhouse.Config{DSN: c.DSN, Database: c.Database, Logger: c.log})
		if err != nil {
			return nil, err
		}
		return c.worker(ctx, store)
	case naive:
		return c.naive(ctx)
	}
	return nil, fmt.Errorf("there is no contender %q", c.Contender)
}

// ackEvery is after how many messages the limit acknowledges: the cheapest way of reading without losing anything.
const ackEvery = 500

// drain reads and acknowledges.
func (c *contender) drain(ctx context.Context) error {
	cons, err := c.js.Consumer(ctx, schemas.FeedbackStream(0), limit)
	if err != nil {
		return err
	}
	last := cons.CachedInfo().NumPending
	n := uint64(0)
	reading, err := cons.Consume(func(m jetstream.Msg) {
		if n++; n%ackEvery == 0 || n == last {
			m.Ack()
		}
	}, jetstream.PullMaxMessages(4000))
	if err != nil {
		return err
	}
	defer reading.Stop()
	<-ctx.Done()
	return nil
}

// worker is earshot's worker as 'earshot process' runs it.
func (c *contender) worker(ctx context.Context, store worker.Store) (func(context.Context) error, error) {
	log, err := stream.OpenShard(ctx, c.js, c.nc, 0)
	if err != nil {
		return nil, err
	}
	conf := &c.env.config
	w := worker.New(worker.Config{
		Log: log, Store: store, Classifier: c.classifier, Keyer: c.keyer, Masker: c.masker, Logger: c.log,
		BatchRows: conf.BatchRows, Linger: conf.Linger, InsightMaxAge: conf.InsightMaxAge, DedupCapacity: conf.DedupIDs,
	})
	return w.Run, nil
}

// nowhere is a store that keeps nothing and always was empty.
type nowhere struct{}

func (nowhere) Insert(context.Context, []schemas.Row, string) error { return nil }
func (nowhere) Probe(context.Context, []schemas.Row) error          { return nil }
func (nowhere) Kill(context.Context, string) error                  { return nil }
func (nowhere) KillAll(context.Context, string) error               { return nil }

func (nowhere) Rows(context.Context, schemas.Range, int, int) (rows []schemas.Row, reached uint64, err error) {
	return nil, 0, nil
}
func (nowhere) ReadBack(context.Context, schemas.Range) (rows, digest uint64, err error) {
	return 0, 0, nil
}

func (nowhere) Stored(context.Context, schemas.Range) ([]schemas.Stored, error) { return nil, nil }

func (nowhere) MaxSeq(context.Context, schemas.Range) (uint64, error) { return 0, nil }

func (nowhere) Known(context.Context, uint32, string, int, uint64, []schemas.EventID) (map[schemas.EventID]struct{}, error) {
	return nil, nil
}

func (nowhere) Recent(context.Context, uint32, string, int, uint64, int) ([]schemas.EventID, error) {
	return nil, nil
}
