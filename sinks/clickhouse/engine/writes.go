package engine

import (
	"fmt"
	"strconv"
	"strings"
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

// openAnew closes the directory and opens it again, once all statements are over. What sessions held is lost.
func (e *Engine) openAnew() error {
	e.cancel()
	e.turn.Lock()
	defer e.turn.Unlock()
	if !e.torn.Load() {
		return nil // another statement was faster
	}
	e.running.wait()
	e.sessions.closeAll()
	e.conns.Wait()
	e.base.close()
	base, err := dial(e.abi, e.args)
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
