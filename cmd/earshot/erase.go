package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/erase"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

type eraseOptions struct {
	tenant, customer string
	wait             time.Duration
	json             bool
}

func eraseCommand() command {
	return command{
		name: "erase", summary: "forget a customer, down to the bytes on disk",
		help: `Puts a request to erase into the log, behind everything the customer said, and waits until it is carried out: by the
node that is running on the data folder, or else by this command. It waits EARSHOT_ERASE_AFTER first, and until the
store has removed the files that held the rows. What is left is an empty row for each event, so that the books still
balance and what is sent again is known, and a receipt that names nobody. What the customer says afterwards is stored as
from anybody else. The request stays in the log until it is done, whoever is stopped meanwhile.
Example: earshot erase --tenant acme --customer 4711
         printf %s 4711 | earshot erase --tenant acme --customer -`,
		flags: func(fs *flag.FlagSet) any {
			o := &eraseOptions{}
			fs.StringVar(&o.tenant, "tenant", "", "whose customer it is")
			fs.StringVar(&o.customer, "customer", "", "the customer as the source names them (customer_id); -: read it from the first line of the input, where no other user sees it")
			fs.DurationVar(&o.wait, "wait", 15*time.Minute, "how long to wait; 0: only put the request into the log")
			fs.BoolVar(&o.json, "json", false, "print the receipt as one JSON object")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			o := opts.(*eraseOptions)
			if o.customer == "-" {
				line, err := bufio.NewReader(env.stdin).ReadString('\n')
				if err != nil && line == "" {
					return fmt.Errorf("read the customer from the input: %w", err)
				}
				o.customer = strings.TrimRight(line, "\r\n")
			}
			if o.tenant == "" || o.customer == "" {
				return usagef("needs --tenant and --customer")
			}
			return runErase(ctx, env, o)
		},
	}
}

func runErase(ctx context.Context, env *environment, o *eraseOptions) (err error) {
	s, stop, err := nodeOrServers(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	l, err := openErasure(ctx, s.natsURL, env.config.Shards, log)
	if err != nil {
		return err
	}
	defer l.close()
	e := &schemas.Event{
		ID: rand.Text(), Source: erase.Source, Type: schemas.CustomerEraseRequested.Type(), Kind: schemas.CustomerEraseRequested,
		Time: time.Now().UTC().Truncate(time.Millisecond), Tenant: o.tenant,
		Data: schemas.Data{Channel: "other", ActorKind: "system", CustomerID: o.customer},
	}
	if err := l.publish(ctx, e); err != nil {
		return err
	}
	if o.wait == 0 {
		fmt.Fprintf(env.stdout, "the request is in the log: %s\n", e.Identity())
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	var again func(ctx context.Context) (*erasure, error)
	if s.dir != "" && env.config.NatsURL.Reveal() == "" {
		again = func(ctx context.Context) (*erasure, error) {
			now, err := readAddresses(s.dir)
			if err != nil {
				return nil, err
			}
			return openErasure(ctx, now.Nats, env.config.Shards, log)
		}
	}
	receipt, err := l.await(waiting, e.Identity(), awaitAway, again)
	if err != nil {
		return fmt.Errorf("%w\nthe request %s stays in the log until it is done, and is carried out by the next node that processes, or by 'earshot erase' run again", err, e.Identity())
	}
	if o.json {
		return json.NewEncoder(env.stdout).Encode(receipt)
	}
	_, err = fmt.Fprintf(env.stdout, "erased: %d rows, %d messages of the log, %d dead letters, %d announcements, %d alerts\nreceipt %s\n",
		receipt.Rows, receipt.Messages, receipt.Letters, receipt.Insights, receipt.Alerts, receipt.Request)
	return err
}

// nodeOrServers finds the servers of a node that is running, or starts one that processes and ends with the command.
func nodeOrServers(ctx context.Context, env *environment) (*servers, func() error, error) {
	c := &env.config
	want := need{nats: true, clickhouse: true}
	if start := want.embedded(c); start != (need{}) {
		dir, err := c.dataDir()
		if err != nil {
			return nil, nil, err
		}
		lock, err := lockDataDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("there is no data in %s: set EARSHOT_DATA_DIR, or EARSHOT_NATS_URL and EARSHOT_CLICKHOUSE_DSN", dir)
		}
		if err == nil {
			if err := lock.Close(); err != nil {
				return nil, nil, err
			}
			c.BrokerAddr, c.EngineAddr = "127.0.0.1:0", "127.0.0.1:0"
			quiet := *env
			quiet.config.LogLevel = "warn"
			n, err := startNode(ctx, &quiet, role{process: true})
			if err != nil {
				return nil, nil, err
			}
			return n.servers, n.stop, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, nil, err
		}
	}
	var opened closers
	s, err := locate(ctx, env, need{nats: true}, newLogger(c, env.stderr).Level(warnLevel), &opened)
	return s, func() error { return opened.closeAfter(nil) }, err
}

// erasure is what asking for an erasure, or carrying one out, needs of the broker.
type erasure struct {
	*stream.Erasure
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *stream.Publisher
	shards    int
}

func openErasure(ctx context.Context, natsURL string, shards int, log zerolog.Logger) (*erasure, error) {
	nc, js, err := stream.Connect(natsURL, "earshot-erasure", log)
	if err != nil {
		return nil, err
	}
	l := &erasure{nc: nc, js: js, shards: shards}
	if l.Erasure, err = stream.OpenErasure(ctx, js, nc, shards); err == nil {
		l.publisher, err = stream.NewPublisher(nc, stream.PublisherConfig{Shards: shards})
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return l, nil
}

func (l *erasure) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = l.publisher.Close(ctx) // what it held was answered, or its caller is gone
	l.nc.Close()
}

func (l *erasure) publish(ctx context.Context, e *schemas.Event) error {
	shard := schemas.Shard(e.PartitionKey(), l.shards)
	return l.publisher.Publish(ctx, []schemas.Message{{Shard: shard, Subject: e.LogSubject(shard), Data: schemas.AppendStructured(nil, e),
		Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}}})
}

// awaitAway is how long nothing may answer before the wait for a receipt ends: longer than a node takes to start again.
const awaitAway = 40 * time.Second

// await waits until a request is carried out and returns the receipt. While nothing answers it tries again, by what again
// opens (nil: by what it has), since a node that was started again has other addresses.
func (l *erasure) await(ctx context.Context, id schemas.EventID, away time.Duration, again func(context.Context) (*erasure, error)) (*schemas.EraseReceipt, error) {
	answered, by := time.Now(), l
	defer func() {
		if by != l {
			by.close()
		}
	}()
	for {
		call, cancel := context.WithTimeout(ctx, away/4) // a call on a connection that is lost ends with its context only
		receipt, err := by.look(call, id)
		cancel()
		switch {
		case receipt != nil || errors.Is(err, errNoReceipt):
			return receipt, err
		case err == nil:
			answered = time.Now()
		case ctx.Err() != nil:
		case time.Since(answered) > away:
			return nil, fmt.Errorf("nothing has answered for %v, so it is not known whether the customer was erased: %w", time.Since(answered).Round(time.Second), err)
		case again != nil:
			call, cancel := context.WithTimeout(ctx, away/4)
			if next, err := again(call); err == nil {
				if by != l {
					by.close()
				}
				by = next
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("not carried out yet: %w", ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

var errNoReceipt = errors.New("the request is gone from the log, but there is no receipt")

// look returns the receipt for a request; nil: it is not carried out yet.
func (l *erasure) look(ctx context.Context, id schemas.EventID) (*schemas.EraseReceipt, error) {
	requests, err := l.Requests(ctx)
	if err != nil || slices.ContainsFunc(requests, func(r schemas.EraseRequest) bool { return r.ID == id }) {
		return nil, err
	}
	receipt, err := l.Receipt(ctx, id)
	if err == nil && receipt == nil {
		err = errNoReceipt
	}
	return receipt, err
}

// eraseEvery is how often a node looks for requests.
const eraseEvery = 2 * time.Second

// eraseOnRequest carries requests out until ctx ends.
func eraseOnRequest(ctx context.Context, n *node, keyer *privacy.Keyer, store *clickhouse.Store) {
	log := n.log.With().Str("component", "erasure").Logger()
	var l *erasure
	failing := false
	for ctx.Err() == nil {
		var err error
		if l == nil {
			l, err = openErasure(ctx, n.servers.natsURL, n.env.config.Shards, log)
		}
		if err == nil {
			err = l.step(ctx, keyer, store, n.env.config.EraseAfter, log)
		}
		if err != nil && ctx.Err() == nil && !failing {
			log.Error().Err(err).Msg("requests to erase wait: trying again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(eraseEvery):
		}
	}
	if l != nil {
		l.close()
	}
}

func (l *erasure) step(ctx context.Context, keyer *privacy.Keyer, store *clickhouse.Store, age time.Duration, log zerolog.Logger) error {
	some, err := l.Waiting(ctx)
	if err != nil || !some {
		return err
	}
	e := erase.New(erase.Config{
		Streams: l, Journal: stream.OpenJournal(l.js, l.nc, schemas.AlertJournal), Table: store, Keys: keyer.Keys, Now: time.Now, Publish: l.publish,
		Idle: func(ctx context.Context) error { return passedBy(ctx, stream.OpenGenerations(l.js, l.nc)) }, Age: age,
		Began: func(r *schemas.EraseRequest) {
			log.Info().Int("shard", r.Shard).Uint64("seq", r.Seq).Msg("erasing a customer")
		},
	})
	done, _, err := e.Step(ctx)
	for _, r := range done {
		log.Info().Str("request", r.Request).Uint64("rows", r.Rows).Uint64("messages", r.Messages).Uint64("letters", r.Letters).
			Uint64("insights", r.Insights).Uint64("alerts", r.Alerts).Msg("a customer was erased")
	}
	return err
}

// passedBy waits until a reclassification under way has written down twice where it stands: from then on it has nothing in
// memory that it had read before. One whose process is gone reads everything again.
func passedBy(ctx context.Context, g *stream.Generations) error {
	first := uint64(0)
	for saves := 0; ; {
		rec, seq, err := g.Load(ctx)
		if err != nil || rec.Change == nil {
			return err
		}
		switch {
		case first == 0:
			first = seq
		case seq != first:
			first, saves = seq, saves+1
		}
		// A plan is written down before its rows, and its end after them: two writes more, and a third for the one under way.
		if saves == 3 {
			return nil
		}
		alive, err := g.Alive(ctx, rec.Change.Inbox)
		if err != nil || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
