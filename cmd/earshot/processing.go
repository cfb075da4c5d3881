package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/processors/worker/remote"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// processing is the part of a node that turns the log into rows: the store, and a worker for every shard.
type processing struct {
	n    *node
	base worker.Config // what all workers share, without log and store
	call *alerting     // nil: alerts are off

	running sync.WaitGroup
	audits  *auditMetrics
	cache   *cacher

	mu     sync.Mutex
	store  *clickhouse.Store // nil until ClickHouse was reached
	audit  *auditor          // likewise
	halted map[int]error     // by shard
}

// startProcessing starts the workers. An outside ClickHouse that is out of reach does not keep the node from starting:
// events are taken into the log, and the workers begin when it is back.
func startProcessing(ctx context.Context, n *node) (*processing, error) {
	base, err := loadWorkerConfig(&n.env.config, n.servers.dir, n.log, n.registry)
	if err != nil {
		return nil, err
	}
	base.Metrics = worker.NewMetrics(n.registry)
	p := &processing{n: n, halted: map[int]error{}, audits: newAuditMetrics(n.registry), base: base,
		cache: newCacher(n.registry, n.log.With().Str("component", "cache").Logger())}
	if p.call, err = newAlerting(&n.env.config, n.registry, n.log); err != nil {
		return nil, err
	}
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

// loadWorkerConfig loads what all workers share.
func loadWorkerConfig(c *Config, dir string, log zerolog.Logger, registry prometheus.Registerer) (worker.Config, error) {
	secrets, err := customerKeys(c, dir)
	if err != nil {
		return worker.Config{}, err
	}
	keyer, err := privacy.NewKeyer(secrets...)
	if err != nil {
		return worker.Config{}, err
	}
	classifier, err := loadLabeller(c, c.ClassifierBudget, log, registry)
	if err != nil {
		return worker.Config{}, err
	}
	masker, err := loadMasker(c)
	if err != nil {
		return worker.Config{}, err
	}
	return workerConfig(c, classifier, keyer, masker, log), nil
}

// loadMasker loads what masks personal data; nil: it is not to be masked.
func loadMasker(c *Config) (*privacy.Masker, error) {
	if !c.Mask {
		return nil, nil
	}
	if c.MaskPatterns == "" {
		return privacy.NewMasker()
	}
	f, err := os.Open(c.MaskPatterns)
	if err != nil {
		return nil, fmt.Errorf("open EARSHOT_MASK_PATTERNS: %w", err)
	}
	defer f.Close()
	m, err := privacy.NewMasker(f)
	if err != nil {
		return nil, fmt.Errorf("EARSHOT_MASK_PATTERNS %s: %w; the shipped national_ids.tsv shows the form", c.MaskPatterns, err)
	}
	return m, nil
}

// loadLabeller loads the shipped classifier and those that were adapted to tenants, and the model elsewhere that is asked
// about what they are unsure of, if there is one. budget is how long a batch may wait for it; registry may be nil.
func loadLabeller(c *Config, budget time.Duration, log zerolog.Logger, registry prometheus.Registerer) (worker.Labeller, error) {
	shipped, err := classify.Load()
	if err != nil {
		return nil, err
	}
	tenants, damaged := tenantModels(c, shipped)
	for _, err := range damaged {
		log.Error().Err(err).Msg("an adapted model cannot be used")
	}
	if registry != nil {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "earshot_models_damaged", Help: "Files of adapted models that could not be used at the start; the log names them."})
		g.Set(float64(len(damaged)))
		registry.MustRegister(g)
	}
	out := worker.Adapted{Labeller: shipped, Tenants: map[string]worker.Labeller{}}
	for tenant, own := range tenants {
		out.Tenants[tenant] = own
	}
	if c.ClassifierURL.Reveal() == "" {
		return out, nil
	}
	out.Second, err = remote.New(remote.Config{
		URL: c.ClassifierURL.Reveal(), Key: c.ClassifierKey.Reveal(), Below: float32(c.ClassifierBelow), Batch: c.ClassifierBatch,
		Timeout: c.ClassifierTimeout, Budget: budget, Derive: shipped.Derive, Registry: registry,
		Logger: log.With().Str("component", "classifier").Logger(),
	})
	if err != nil {
		return nil, fmt.Errorf("EARSHOT_CLASSIFIER_URL: %w", err)
	}
	return out, nil
}

// workerConfig is what all workers share, without log and store.
func workerConfig(c *Config, classifier worker.Classifier, keyer *privacy.Keyer, masker *privacy.Masker, log zerolog.Logger) worker.Config {
	return worker.Config{
		Classifier: classifier, Keyer: keyer, Masker: masker, Logger: log.With().Str("component", "worker").Logger(),
		BatchRows: c.BatchRows, Linger: c.Linger, Takeover: c.Takeover, InsightMaxAge: c.InsightMaxAge, DedupCapacity: c.DedupIDs,
	}
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

// begin opens the store, brings its schema up to date and starts the workers and the auditor. The first audit is made
// beside the workers: it counts only what is committed, so that it need not hold them up, and the gateway takes events in
// any case.
func (p *processing) begin(ctx, running context.Context) error {
	store, err := openStore(ctx, p.n.env, p.n.servers, p.n.log)
	if err != nil {
		return err
	}
	if _, err := store.Migrate(ctx, clickhouse.MigrateOptions{Sole: p.n.servers.engine}); err != nil {
		return errors.Join(err, store.Close())
	}
	live, err := store.Live(ctx) // what a shard without a checkpoint begins with
	if err != nil {
		return errors.Join(err, store.Close())
	}
	shelf, err := openLibrary(ctx, store)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	base := p.base
	base.Classifier = shelf.with(base.Classifier)
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
	auditor, err := newAuditor(ctx, p.n.servers.natsURL, p.n.env.config.Shards, store, p.audits, p.n.log.With().Str("component", "audit").Logger())
	if err != nil {
		nc.Close()
		return errors.Join(err, store.Close())
	}
	p.mu.Lock()
	p.store, p.audit = store, auditor
	p.mu.Unlock()
	var workers sync.WaitGroup
	for shard, log := range logs {
		cfg := base
		cfg.Shard, cfg.Log, cfg.Store, cfg.Keys, cfg.Generation = shard, log, store, store, live
		if p.n.env.workerSeen != nil {
			p.n.env.workerSeen(&cfg)
		}
		workers.Go(func() {
			defer log.Close()
			if err := worker.New(cfg).Run(running); err != nil {
				p.halt(shard, err)
			}
		})
	}
	p.running.Go(func() { workers.Wait(); nc.Close() })
	p.running.Go(func() {
		defer auditor.close()
		onTheClock(running, p.n.env.config.AuditEvery, auditor.round)
	})
	quotes := p.base.Masker
	if quotes == nil { // what leaves the store is masked in any case
		if quotes, err = privacy.NewMasker(); err != nil {
			return err
		}
	}
	if every := p.n.env.config.CacheEvery; every > 0 {
		p.cache.store = store
		p.running.Go(func() { onTheClock(running, every, p.cache.round) })
	}
	p.running.Go(func() { finishSwitches(running, p.n, base, store) })
	p.running.Go(func() { p.keepThemes(running, store, shelf) })
	p.running.Go(func() { reviseOnChange(running, p.n, store) })
	p.running.Go(func() { eraseOnRequest(running, p.n, p.base.Keyer, store) })
	if p.call != nil {
		p.running.Go(func() {
			if err := p.call.run(running, p.n.servers.natsURL, store, quotes); err != nil {
				p.n.log.Error().Err(err).Msg("alerts are not evaluated: restart the node when the broker is there")
			}
		})
	}
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

// audited says what the last audit found wrong.
func (p *processing) audited(context.Context) error {
	p.mu.Lock()
	a := p.audit
	p.mu.Unlock()
	if a == nil {
		return nil // the check of the store says why
	}
	return a.err()
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
