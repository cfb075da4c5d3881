package broker

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/earshot/earshot/schemas"
)

// unbounded is a limit of nats-server that no disk reaches; it adds to its limits, so the largest number will not do.
const unbounded = 1 << 60

// The disk is looked at every roomEvery, and, by whoever asks before it publishes, whenever the last look is older than
// roomFresh: fast senders write 100 MB a second, which must not eat up in one go what is kept free.
const (
	roomEvery = 100 * time.Millisecond
	roomFresh = 10 * time.Millisecond
)

// Room says why events are refused, or nil while they are not. The log is never let into the last [Config].MinFree bytes of
// the disk: what is accepted has to be dealt with, and the ledger needs room for that. So events are refused first, while
// plans, checkpoints, insights and dead letters are still written, and taken again by itself once there is room, whoever
// sends them: what is published to the log's subjects meanwhile reaches no stream, which its sender is told at once.
func (b *Broker) Room() error {
	b.lookForRoom(roomFresh)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.low
}

// reserve is how much of a disk of this size is kept free: on a small one, not all of it.
func (b *Broker) reserve(size int64) int64 { return min(b.cfg.MinFree, size/8) }

// lookForRoom refuses events when the disk has come to the reserve, and takes them again when it has some more than that. It
// does nothing when the last look is not older than fresh.
func (b *Broker) lookForRoom(fresh time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.looked) < fresh {
		return
	}
	b.looked = time.Now()
	free, size, err := b.disk(b.cfg.Dir)
	if err != nil {
		return // of a disk that cannot be asked the server's own health tells more
	}
	need := b.reserve(size)
	switch {
	case b.low == nil && free < need:
		b.low = fmt.Errorf("broker: no events are taken: the disk of %s has %d MiB free, and the last %d are kept for what was accepted before: free some space", b.cfg.Dir, free>>20, need>>20)
		b.cfg.Logger.Error().Int64("free_bytes", free).Int64("kept_bytes", need).Str("dir", b.cfg.Dir).Msg("the disk is full but for the ledger's reserve: events are refused until there is room")
	case b.low != nil && free >= need+need/4:
		b.low = nil
		b.cfg.Logger.Info().Int64("free_bytes", free).Msg("the disk has room: events are taken again")
	default:
		return
	}
	if b.srv == nil { // the next one is told when it starts
		return
	}
	if err := b.route(b.srv, b.low == nil); err != nil {
		b.cfg.Logger.Error().Err(err).Msg("events could not be refused or taken again")
	}
}

// route leads what is published for the log into its streams, or to subjects that no stream takes.
func (b *Broker) route(srv *server.Server, open bool) (err error) {
	account := srv.GlobalAccount()
	lead := func(from, to string) {
		if e := account.AddMapping(from, to); e != nil {
			err = errors.Join(err, fmt.Errorf("broker: map %s to %s: %w", from, to, e))
		}
	}
	for _, m := range schemas.Mappings(b.cfg.Shards) {
		if !open {
			m.To = away(m.To)
		}
		lead(m.From, m.To)
	}
	for shard := range b.cfg.Shards {
		for _, subject := range schemas.FeedbackSubjects(shard) {
			if open {
				account.RemoveMapping(subject)
			} else {
				lead(subject, away(subject))
			}
		}
	}
	return err
}

// away is the subject to which one of the log leads while it takes nothing.
func away(subject string) string {
	return "refused." + strings.TrimPrefix(subject, "feedback.")
}

// diskRoom returns how many bytes an unprivileged user may still write on the disk that holds dir, and how large it is.
func diskRoom(dir string) (free, size int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), nil
}
