package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/rs/zerolog"
)

// Config is what a store needs.
type Config struct {
	// DSN names the server: http://host:8123, https://…, both with optional user:password@ and /database. clickhouse://
	// speaks the native protocol; the tests of this project do not cover it, and [Store.Query] does not work over it.
	DSN string
	// Database holds the tables; it is created when missing. Default: the one in the DSN, else "earshot".
	Database string
	// Version is told to the server with the product name "earshot", so that its query log shows who asked. Default "dev".
	Version string
	// Connections is how many requests may be under way at once. Default 16.
	Connections int
	// DialTimeout bounds one attempt to connect. Default 5 s.
	DialTimeout time.Duration
	// InsertTimeout is how long the server may work on one insert before it gives up. Default 2 min.
	InsertTimeout time.Duration
	// Compression of what is sent and received: "none" or "lz4". Default "none", which measured faster on one machine (see
	// the decision record on the store); take lz4 where the network between worker and server is slower than 1 Gbit/s.
	Compression string

	Logger zerolog.Logger
}

// Defaults of [Config].
const (
	DefaultDatabase      = "earshot"
	DefaultConnections   = 16
	DefaultDialTimeout   = 5 * time.Second
	DefaultInsertTimeout = 2 * time.Minute
)

// Store is a connection to one database. It is safe for concurrent use.
type Store struct {
	conn     driver.Conn
	cfg      Config
	database string
	protocol ch.Protocol
	slabs    sync.Pool // of *slab
}

// Open connects to the server, creates the database where it is missing, and checks that it answers. It creates no
// tables: see [Store.Migrate].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	opt, err := options(&cfg)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, opt)
	if code(err) == unknownDatabase {
		if err = createDatabase(ctx, *opt); err == nil {
			conn, err = connect(ctx, opt)
		}
	}
	if err != nil {
		return nil, wrap("connect to ClickHouse at "+address(cfg.DSN), advise(err))
	}
	s := &Store{conn: conn, cfg: cfg, database: opt.Auth.Database, protocol: opt.Protocol}
	s.slabs.New = func() any { return newSlab() }
	return s, nil
}

// Close ends the connections. Requests under way fail.
func (s *Store) Close() error { return s.conn.Close() }

// Database is the name of the database the store works in.
func (s *Store) Database() string { return s.database }

// Ping asks the server whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	return wrap("ping ClickHouse", s.conn.Ping(ctx))
}

// options turns the configuration into those of the driver and fills in the defaults.
func options(cfg *Config) (*ch.Options, error) {
	cfg.Connections = defaulted(cfg.Connections, DefaultConnections)
	cfg.DialTimeout = defaulted(cfg.DialTimeout, DefaultDialTimeout)
	cfg.InsertTimeout = defaulted(cfg.InsertTimeout, DefaultInsertTimeout)
	cfg.Version = defaulted(cfg.Version, "dev")
	cfg.Compression = defaulted(cfg.Compression, "none")
	opt, err := ch.ParseDSN(secured(cfg.DSN))
	if err != nil {
		return nil, fmt.Errorf("read the DSN of ClickHouse: %w; write it as http://user:password@host:8123/database", err)
	}
	switch scheme(cfg.DSN) {
	case "http", "https", "clickhouse":
	default:
		return nil, fmt.Errorf("the DSN of ClickHouse begins with %q: write it as http://host:8123, https://host:8443 or clickhouse://host:9000", scheme(cfg.DSN))
	}
	switch {
	case cfg.Database != "":
		opt.Auth.Database = cfg.Database
	case opt.Auth.Database == "":
		opt.Auth.Database = DefaultDatabase
	}
	method := ch.CompressionNone
	switch cfg.Compression {
	case "none":
	case "lz4":
		method = ch.CompressionLZ4
	default:
		return nil, fmt.Errorf("compression %q is not known: choose none or lz4", cfg.Compression)
	}
	if opt.Compression == nil {
		opt.Compression = &ch.Compression{Method: method}
	}
	opt.DialTimeout = cfg.DialTimeout
	opt.MaxOpenConns, opt.MaxIdleConns = cfg.Connections, cfg.Connections
	opt.ClientInfo.Products = append(opt.ClientInfo.Products, struct{ Name, Version string }{"earshot", cfg.Version})
	return opt, nil
}

func defaulted[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func connect(ctx context.Context, opt *ch.Options) (driver.Conn, error) {
	conn, err := ch.Open(opt)
	if err != nil {
		return nil, err
	}
	if err := conn.Ping(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// createDatabase creates the database over a connection that names none: a server refuses one that names a database it
// does not have.
func createDatabase(ctx context.Context, opt ch.Options) error {
	name := opt.Auth.Database
	opt.Auth.Database = ""
	opt.MaxOpenConns, opt.MaxIdleConns = 1, 1
	conn, err := connect(ctx, &opt)
	if err != nil {
		return err
	}
	err = conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+identifier(name))
	return errors.Join(err, conn.Close())
}

func scheme(dsn string) string {
	s, _, _ := strings.Cut(dsn, "://")
	return s
}

// address is the DSN without user, password and parameters, fit for messages.
func address(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return scheme(dsn) + "://…"
	}
	return u.Scheme + "://" + u.Host
}

// identifier quotes a name for use in a statement.
func identifier(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// literal quotes a string for use in a statement.
func literal(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}

// secured adds the parameter by which the driver wants TLS confirmed to an https address that lacks it.
func secured(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "https" || u.Query().Has("secure") {
		return dsn
	}
	q := u.Query()
	q.Set("secure", "true")
	u.RawQuery = q.Encode()
	return u.String()
}
