package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

type restoredOptions struct {
	shard          int
	stopped, force bool
}

func restoredCommand() command {
	return command{
		name: "restored", summary: "go on with a log that was restored from a copy or made anew",
		help: "A shard halts when its stream is not the one its ledger was written for, because it was made anew or put back from an\nolder copy: what the ledger says of it is true no more. This takes the stream as a new log: the next start reads it from its\noldest message on, counts what the table has as duplicates, and stores the rest. Where log and ledger were both put back,\nonly the table tells: the shard halts, and asks for --force. Stop every earshot on the shard first; with a\nNATS server of your own --stopped says that you have.\nExample: earshot restored --shard 0",
		flags: func(fs *flag.FlagSet) any {
			o := &restoredOptions{}
			fs.IntVar(&o.shard, "shard", 0, "the shard that is halted")
			fs.BoolVar(&o.force, "force", false, "take the log as a new one although its ledger was written for it")
			fs.BoolVar(&o.stopped, "stopped", false, "no earshot works on that NATS server now")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runRestored(ctx, env, opts.(*restoredOptions))
		},
	}
}

func runRestored(ctx context.Context, env *environment, o *restoredOptions) (err error) {
	if o.shard < 0 || o.shard >= env.config.Shards {
		return usagef("there is no shard %d: --shard is 0 to %d", o.shard, env.config.Shards-1)
	}
	if env.config.NatsURL.Reveal() != "" && !o.stopped {
		return usagef("stop every earshot that works on this NATS server, then say --stopped")
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	// Embedded servers are started here, not looked for: the lock on the data folder is the proof that no node runs.
	env.config.BrokerAddr = "127.0.0.1:0"
	s, err := openServers(ctx, env, need{nats: true}, log, &opened)
	if err != nil {
		return err
	}
	nc, js, err := stream.Connect(s.natsURL, "earshot-restored", log)
	if err != nil {
		return err
	}
	opened.add("NATS connection", func(context.Context) error { nc.Close(); return nil })
	shard, err := stream.OpenShard(ctx, js, nc, o.shard)
	if err != nil {
		return err
	}
	switch err := worker.Recognise(ctx, shard); {
	case err == nil && !o.force:
		return errors.New("the log of this shard is the one its ledger was written for: there is nothing to do, unless the shard has halted because of the table; then say --force")
	case err != nil && !errors.Is(err, schemas.ErrEpoch):
		return err
	}
	shard.Close()
	epoch, err := stream.Adopt(ctx, js, o.shard)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "shard %d is a new log now, of the epoch %s; start earshot, then run 'earshot reconcile --by-hour'\n", o.shard, epoch)
	return nil
}
