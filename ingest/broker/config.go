package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of [Config].
const (
	DefaultAddr           = "127.0.0.1:4222"
	DefaultCheckEvery     = 5 * time.Second
	DefaultUnhealthyAfter = 3
	DefaultMinFree        = 256 << 20 // the ledger of some 250,000 events that all raise an insight, a kilobyte each
	DefaultStartTimeout   = time.Minute
)

// AddrVariable is the setting that an error about the address names.
const AddrVariable = "EARSHOT_BROKER_ADDR"

// MaxPayload is the largest message the server takes, in bytes, headers included. It is nats-server's own default, which
// outside clients expect; streams have a limit of their own below it.
const MaxPayload = 1 << 20

// Config says how to run the embedded server.
type Config struct {
	Dir    string         // where JetStream keeps its files; absolute; created when absent; one server a directory
	Addr   string         // host:port of a loopback address; default [DefaultAddr]; port 0 picks a free one, kept over restarts
	Shards int            // number of shards the subject mappings spread keys over, at least 1
	Logger zerolog.Logger // receives the server's warnings and errors, and the watchdog's changes of state

	MaxStore       int64         // bytes all streams together may take; 0: as much as the disk has
	CheckEvery     time.Duration // time between two health checks; 0: [DefaultCheckEvery]
	UnhealthyAfter int           // failed checks in a row before a restart; 0: [DefaultUnhealthyAfter]
	MinFree        int64         // bytes of the disk kept for the ledger, an eighth of it at most; see [Broker.Room]; 0: [DefaultMinFree]
	StartTimeout   time.Duration // how long recovering the streams may take; 0: [DefaultStartTimeout]
}

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = DefaultCheckEvery
	}
	if c.UnhealthyAfter == 0 {
		c.UnhealthyAfter = DefaultUnhealthyAfter
	}
	if c.MinFree == 0 {
		c.MinFree = DefaultMinFree
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = DefaultStartTimeout
	}
	return c
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if !filepath.IsAbs(c.Dir) {
		errs = append(errs, fmt.Errorf("broker directory %q: give an absolute path", c.Dir))
	}
	if c.Shards < 1 {
		errs = append(errs, fmt.Errorf("broker shards %d: give at least 1", c.Shards))
	}
	if c.MaxStore < 0 || c.CheckEvery < 0 || c.UnhealthyAfter < 0 || c.MinFree < 0 || c.StartTimeout < 0 {
		errs = append(errs, errors.New("broker limits: none may be negative; 0 takes the default"))
	}
	if _, _, err := c.hostPort(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hostPort splits the address and holds it to a loopback one.
func (c Config) hostPort() (string, int, error) {
	host, p, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", 0, fmt.Errorf("broker address %q: %w: set %s to host:port, such as %s", c.Addr, err, AddrVariable, DefaultAddr)
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("broker address %q: the port is not a number from 0 to 65535: set %s to host:port, such as %s", c.Addr, AddrVariable, DefaultAddr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("broker address %q: the embedded broker has no users and listens on a loopback address only: set %s to 127.0.0.1:%d, or run a nats-server of your own and set EARSHOT_NATS_URL", c.Addr, AddrVariable, port)
	}
	return host, int(port), nil
}

// probeDir makes sure that the directory exists and can be written, so that the server does not die of it later.
func probeDir(dir string) error {
	const advice = "give the broker a directory that this user can write"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("broker directory %s: %w: %s", dir, err, advice)
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("broker directory %s: %w: %s", dir, err, advice)
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return fmt.Errorf("broker directory %s: %w: %s", dir, err, advice)
	}
	return nil
}

// probeAddr makes sure that the port is free, because the server itself only logs that it is not.
func probeAddr(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("broker address %s: %w: another server has it; stop that one, set %s to another port, or to port 0 to pick a free one", addr, err, AddrVariable)
	}
	return l.Close()
}
