package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// asFaulty makes the test binary behave as an earshot that lacks one of the things its promise rests on. The tests of the
// promise must fail with it, which is how they are known to be able to fail.
const asFaulty = "TEST_AS_FAULTY"

// Values of asFaulty.
const (
	trusting = "trusting" // the worker believes the deduplication token and never reads back
	unsynced = "unsynced" // the broker acknowledges before it syncs
)

// runFaulty is 'earshot up' with the fault.
func runFaulty(fault string) int {
	config, err := LoadConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &environment{config: config, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	switch fault {
	case trusting:
		env.workerSeen = func(c *worker.Config) {
			c.Store, c.Log = &believer{Store: c.Store, sent: map[string]schemas.Part{}}, unmarked{c.Log}
		}
	case unsynced:
		url, err := unsyncedBroker(config.DataDir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailed
		}
		env.config.NatsURL = Secret{url}
	}
	if err := serve(ctx, env, role{ingest: true, process: true}, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}

// believer is a store that takes a clean reply for proof and never looks: what a pipeline has that relies on the token.
type believer struct {
	worker.Store
	mu   sync.Mutex
	sent map[string]schemas.Part // rows and digest of inserts with a clean reply, by token without its attempt
}

func (b *believer) Insert(ctx context.Context, rows []schemas.Row, token string) error {
	if err := b.Store.Insert(ctx, rows, token); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[token[:strings.LastIndexByte(token, '-')]] = schemas.Part{Rows: uint64(len(rows)), Digest: schemas.SumDigests(rows)}
	return nil
}

// ReadBack says of a planned part that it is there if an insert of it had a clean reply, and that it is not otherwise, so
// that it is inserted again under its token.
func (b *believer) ReadBack(ctx context.Context, r schemas.Range) (rows, digest uint64, err error) {
	if r.Month == 0 {
		return b.Store.ReadBack(ctx, r)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.sent[fmt.Sprintf("%s-%d-%d-%d-%d-%d", r.Epoch, r.Shard, r.Generation, r.Lo, r.Hi, r.Month)]
	return p.Rows, p.Digest, nil
}

// Stored has never looked, so it knows of nothing.
func (b *believer) Stored(context.Context, schemas.Range) ([]schemas.Stored, error) { return nil, nil }

// unmarked is a log whose checkpoints do not say what was committed last, so that nobody looks at it again.
type unmarked struct{ worker.Log }

func (u unmarked) Commit(ctx context.Context, cp schemas.Checkpoint, expect uint64, outcomes []schemas.Outcome, done int) (uint64, error) {
	cp.Recent = nil
	return u.Log.Commit(ctx, cp, expect, outcomes, done)
}

// unsyncedBroker runs a nats-server as it comes: it syncs its files every two minutes.
func unsyncedBroker(dir string) (url string, err error) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir + "-nats", NoSigs: true, NoLog: true,
	})
	if err != nil {
		return "", err
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		return "", fmt.Errorf("the nats-server on %s is not ready", dir)
	}
	return srv.ClientURL(), nil
}
