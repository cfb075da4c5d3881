package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/gateway"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// role is what a node does of the pipeline.
type role struct {
	ingest  bool // run the gateway
	process bool // run the workers
}

// node is a running pipeline or a part of one.
type node struct {
	env      *environment
	log      zerolog.Logger
	registry *prometheus.Registry
	servers  *servers
	opened   closers

	js        jetstream.JetStream
	shards    []*stream.Shard // for looking at the ledgers
	work      *processing     // nil without the process role
	gateway   string          // URL of the gateway; "" without the ingest role
	publisher *stream.Publisher

	stopGateway context.CancelFunc
}

// startNode opens everything the role needs, in order. On error whatever was opened is closed again.
func startNode(ctx context.Context, env *environment, r role) (*node, error) {
	n := &node{env: env, log: newLogger(&env.config, env.stderr), registry: prometheus.NewRegistry()}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	if err := n.open(ctx, r); err != nil {
		return nil, n.opened.closeAfter(err)
	}
	return n, nil
}

func (n *node) open(ctx context.Context, r role) (err error) {
	n.servers, err = openServers(ctx, n.env, need{nats: true, clickhouse: r.process}, n.log, &n.opened)
	if err != nil {
		return err
	}
	if err := n.provision(ctx); err != nil {
		return err
	}
	if r.process {
		if n.work, err = startProcessing(ctx, n); err != nil {
			return err
		}
	}
	if r.ingest {
		if err := n.startGateway(); err != nil {
			return err
		}
	}
	return n.announce()
}

// provision makes sure that the streams are there.
func (n *node) provision(ctx context.Context) error {
	c := &n.env.config
	nc, js, err := stream.Connect(n.servers.natsURL, "earshot", n.log)
	if err != nil {
		return err
	}
	n.opened.add("NATS connection", func(context.Context) error { nc.Close(); return nil })
	n.js = js
	if _, err = stream.Provision(ctx, js, provisionConfig(c)); err != nil {
		return err
	}
	n.shards, err = openShards(ctx, js, nc, c.Shards)
	return err
}

func provisionConfig(c *Config) stream.ProvisionConfig {
	return stream.ProvisionConfig{Shards: c.Shards, Replicas: c.Replicas, FeedbackAge: c.LogMaxAge, FeedbackBytes: c.LogMaxBytes}
}

func openStore(ctx context.Context, env *environment, s *servers, log zerolog.Logger) (*clickhouse.Store, error) {
	return clickhouse.Open(ctx, clickhouse.Config{
		DSN: s.dsn, Database: env.config.Database, Logger: log.With().Str("component", "store").Logger(),
	})
}

// startGateway listens and serves.
func (n *node) startGateway() error {
	c := &n.env.config
	nc, _, err := stream.Connect(n.servers.natsURL, "earshot-gateway", n.log)
	if err != nil {
		return err
	}
	n.opened.add("gateway's NATS connection", func(context.Context) error { nc.Close(); return nil })
	n.publisher, err = stream.NewPublisher(nc, stream.PublisherConfig{Shards: c.Shards, Registerer: n.registry, Room: n.room()})
	if err != nil {
		return err
	}
	n.opened.add("publisher", n.publisher.Close)
	hooks, publicURL, err := openHooks(c, n.servers.dir)
	if err != nil {
		return err
	}
	if c.PublicURL != "" {
		publicURL = c.PublicURL
	}
	keys, err := openKeys(c, n.servers.dir)
	if err != nil {
		return err
	}
	answers, err := answerKey(c, n.servers.dir)
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{
		Keys: keys, Hooks: hooks, PublicURL: publicURL, AnswerKey: answers,
		Log: n.publisher, Shards: c.Shards, Now: time.Now, Registerer: n.registry, Gatherer: n.registry,
		Logger: n.log.With().Str("component", "gateway").Logger(), Ready: n.checks(), Notices: n.notices(), EventsPerSecond: c.GatewayRate,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.GatewayAddr)
	if err != nil {
		return fmt.Errorf("listen for feedback: %w; stop the other program or set EARSHOT_GATEWAY_ADDR, port 0 picks a free one", err)
	}
	n.gateway = "http://" + l.Addr().String()
	serving, stop := context.WithCancel(context.Background())
	n.stopGateway = stop
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(serving, l) }()
	n.opened.add("gateway", func(context.Context) error { stop(); return <-ended })
	return nil
}

// checks are what /readyz asks: whether the node can take and store events.
func (n *node) checks() map[string]func(context.Context) error {
	checks := map[string]func(context.Context) error{
		"log": func(ctx context.Context) error {
			for _, s := range n.shards {
				if err := s.Full(ctx); err != nil {
					return err
				}
			}
			return n.publisher.Refusing()
		},
	}
	if n.servers.broker != nil {
		checks["broker"] = func(context.Context) error { return n.servers.broker.Healthy() }
	}
	if n.work != nil {
		checks["store"] = n.work.reachable
		checks["workers"] = func(context.Context) error { return n.work.halts() }
	}
	return checks
}

// room says why the embedded broker takes no events, if there is one.
func (n *node) room() func() error {
	if n.servers.broker == nil {
		return nil
	}
	return n.servers.broker.Room
}

// notices are what /readyz?verbose tells besides. A fault in what is stored does not make the node unready: it takes and
// stores events as before, and turning them away would add an outage to the fault.
func (n *node) notices() map[string]func(context.Context) error {
	if n.work == nil {
		return nil
	}
	return map[string]func(context.Context) error{"audit": n.work.audited}
}

// addresses are where the node can be reached.
func (n *node) addresses() addresses {
	return addresses{Gateway: n.gateway, Nats: n.servers.natsURL, Clickhouse: n.servers.dsn, Database: n.env.config.Database, Pid: pid()}
}

// announce says that the node is ready, once in the log and once in the data folder.
func (n *node) announce() error {
	a := n.addresses()
	if n.servers.dir != "" {
		if err := writeAddresses(n.servers.dir, a); err != nil {
			return err
		}
	}
	n.log.Info().Str("gateway", a.Gateway).Str("nats", Secret{a.Nats}.String()).Str("clickhouse", Secret{a.Clickhouse}.String()).
		Str("database", a.Database).Str("data_dir", n.servers.dir).Int("pid", a.Pid).Msg("ready")
	return nil
}

// stop takes no more events, waits until those taken are stored, and closes everything in reverse.
func (n *node) stop() error {
	if n.stopGateway != nil {
		n.stopGateway()
	}
	if n.work != nil {
		ctx, cancel := context.WithTimeout(context.Background(), n.env.config.DrainTimeout)
		if err := n.work.drain(ctx); err != nil {
			n.log.Warn().Err(err).Msg("not everything accepted is stored yet; it goes on at the next start")
		}
		cancel()
	}
	err := n.opened.closeAfter(nil)
	if err == nil {
		n.log.Info().Msg("stopped")
	}
	return err
}
