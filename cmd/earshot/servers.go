package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// servers are the broker and the store a command works with: outside ones where the configuration names them, embedded
// ones otherwise.
type servers struct {
	dir     string // data folder, absolute; empty when both servers are outside
	natsURL string
	dsn     string
	broker  *broker.Broker // nil: outside
	engine  bool           // ClickHouse is embedded in this process
}

// need is which of the two servers a command works with.
type need struct{ nats, clickhouse bool }

// embedded says which of the needed servers are not outside.
func (n need) embedded(c *Config) need {
	return need{n.nats && c.NatsURL.Reveal() == "", n.clickhouse && c.ClickhouseDSN.Reveal() == ""}
}

// openServers starts what is needed and not outside. The data folder is locked first, so that one process only works on
// it.
func openServers(ctx context.Context, env *environment, want need, log zerolog.Logger, opened *closers) (*servers, error) {
	c := &env.config
	s := &servers{natsURL: c.NatsURL.Reveal(), dsn: c.ClickhouseDSN.Reveal()}
	start := want.embedded(c)
	if start == (need{}) {
		return s, nil
	}
	dir, err := c.makeDataDir()
	if err != nil {
		return nil, err
	}
	s.dir = dir
	lock, err := lockDataDir(dir)
	if err != nil {
		return nil, err
	}
	opened.add("lock", func(context.Context) error { return lock.Close() })
	// What the servers write is customers' words, and they choose its permissions themselves.
	syscall.Umask(0o077)
	// The engine first: it is what may need a download, and nothing should listen while that goes on.
	if start.clickhouse {
		library, err := engine.Library(ctx, engine.LibraryConfig{Path: c.LibraryPath, Progress: env.stderr})
		if err != nil {
			return nil, err
		}
		analysts := engine.Analysts{Database: c.Database}
		if c.AnalystPasswordFile != "" {
			password, err := readPrivate(c.AnalystPasswordFile, "the analysts' password")
			if err != nil {
				return nil, err
			}
			analysts.Password = strings.TrimSpace(string(password))
		}
		password, err := ownerPassword(dir)
		if err != nil {
			return nil, err
		}
		e, err := engine.Start(ctx, engine.Config{
			User: "owner", Password: password, Analysts: &analysts, Expendable: clickhouse.CacheDatabase(c.Database),
			Library: library, Dir: filepath.Join(dir, "clickhouse"), Addr: c.EngineAddr,
			MaxMemory: c.EngineMemory << 20, Logger: log.With().Str("component", "engine").Logger(),
		})
		if err != nil {
			return nil, fmt.Errorf("start the embedded ClickHouse on EARSHOT_ENGINE_ADDR: %w", err)
		}
		opened.add("embedded ClickHouse", e.Close)
		s.dsn, s.engine = e.DSN(), true
	}
	if start.nats {
		b, err := broker.Start(ctx, broker.Config{
			Dir: filepath.Join(dir, "nats"), Addr: c.BrokerAddr, Shards: c.Shards,
			Logger: log.With().Str("component", "broker").Logger(),
		})
		if err != nil {
			return nil, fmt.Errorf("start the embedded NATS: %w", err)
		}
		opened.add("embedded NATS", func(context.Context) error { return b.Close() })
		s.broker, s.natsURL = b, b.URL()
	}
	return s, nil
}

// locate finds the servers for a command that only looks: outside ones, those of a node that is running on the data
// folder, or, when none is, embedded ones started for this command.
func locate(ctx context.Context, env *environment, want need, log zerolog.Logger, opened *closers) (*servers, error) {
	c := &env.config
	if want.embedded(c) != (need{}) {
		dir, err := c.dataDir()
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(dir, lockFile)); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there is no data in %s: start 'earshot up' or 'earshot demo' there, or set EARSHOT_DATA_DIR, or EARSHOT_NATS_URL and EARSHOT_CLICKHOUSE_DSN", dir)
		}
		lock, err := lockDataDir(dir)
		if errors.Is(err, errLocked) {
			a, err := readAddresses(dir)
			if err != nil {
				return nil, fmt.Errorf("a node is running on %s but its addresses cannot be read: %w; it may still be starting: try again", dir, err)
			}
			s := &servers{dir: dir, natsURL: a.Nats, dsn: a.Clickhouse}
			if u := c.NatsURL.Reveal(); u != "" {
				s.natsURL = u
			}
			if d := c.ClickhouseDSN.Reveal(); d != "" {
				s.dsn = d
			}
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
		// Nobody is there to be disturbed, and nobody should come to rely on servers that end with this command.
		c.BrokerAddr, c.EngineAddr = "127.0.0.1:0", "127.0.0.1:0"
	}
	return openServers(ctx, env, want, log, opened)
}

// locateStore opens the store for a command that needs nothing else.
func locateStore(ctx context.Context, env *environment, log zerolog.Logger, opened *closers) (*clickhouse.Store, *servers, error) {
	s, err := locate(ctx, env, need{clickhouse: true}, log, opened)
	if err != nil {
		return nil, nil, err
	}
	store, err := openStore(ctx, env, s, log)
	if err != nil {
		return nil, nil, err
	}
	opened.add("store", func(context.Context) error { return store.Close() })
	return store, s, nil
}

// answerKey reads the secret that signs links for customers, made like the customer key; nil where nothing says where it
// is: then there are no links.
func answerKey(c *Config, dir string) ([]byte, error) {
	if c.AnswerKeyFile == "" && dir == "" {
		return nil, nil
	}
	return secretFile("answer key", c.AnswerKeyFile, dir, answerKeyFile)
}

// secretFile reads the secret that a file holds; one that nobody named is in the data folder and made when it is missing.
func secretFile(what, path, dir, name string) ([]byte, error) {
	if path == "" {
		path = filepath.Join(dir, name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			secret := make([]byte, 32)
			rand.Read(secret)
			if err := os.WriteFile(path, secret, 0o400); err != nil {
				return nil, fmt.Errorf("make the %s: %w", what, err)
			}
		}
	}
	return readPrivate(path, "the "+what)
}

// ownerPassword is the password with which the embedded ClickHouse can be written to. It is made once and lies in the data
// folder, so that whoever can read that can do there what they want.
func ownerPassword(dir string) (string, error) {
	path := filepath.Join(dir, ownerFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		err := os.WriteFile(path+".new", []byte(rand.Text()+"\n"), 0o400)
		if err = errors.Join(err, os.Rename(path+".new", path)); err != nil {
			return "", fmt.Errorf("make the password of the embedded ClickHouse: %w", err)
		}
	}
	b, err := readPrivate(path, "the password of the embedded ClickHouse")
	return strings.TrimSpace(string(b)), err
}

// readPrivate reads a file that nobody else may read; what names it in errors.
func readPrivate(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s %s can be read by others (%v): chmod 400 it", what, path, info.Mode().Perm())
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return secret, nil
}

// warnLevel is the log level of commands whose output is for a person: what goes well is not worth a line.
const warnLevel = zerolog.WarnLevel

// newLogger is the process's log: JSON lines, or for a person at a terminal the console form.
func newLogger(c *Config, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if c.LogFormat == "console" || c.LogFormat == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
