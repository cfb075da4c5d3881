package main

import (
	"context"
	"os"
)

func upCommand() command {
	return command{
		name: "up", summary: "run the whole pipeline on one machine",
		help: "Runs gateway, workers and, where no URLs are set, embedded NATS and ClickHouse on the data folder.\nCtrl-C takes no more events, stores what was accepted, and ends; the next start goes on there.\nExample: EARSHOT_DATA_DIR=/var/lib/earshot earshot up",
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			return serve(ctx, env, role{ingest: true, process: true}, args)
		},
	}
}

func ingestCommand() command {
	return command{
		name: "ingest", summary: "run the gateway alone, on an outside NATS",
		help: "Runs the HTTP gateway against EARSHOT_NATS_URL; workers run elsewhere ('earshot process').\nExample: EARSHOT_NATS_URL=nats://nats:4222 earshot ingest",
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if env.config.NatsURL.Reveal() == "" {
				return usagef("needs EARSHOT_NATS_URL; 'earshot up' runs everything with an embedded NATS")
			}
			return serve(ctx, env, role{ingest: true}, args)
		},
	}
}

func processCommand() command {
	return command{
		name: "process", summary: "run the workers alone, on outside servers",
		help: "Runs a worker for every shard against EARSHOT_NATS_URL and EARSHOT_CLICKHOUSE_DSN.\nExample: EARSHOT_NATS_URL=nats://nats:4222 EARSHOT_CLICKHOUSE_DSN=http://clickhouse:8123 earshot process",
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if env.config.NatsURL.Reveal() == "" || env.config.ClickhouseDSN.Reveal() == "" {
				return usagef("needs EARSHOT_NATS_URL and EARSHOT_CLICKHOUSE_DSN; 'earshot up' runs everything with embedded servers")
			}
			return serve(ctx, env, role{process: true}, args)
		},
	}
}

// serve runs a node until it is told to stop.
func serve(ctx context.Context, env *environment, r role, args []string) error {
	if err := nothingAfter(args); err != nil {
		return err
	}
	n, err := startNode(ctx, env, r)
	if err != nil {
		return err
	}
	<-ctx.Done()
	n.log.Info().Msg("stopping: no more events are taken")
	return n.stop()
}

func pid() int { return os.Getpid() }
