package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

func doctorCommand() command {
	return command{
		name: "doctor", summary: "check that this machine and configuration can run earshot",
		help: "Checks the engine library, npm, the data folder and its disk, the addresses, and the servers that the\nconfiguration names. It changes nothing. Exit 1 when something is wrong.\nExample: earshot doctor",
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runDoctor(ctx, env)
		},
	}
}

// checkup is one check: it returns what it found, or an error that says what to do.
type checkup struct {
	name  string
	check func(context.Context) (string, error)
}

func runDoctor(ctx context.Context, env *environment) error {
	c := &env.config
	dir, err := c.dataDir()
	if err != nil {
		return err
	}
	running, _ := readAddresses(dir)
	alive := isRunning(dir)
	checks := []checkup{
		{"classifier", func(context.Context) (string, error) {
			k, err := classify.Load()
			if err != nil {
				return "", err
			}
			return k.Model(), nil
		}},
		{"data folder", func(context.Context) (string, error) { return checkDataDir(dir, alive, running) }},
	}
	if c.ClickhouseDSN.Reveal() == "" {
		checks = append(checks, checkup{"engine library", func(context.Context) (string, error) { return checkLibrary(c) }})
		if !alive {
			checks = append(checks, checkup{"engine address", freeAddress("EARSHOT_ENGINE_ADDR", c.EngineAddr)})
		}
	} else {
		checks = append(checks, checkup{"ClickHouse", func(ctx context.Context) (string, error) { return checkClickhouse(ctx, env) }})
	}
	if c.NatsURL.Reveal() == "" {
		if !alive {
			checks = append(checks, checkup{"broker address", freeAddress("EARSHOT_BROKER_ADDR", c.BrokerAddr)})
		}
	} else {
		checks = append(checks, checkup{"NATS", func(ctx context.Context) (string, error) { return checkNats(ctx, env) }})
	}
	if !alive {
		checks = append(checks, checkup{"gateway address", freeAddress("EARSHOT_GATEWAY_ADDR", c.GatewayAddr)})
	}
	wrong := 0
	for _, k := range checks {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		found, err := k.check(ctx)
		cancel()
		if err != nil {
			wrong++
			fmt.Fprintf(env.stdout, "wrong  %-16s %v\n", k.name, err)
			continue
		}
		fmt.Fprintf(env.stdout, "ok     %-16s %s\n", k.name, found)
	}
	if wrong > 0 {
		return errReported
	}
	return nil
}

// isRunning says whether a node works on the folder.
func isRunning(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil {
		return false
	}
	lock, err := lockDataDir(dir)
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, errLocked)
}

func checkDataDir(dir string, alive bool, a addresses) (string, error) {
	at := dir
	for {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	probe, err := os.CreateTemp(at, ".earshot-doctor-*")
	if err != nil {
		return "", fmt.Errorf("%s cannot be written: %w; set EARSHOT_DATA_DIR", at, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return "", err
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(at, &disk); err != nil {
		return "", fmt.Errorf("measure the disk of %s: %w", at, err)
	}
	free := disk.Bavail * uint64(disk.Bsize)
	const least = 2 << 30 // a day of feedback and the room merges need
	if free < least {
		return "", fmt.Errorf("%s has %.1f GiB free, at least %d are wanted", at, float64(free)/(1<<30), least>>30)
	}
	state := "free"
	if alive {
		state = fmt.Sprintf("in use by process %d, gateway %s", a.Pid, a.Gateway)
	}
	return fmt.Sprintf("%s (%s, %.0f GiB free)", dir, state, float64(free)/(1<<30)), nil
}

func checkLibrary(c *Config) (string, error) {
	path, err := engine.CachedLibrary(engine.LibraryConfig{Path: c.LibraryPath})
	if err == nil {
		return path, nil
	}
	if npm, lookErr := exec.LookPath("npm"); lookErr == nil {
		return "not fetched yet; the first start fetches it with " + npm, nil
	}
	return "", err
}

func freeAddress(variable, addr string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return "", fmt.Errorf("%w; stop the other program or set %s", err, variable)
		}
		return addr + " is free", l.Close()
	}
}

func checkNats(ctx context.Context, env *environment) (string, error) {
	nc, js, err := stream.Connect(env.config.NatsURL.Reveal(), "earshot-doctor", newLogger(&env.config, env.stderr).Level(warnLevel))
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if _, err := js.AccountInfo(ctx); err != nil {
		return "", fmt.Errorf("JetStream does not answer: %w; start nats-server with -js", err)
	}
	states, err := stream.Accepted(ctx, js, env.config.Shards)
	if err != nil {
		return "reachable; the streams are made at the first start", nil
	}
	var events uint64
	for _, s := range states {
		events += s.Messages
	}
	return fmt.Sprintf("%s, %d shards, %d events in the log", nc.ConnectedServerVersion(), len(states), events), nil
}

func checkClickhouse(ctx context.Context, env *environment) (string, error) {
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	store, err := openStore(ctx, env, &servers{dsn: env.config.ClickhouseDSN.Reveal()}, log)
	if err != nil {
		return "", err
	}
	defer store.Close()
	list, err := store.Status(ctx)
	if err != nil {
		return "", err
	}
	var open []string
	for _, m := range list {
		if m.Status != "applied" {
			open = append(open, m.Name)
		}
	}
	if len(open) > 0 {
		return "reachable; migrations to be applied at the next start: " + strings.Join(open, ", "), nil
	}
	return "reachable, schema up to date", nil
}
