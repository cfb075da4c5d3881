package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The library goes on after a write to disk that failed. Where a server throws, it counts the failure and renames the part
// into place without the bytes: the INSERT is acknowledged, and a piece of it is nowhere (measured with EIO and ENOSPC at
// each file of a part, libchdb 26.7.3). A merge does the same to the parts it replaces.
//
// So the engine looks at the count after each statement that changes something, and once a second for the merges. When it
// has grown, the statement is answered with an error, whatever the library said, and nothing more is read from what is open:
// the directory is closed and opened anew, which is when ClickHouse holds each file against its noted size, sets parts that
// are not whole aside as broken-on-start, and takes those that a broken merge had replaced. They are there for that for 30
// seconds; hence the once a second.

// Neither is a statement to be believed that failed over a file. A part is renamed into place and its directory opened to be
// synced; where that does not work, the INSERT fails, the part is in no list, and the next start reads it all the same: rows that
// were not there when they were looked for, and were inserted again, are there twice (measured with EINTR at that call).
//
// A part that cannot be read is set aside, whatever the reason. So the directory is opened anew only when all parts can be.

// failedWrites is the SQL for how many writes have failed in this process.
const failedWrites = "SELECT sum(value) FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"

// watchEvery is the time between two looks for writes that failed in the background.
const watchEvery = time.Second

// enter takes a statement on. While the directory is not to be trusted it is opened anew first. The caller calls
// e.turn.RUnlock at the end of the statement.
func (e *Engine) enter() error {
	for {
		e.turn.RLock()
		if !e.torn.Load() {
			return nil
		}
		e.turn.RUnlock()
		if err := e.openAnew(); err != nil {
			return err
		}
	}
}

// intact makes sure that no write has failed since the last look. It is what makes an acknowledgement true.
func (e *Engine) intact(c *conn) error {
	out, _, err := c.exec(failedWrites, "TabSeparatedRaw")
	if err != nil {
		return fmt.Errorf("ask for writes that failed: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return fmt.Errorf("read the number of writes that failed: %w", err)
	}
	if e.failed.Swap(n) != n {
		e.torn.Store(true)
		e.cfg.Logger.Error().Uint64("failed", n).Msg("a write to disk failed: the directory is opened anew, and parts that are not whole are set aside")
	}
	if e.torn.Load() {
		return exceptionf(codeCannotWrite, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "A write to disk failed meanwhile. Nothing is known of what this statement wrote: read it back, and look at the disk")
	}
	return nil
}

// aboutFiles are the errors of ClickHouse that say that something could not be done with a file or a directory.
var aboutFiles = map[int]bool{74: true, 75: true, 76: true, 77: true, 83: true, 84: true, 87: true, 88: true, 107: true, 172: true,
	204: true, 294: true, 363: true, 400: true, 424: true, 425: true, 458: true, 504: true, 521: true, 531: true, 566: true, 586: true,
	641: true, 1000: true, 1001: true}

// doubt takes how a statement ended that changes something.
func (e *Engine) doubt(err error) error {
	var x *Exception
	if errors.As(err, &x) && aboutFiles[x.Code] && !e.torn.Swap(true) {
		e.cfg.Logger.Error().Err(err).Msg("a statement failed over a file: the directory is opened anew, so that what it left is seen")
	}
	return err
}

// readable says why a part cannot be read now, nil if all can.
func readable(dir string) error {
	parts, err := filepath.Glob(filepath.Join(dir, "store", "*", "*", "*", "checksums.txt"))
	if err != nil {
		return err
	}
	for _, file := range parts {
		for _, name := range []string{filepath.Dir(file), file} {
			// Not os.Open, which tries again by itself: the engine does not.
			fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a merge has taken its place
			}
			if err != nil {
				return &fs.PathError{Op: "open", Path: name, Err: err}
			}
			syscall.Close(fd)
		}
	}
	return nil
}

// openAnew closes the directory and opens it again, once all statements are over. What sessions held is lost.
func (e *Engine) openAnew() error {
	e.cancel()
	e.turn.Lock()
	defer e.turn.Unlock()
	if !e.torn.Load() {
		return nil // another statement was faster
	}
	if err := readable(e.cfg.Dir); err != nil {
		return exceptionf(codeCannotWrite, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "A write to disk failed, and the directory cannot be opened anew yet: %s. Look at the disk", err)
	}
	e.running.wait()
	e.sessions.closeAll()
	e.conns.Wait()
	e.base.close()
	base, err := e.openDirectory()
	if err != nil {
		return exceptionf(codeCannotWrite, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "A write to disk failed, and the directory cannot be opened anew: %s. Look at the disk", err)
	}
	e.base = base
	e.torn.Store(false)
	e.cfg.Logger.Warn().Str("dir", e.cfg.Dir).Msg("the directory was opened anew after a write had failed")
	return nil
}

// watch looks for writes that failed while no statement ran, as merges do, until the engine closes.
func (e *Engine) watch() {
	defer close(e.watched)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.unwatch:
			return
		case <-tick.C:
		}
		if err := e.glance(); err == nil {
			continue
		}
		if err := e.glance(); err != nil { // the second one opens the directory anew
			e.cfg.Logger.Error().Err(err).Msg("the engine cannot be trusted to hold what it was given")
		}
	}
}

// glance is one look.
func (e *Engine) glance() error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.turn.RUnlock()
	c, err := e.dial()
	if err != nil {
		return err
	}
	defer c.close()
	return e.intact(c)
}
