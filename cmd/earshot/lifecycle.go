package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// closers is what has been opened, to be closed in reverse.
type closers struct {
	list []closer
	done bool
}

type closer struct {
	name  string
	close func(context.Context) error
}

// add registers a close; call it on the line after the open.
func (c *closers) add(name string, close func(context.Context) error) {
	c.list = append(c.list, closer{name, close})
}

// close closes everything in reverse, each within the time left, and joins the errors. A second call does nothing.
func (c *closers) close(ctx context.Context) error {
	if c.done {
		return nil
	}
	c.done = true
	var errs []error
	for i := len(c.list) - 1; i >= 0; i-- {
		if err := c.list[i].close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.list[i].name, err))
		}
	}
	return errors.Join(errs...)
}

// closeTimeout bounds the closing of servers after the drain.
const closeTimeout = 30 * time.Second

// closeAfter closes in a fresh context, because the one that ended is why things are being closed.
func (c *closers) closeAfter(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(err, c.close(ctx))
}

// Names of files in the data folder.
const (
	lockFile      = "earshot.lock"
	addressesFile = "addresses.json"
	keyFile       = "customer.key"
	answerKeyFile = "answer.key"
	ownerFile     = "clickhouse.password"
)

// addresses are where a running node can be reached; they are printed, and kept in the data folder for other commands.
type addresses struct {
	Gateway    string `json:"gateway,omitempty"`
	Nats       string `json:"nats"`
	Clickhouse string `json:"clickhouse"`
	Database   string `json:"database"`
	Pid        int    `json:"pid"`
}

// errLocked says that another process works on the data folder.
var errLocked = errors.New("another earshot is running on it")

// lockDataDir takes the data folder for this process. The lock ends with the process, however it ends.
func lockDataDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			who := ""
			if a, err := readAddresses(dir); err == nil {
				who = fmt.Sprintf(" (process %d, gateway %s)", a.Pid, a.Gateway)
			}
			return nil, fmt.Errorf("the data folder %s is in use: %w%s; stop that one first, or set EARSHOT_DATA_DIR to another folder", dir, errLocked, who)
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	return f, nil
}

// writeAddresses replaces the file in one step, so that a reader never sees half of it.
func writeAddresses(dir string, a addresses) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, addressesFile+".new")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, addressesFile)); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}

func readAddresses(dir string) (a addresses, err error) {
	b, err := os.ReadFile(filepath.Join(dir, addressesFile))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(b, &a)
}
