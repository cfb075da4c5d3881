package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// openReclassify finds or starts the servers and gathers what a reclassification needs of them.
func openReclassify(ctx context.Context, env *environment, classifier worker.Labeller, log zerolog.Logger, opened *closers) (*worker.ReclassifyConfig, error) {
	s, err := locate(ctx, env, need{nats: true, clickhouse: true}, log, opened)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, env, s, log)
	if err != nil {
		return nil, err
	}
	opened.add("store", func(context.Context) error { return store.Close() })
	if _, err := store.Migrate(ctx, clickhouse.MigrateOptions{Sole: s.engine}); err != nil {
		return nil, err
	}
	if classifier, err = themed(ctx, store, classifier); err != nil {
		return nil, err
	}
	// Who has no customer key leaves an open plan to the workers, which have it.
	var keyer *privacy.Keyer
	if secrets, err := customerKeys(&env.config, s.dir); err == nil {
		if keyer, err = privacy.NewKeyer(secrets...); err != nil {
			return nil, err
		}
	}
	masker, err := loadMasker(&env.config)
	if err != nil {
		return nil, err
	}
	base := workerConfig(&env.config, classifier, keyer, masker, log)
	cfg, stop, err := generations(ctx, s.natsURL, env.config.Shards, base, store)
	if err != nil {
		return nil, err
	}
	opened.add("NATS connection", func(context.Context) error { stop(); return nil })
	cfg.Labeller = classifier
	cfg.Alone = s.engine && s.broker != nil // the data folder is locked by this process, so nobody else works on it
	return cfg, nil
}

// generations connects to the ledgers of all shards and to the record of generations.
func generations(ctx context.Context, natsURL string, shards int, base worker.Config, store *clickhouse.Store) (*worker.ReclassifyConfig, func(), error) {
	nc, js, err := stream.Connect(natsURL, "earshot-generations", base.Logger)
	if err != nil {
		return nil, nil, err
	}
	record := stream.OpenGenerations(js, nc)
	inbox, _, err := record.Present()
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	opened, err := openShards(ctx, js, nc, shards)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	cfg := &worker.ReclassifyConfig{Record: record, Table: store, Keys: store, Keyer: base.Keyer, Owner: rand.Text(), Inbox: inbox, Logger: base.Logger}
	for _, log := range opened {
		cfg.Shards = append(cfg.Shards, log)
	}
	if base.Keyer != nil {
		cfg.Settle = func(ctx context.Context, shard int) error {
			c := base
			c.Shard, c.Log, c.Store, c.Keys = shard, opened[shard], store, store
			return worker.New(c).Settle(ctx)
		}
	}
	return cfg, nc.Close, nil
}

// finishEvery is how often a node looks for a switch of generations that its process has not lived to end. Until one is
// found, the shards it holds wait.
const finishEvery = 5 * time.Second

// finishSwitches finishes switches that are half done, now and whenever one is found.
func finishSwitches(ctx context.Context, n *node, base worker.Config, store *clickhouse.Store) {
	base.Logger = n.log.With().Str("component", "generations").Logger()
	var cfg *worker.ReclassifyConfig
	stop := func() {}
	for ctx.Err() == nil {
		var err error
		if cfg == nil {
			cfg, stop, err = generations(ctx, n.servers.natsURL, n.env.config.Shards, base, store)
		}
		if err == nil {
			_, err = worker.NewReclassifier(*cfg).Finish(ctx)
		}
		if err != nil && ctx.Err() == nil {
			base.Logger.Warn().Err(err).Msg("looking for a switch of generations to finish")
		}
		select {
		case <-ctx.Done():
		case <-time.After(finishEvery):
		}
	}
	if cfg != nil {
		stop()
	}
}
