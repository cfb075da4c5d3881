// Package engine runs ClickHouse inside this process: the real query engine,
// loaded as a shared library (libchdb), behind ClickHouse's own HTTP protocol,
// so that clickhouse-go, curl, Grafana and every other client talk to it as
// they would to a server.
//
// [Library] finds or fetches the library, [Start] opens a data directory and
// listens, [Engine.DSN] is what a client connects to. A row's way: the client's
// INSERT arrives over HTTP, the front finds where its data begins, opens a
// connection of the engine, sets the request's database and settings on it,
// feeds the data through the library's insert stream and answers when the
// engine has committed. A SELECT goes the same way and its output is passed on
// chunk by chunk as the engine produces it.
//
// It refuses a relative directory, a directory another process has open, several
// statements in one, INTO OUTFILE and FROM INFILE, what would end the process,
// and requests that a web page makes through its reader's browser. The library
// has no users, so the front keeps two roles apart: the owner, who knows the
// password and can do everything, read this machine's files with file()
// included, and analysts, who can read one database ([Analysts]). It binds to
// loopback by default.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Config says which library to load, where its data lives and where to listen.
// Library and Dir are required.
type Config struct {
	// Library is the absolute path of libchdb, as [Library] returns it.
	Library string
	// Dir is the data directory. It must be absolute (fsync of a part's
	// directory fails under a relative one) and is created when missing. One
	// process opens it at a time.
	Dir string
	// Addr is the TCP address to listen on, default 127.0.0.1:8123, which is
	// ClickHouse's own port. Port 0 picks a free one.
	Addr string
	// User and Password are the owner's. User defaults to "default". With an
	// empty Password every name is let in as the owner.
	User, Password string
	// Analysts lets others in to read; nil: nobody but the owner.
	Analysts *Analysts
	// MaxMemory is the most memory the engine may track in bytes, default 4 GiB.
	// The engine lowers it to nine tenths of the machine's. Beyond it queries
	// fail with code 241, and the process lives.
	MaxMemory int64
	// MarkCache is the cache of index marks in bytes, default 128 MiB. The
	// engine's own default is 5 GiB.
	MarkCache int64
	// MergeThreads is the size of the background merge pool, default 2.
	MergeThreads int
	// MaxQueries is how many statements of the owner's may run at once, default
	// 64, and half as many of the analysts'. A further one is answered at once
	// with 503 and code 202. KILL QUERY is not counted.
	MaxQueries int
	// Expendable is a database that is dropped when one of its definitions is found damaged, where the engine could not open the
	// directory otherwise; default none.
	Expendable string
	// Logger takes changes of state; the zero value writes nothing.
	Logger zerolog.Logger
}

// Defaults of [Config]. 4 GiB leaves a machine of 8 GiB its page cache; the
// mark cache holds the marks of some ten thousand parts.
const (
	defaultAddr       = "127.0.0.1:8123"
	defaultMaxMemory  = 4 << 30
	defaultMarkCache  = 128 << 20
	defaultMerges     = 2
	defaultMaxQueries = 64
	smallCache        = 16 << 20
)

// Engine is an open data directory with a listening HTTP door.
type Engine struct {
	cfg      Config
	abi      *abi
	args     []string // what every connection is opened with
	base     *conn    // keeps the engine alive between requests
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when the listener is done
	slots    chan struct{}
	analysts chan struct{}   // slots of theirs
	closed   map[string]bool // functions that are not theirs
	running  registry
	sessions sessions
	conns    sync.WaitGroup // open connections but base
	about    about
	closing  sync.Once
	closeErr error

	turn    sync.RWMutex  // a statement reads it for its time; who opens the directory anew writes it
	failed  atomic.Uint64 // writes to disk that failed in this process, as far as they were seen
	torn    atomic.Bool   // one has failed since the directory was opened
	unwatch chan struct{} // closed to end the watch
	watched chan struct{} // closed when it has ended
}

// about is what the engine says of itself once, at the start.
type about struct {
	version, timezone, name string
	location                *time.Location
	settings                map[string]bool // the names it knows
}

// Start loads the library, opens cfg.Dir and serves ClickHouse's HTTP protocol
// on cfg.Addr. The context bounds the start only; end the engine with Close.
//
// A process has one engine at a time: the library keeps one data directory per
// process. After Close another directory can be opened.
func Start(ctx context.Context, cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("create engine directory %s: %w", cfg.Dir, err)
	}
	if err := notLocked(cfg.Dir); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, served: make(chan struct{}), slots: make(chan struct{}, cfg.MaxQueries), analysts: make(chan struct{}, max(1, cfg.MaxQueries/2)), unwatch: make(chan struct{}), watched: make(chan struct{})}
	var err error
	if e.abi, err = loadABI(cfg.Library); err != nil {
		return nil, err
	}
	e.args = cfg.arguments()
	begin := time.Now()
	if e.base, err = e.openDirectory(); err != nil {
		return nil, fmt.Errorf("open engine directory %s: %w; a process opens one directory at a time, and the library wrote its reason to standard error", cfg.Dir, err)
	}
	if e.about, err = introduce(e.base); err != nil {
		e.base.close()
		return nil, fmt.Errorf("ask the engine its version: %w", err)
	}
	if e.closed, err = closed(e.base); err != nil {
		e.base.close()
		return nil, err
	}
	if e.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr); err != nil {
		e.base.close()
		return nil, fmt.Errorf("listen for ClickHouse clients: %w; choose another address with port 0 for a free one", err)
	}
	e.server = &http.Server{
		// A web page must not reach the engine through its reader's browser.
		Handler:           http.NewCrossOriginProtection().Handler(e.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    1 << 20, // a statement may ride in the URL; a server takes as much
	}
	go func() {
		defer close(e.served)
		if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error().Err(err).Msg("engine stopped serving")
		}
	}()
	go e.watch()
	cfg.Logger.Info().Str("addr", e.Addr()).Str("dir", cfg.Dir).Str("version", e.about.version).
		Dur("took", time.Since(begin)).Msg("engine ready")
	return e, nil
}

// Addr is the address the engine listens on, with the port it got.
func (e *Engine) Addr() string { return e.listener.Addr().String() }

// DSN is the owner's address in the form clickhouse-go takes, http://host:port,
// with the owner's name and password where there is one and without a database:
// the caller adds the one it means.
func (e *Engine) DSN() string {
	u := url.URL{Scheme: "http", Host: e.Addr()}
	if e.cfg.Password != "" {
		u.User = url.UserPassword(e.cfg.User, e.cfg.Password)
	}
	return u.String()
}

// Close stops listening, waits for running statements until ctx ends, then
// cancels what is left, and closes the directory. Calling it again returns what
// the first call returned.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Do(func() { e.closeErr = e.close(ctx) })
	return e.closeErr
}

func (e *Engine) close(ctx context.Context) error {
	err := e.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("drain engine: %w; running statements were cancelled", err)
		e.cancel()
		_ = e.server.Close()
	}
	<-e.served
	close(e.unwatch)
	<-e.watched
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.running.wait()
		e.sessions.closeAll()
		e.conns.Wait() // the library lets go of the directory with its last connection
		e.base.close()
	}()
	// Some functions work on one row for minutes and look at no clock. Nothing is lost by leaving them to the end of the
	// process: what was acknowledged is on disk.
	select {
	case <-ended:
		e.cfg.Logger.Info().Msg("engine closed")
	case <-time.After(stubborn):
		err = errors.Join(err, fmt.Errorf("a statement does not end within %v of being cancelled: the directory is let go with the process", stubborn))
	}
	return err
}

// stubborn is how long a statement that is cancelled is waited for at the end.
const stubborn = 20 * time.Second

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	if c.User == "" {
		c.User = "default"
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = defaultMaxMemory
	}
	if c.MarkCache == 0 {
		c.MarkCache = defaultMarkCache
	}
	if c.MergeThreads == 0 {
		c.MergeThreads = defaultMerges
	}
	if c.MaxQueries == 0 {
		c.MaxQueries = defaultMaxQueries
	}
	if c.Analysts != nil {
		a := c.Analysts.withDefaults(c.MaxMemory)
		c.Analysts = &a
	}
	return c
}

// validate reports every fault at once.
func (c Config) validate() error {
	var faults []error
	if !filepath.IsAbs(c.Library) {
		faults = append(faults, fmt.Errorf("engine Library is %q, must be the absolute path that Library returns", c.Library))
	}
	if !filepath.IsAbs(c.Dir) {
		faults = append(faults, fmt.Errorf("engine Dir is %q, must be an absolute path", c.Dir))
	}
	if c.MaxMemory < 256<<20 {
		faults = append(faults, fmt.Errorf("engine MaxMemory is %d bytes, must be at least 256 MiB", c.MaxMemory))
	}
	if c.MarkCache < 1<<20 {
		faults = append(faults, fmt.Errorf("engine MarkCache is %d bytes, must be at least 1 MiB", c.MarkCache))
	}
	if c.MergeThreads < 1 || c.MergeThreads > 64 {
		faults = append(faults, fmt.Errorf("engine MergeThreads is %d, must be 1 to 64", c.MergeThreads))
	}
	if c.MaxQueries < 1 || c.MaxQueries > 1024 {
		faults = append(faults, fmt.Errorf("engine MaxQueries is %d, must be 1 to 1024", c.MaxQueries))
	}
	if c.Analysts != nil && (c.Password == "" || c.Password == c.Analysts.Password || c.Analysts.Database == "") {
		faults = append(faults, errors.New("engine Analysts need a database, and an owner's Password that is not theirs"))
	}
	return errors.Join(faults...)
}

// arguments are what every connection is opened with. Server options count on
// the first connection only; settings count on each.
func (c Config) arguments() []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		"--path=" + c.Dir,
		// Without a file named here the library reads a config.xml from the working
		// directory or the user's home, whoever put it there. This one is not to be.
		"--config-file=" + filepath.Join(c.Dir, "no-config.xml"),
		"--max_server_memory_usage=" + number(c.MaxMemory),
		"--mark_cache_size=" + number(c.MarkCache),
		"--primary_index_cache_size=" + number(c.MarkCache),
		// The rest of the caches default to gigabytes too, for kinds of index and
		// file that are rare here.
		"--index_mark_cache_size=" + number(smallCache),
		"--vector_similarity_index_cache_size=" + number(smallCache),
		"--text_index_tokens_cache_size=" + number(smallCache),
		"--text_index_header_cache_size=" + number(smallCache),
		"--text_index_postings_cache_size=" + number(smallCache),
		"--parquet_metadata_cache_size=" + number(smallCache),
		"--iceberg_metadata_files_cache_size=" + number(smallCache),
		"--uncompressed_cache_size=0",
		"--background_pool_size=" + number(int64(c.MergeThreads)),
		"--background_merges_mutations_concurrency_ratio=2",
		"--background_schedule_pool_size=8",
		"--background_common_pool_size=2",
		"--background_move_pool_size=1",
		"--background_fetches_pool_size=1",
		// A server does not take "1 + 1" for a SELECT nor show its stack.
		"--implicit_select=0",
		"--allow_introspection_functions=0",
		"--storage_file_read_method=pread",
	}
}

// introduce asks the engine what the front must know of it.
func introduce(c *conn) (about, error) {
	out, _, err := c.exec("SELECT version() AS v, timezone() AS tz, displayName() AS name", "JSONEachRow")
	if err != nil {
		return about{}, err
	}
	var row struct{ V, TZ, Name string }
	if err := json.Unmarshal(out, &row); err != nil {
		return about{}, err
	}
	me := about{version: row.V, timezone: row.TZ, name: row.Name, location: time.UTC, settings: make(map[string]bool)}
	if location, err := time.LoadLocation(row.TZ); err == nil {
		me.location = location
	}
	names, _, err := c.exec("SELECT name FROM system.settings", "TabSeparatedRaw")
	if err != nil {
		return about{}, err
	}
	for name := range strings.Lines(string(names)) {
		me.settings[strings.TrimSpace(name)] = true
	}
	return me, nil
}

// notLocked reports who has the directory open. The library takes the same lock
// on the same file and only says so on standard error.
func notLocked(dir string) error {
	path := filepath.Join(dir, "status")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at engine lock %s: %w", path, err)
	}
	defer f.Close()
	if err := tryLock(f); err != nil {
		holder, _ := os.ReadFile(path)
		who, _, _ := strings.Cut(string(holder), "\n")
		return fmt.Errorf("engine directory %s is open in another process (%s): stop it, or use another directory", dir, who)
	}
	return nil
}
