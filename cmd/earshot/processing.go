package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// processing is the part of a node that turns the log into rows: the store, and a worker for every shard.
type processing struct {
	n    *node
	base worker.Config // what all workers share, without log and store

	running sync.WaitGroup

	mu     sync.Mutex
	store  *clickhouse.Store // nil until ClickHouse was reached
	halted map[int]error     // by shard
}

// startProcessing starts the workers. An outside ClickHouse that is out of reach does not keep the node from starting:
// events are taken into the log, and the workers begin when it is back.
func startProcessing(ctx context.Context, n *node) (*processing, error) {
	c := &n.env.config
	secret, err := customerKey(c, n.servers.dir)
	if err != nil {
		return nil, err
	}
	keyer, err := privacy.NewKeyer(secret)
	if err != nil {
		return nil, err
	}
	classifier, err := classify.Load()
	if err != nil {
		return nil, err
	}
	p := &processing{n: n, halted: map[int]error{}, base: worker.Config{
		Classifier: classifier, Keyer: keyer, Metrics: worker.NewMetrics(n.registry),
		Logger:    n.log.With().Str("component", "worker").Logger(),
		BatchRows: c.BatchRows, Linger: c.Linger, InsightMaxAge: c.InsightMaxAge, DedupCapacity: c.DedupIDs,
	}}
	running, stop := context.WithCancel(context.Background())
	n.opened.add("workers", func(context.Context) error { stop(); return p.close() })
	err = p.begin(ctx, running)
	if err == nil || n.servers.engine || isPermanent(err) {
		return p, err
	}
	n.log.Error().Err(err).Msg("ClickHouse is out of reach: events are taken and wait in the log until it is back")
	p.running.Go(func() { p.keepTrying(running) })
	return p, nil
}

func isPermanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}

// keepTrying begins as soon as ClickHouse is there.
func (p *processing) keepTrying(running context.Context) {
	const first, longest = time.Second, 30 * time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		select {
		case <-running.Done():
			return
		case <-time.After(pause):
		}
		err := p.begin(running, running)
		if err == nil {
			p.n.log.Info().Msg("ClickHouse is there: the workers begin")
			return
		}
		p.n.log.Warn().Err(err).Msg("ClickHouse is still out of reach")
	}
}

// begin opens the store, brings its schema up to date and starts the workers.
func (p *processing) begin(ctx, running context.Context) error {
	store, err := openStore(ctx, p.n.env, p.n.servers, p.n.log)
	if err != nil {
		return err
	}
	if _, err := store.Migrate(ctx, clickhouse.MigrateOptions{Sole: p.n.servers.engine}); err != nil {
		return errors.Join(err, store.Close())
	}
	nc, js, err := stream.Connect(p.n.servers.natsURL, "earshot-worker", p.n.log)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	logs := make([]*stream.Shard, p.n.env.config.Shards)
	for shard := range logs {
		if logs[shard], err = stream.OpenShard(ctx, js, nc, shard); err != nil {
			nc.Close()
			return errors.Join(err, store.Close())
		}
	}
	p.mu.Lock()
	p.store = store
	p.mu.Unlock()
	var workers sync.WaitGroup
	for shard, log := range logs {
		cfg := p.base
		cfg.Shard, cfg.Log, cfg.Store = shard, log, store
		workers.Go(func() {
			defer log.Close()
			if err := worker.New(cfg).Run(running); err != nil {
				p.halt(shard, err)
			}
		})
	}
	p.running.Go(func() { workers.Wait(); nc.Close() })
	return nil
}

// halt notes that a shard has stopped for good.
func (p *processing) halt(shard int, err error) {
	p.n.log.Error().Err(err).Int("shard", shard).Msg("shard halted")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halted[shard] = err
}

// halts are the shards that have stopped for good, nil when all work.
func (p *processing) halts() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, shard := range slices.Sorted(maps.Keys(p.halted)) {
		errs = append(errs, p.halted[shard])
	}
	return errors.Join(errs...)
}

// opened returns the store, nil while ClickHouse has not been reached.
func (p *processing) opened() *clickhouse.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store
}

// reachable says whether ClickHouse answers.
func (p *processing) reachable(ctx context.Context) error {
	store := p.opened()
	if store == nil {
		return errors.New("ClickHouse has not been reached yet; events wait in the log")
	}
	return store.Ping(ctx)
}

// drain waits until the workers have committed everything the log holds now. Halted shards are not waited for.
func (p *processing) drain(ctx context.Context) error {
	if p.opened() == nil {
		return errors.New("ClickHouse has not been reached")
	}
	p.mu.Lock()
	var alive []*stream.Shard
	for i, s := range p.n.shards {
		if p.halted[i] == nil {
			alive = append(alive, s)
		}
	}
	halted := len(p.halted)
	p.mu.Unlock()
	_, err := waitCaughtUp(ctx, alive)
	if halted > 0 {
		err = errors.Join(err, fmt.Errorf("%d shards are halted", halted))
	}
	return err
}

// close ends the workers and then the store they write to.
func (p *processing) close() error {
	p.running.Wait()
	if store := p.opened(); store != nil {
		return store.Close()
	}
	return nil
}
