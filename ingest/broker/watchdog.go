package broker

import (
	"context"
	"syscall"
	"time"
)

// maxRestartPause bounds how long an ill server is left alone between two restarts, in multiples of UnhealthyAfter
// checks: a restart that did not help will hardly help a second later, and each drops every client.
const maxRestartPause = 16

// watch checks the server's health and restarts it, in place, when it has been ill for a while and its disk has room.
func (b *Broker) watch(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(b.cfg.CheckEvery)
	defer tick.Stop()
	var ill, pause = 0, 1 // failed checks in a row; restarts happen every pause × UnhealthyAfter of them
	noRoom := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := b.Healthy()
		if err == nil {
			if ill > 0 {
				b.cfg.Logger.Info().Int("checks", ill).Msg("broker is healthy again")
			}
			ill, pause, noRoom = 0, 1, false
			continue
		}
		if ill++; ill == 1 {
			b.cfg.Logger.Error().Err(err).Msg("broker is not healthy")
		}
		if ill%(pause*b.cfg.UnhealthyAfter) != 0 {
			continue
		}
		free, err := b.free(b.cfg.Dir)
		if err != nil || free < b.cfg.MinFree {
			if !noRoom {
				b.cfg.Logger.Error().Err(err).Int64("free_bytes", free).Int64("needed_bytes", b.cfg.MinFree).Str("dir", b.cfg.Dir).
					Msg("broker cannot be restarted before its disk has room: free some space")
			}
			noRoom = true
			continue
		}
		noRoom = false
		pause = min(2*pause, maxRestartPause)
		b.restart(ctx)
	}
}

// restart replaces the server by a new one on the same directory and port. Clients see a broken connection and come back.
func (b *Broker) restart(ctx context.Context) {
	b.mu.Lock()
	old := b.srv
	b.srv = nil
	b.mu.Unlock()
	if old != nil {
		old.Shutdown()
		old.WaitForShutdown()
	}
	srv, err := b.run(ctx)
	if err != nil {
		b.cfg.Logger.Error().Err(err).Msg("broker could not be restarted; it is tried again")
		return
	}
	b.mu.Lock()
	b.srv = srv
	b.mu.Unlock()
	b.cfg.Logger.Warn().Str("url", b.URL()).Msg("broker was restarted because it was not healthy")
}

// diskFree returns how many bytes an unprivileged user may still write on the disk that holds dir.
func diskFree(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
