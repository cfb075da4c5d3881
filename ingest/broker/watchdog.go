package broker

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// maxRestartPause bounds how long an ill server is left alone between two restarts, in multiples of UnhealthyAfter
// checks: a restart that did not help will hardly help a second later, and each drops every client.
const maxRestartPause = 16

// watch checks the server's health and restarts it, in place, when it has been ill for a while and its disk has room.
func (b *Broker) watch(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(b.cfg.CheckEvery)
	defer tick.Stop()
	look := time.NewTicker(min(b.cfg.CheckEvery, roomEvery))
	defer look.Stop()
	var ill, pause = 0, 1 // failed checks in a row; restarts happen every pause × UnhealthyAfter of them
	noRoom := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			b.lookForRoom(0)
			continue
		case <-tick.C:
		}
		err := b.well()
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
		free, size, err := b.disk(b.cfg.Dir)
		if need := b.reserve(size); err != nil || free < need {
			if !noRoom {
				b.cfg.Logger.Error().Err(err).Int64("free_bytes", free).Int64("needed_bytes", need).Str("dir", b.cfg.Dir).
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
		b.end(old, true)
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

// sourcesFile is where nats-server keeps, beside a stream's messages, how far the stream has copied from others.
const sourcesFile = "sources.db"

// end stops a server. One that is ill may have written down that it has copied messages which its disk refused, and would go on
// behind them: without that file it looks at the messages themselves.
func (b *Broker) end(srv *server.Server, ill bool) {
	srv.Shutdown()
	srv.WaitForShutdown()
	if !ill {
		return
	}
	files, _ := filepath.Glob(filepath.Join(b.cfg.Dir, "jetstream", "*", "streams", "*", sourcesFile)) // the pattern is a good one
	for _, name := range files {
		if err := os.Remove(name); err != nil {
			b.cfg.Logger.Error().Err(err).Msg("a file of the broker could not be removed: a copy of a message may be missing from INSIGHTS or DEADLETTERS")
		}
	}
}
