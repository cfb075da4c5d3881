package stream

import (
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// reconnectWait is the pause between two attempts to reach a server that went away: short, because the embedded broker is
// back within a second of its restart.
const reconnectWait = 100 * time.Millisecond

// A connection that died without a word, as when a firewall forgot it, is given up when so many pings were not answered:
// after 15 s at most. Until then every write is answered with a time-out.
const (
	pingInterval = 5 * time.Second
	pingsOut     = 2
)

// Connect connects to a broker and stays connected: it tries again for ever, also after a restart of the server. name is
// what the server's own tools show for the connection. A publisher and a worker in one process should have a connection
// each, because bulk reads delay the answers to writes.
func Connect(server, name string, log zerolog.Logger) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(server,
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsOut),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn().Err(err).Str("connection", name).Msg("broker is out of reach")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info().Str("connection", name).Str("url", nc.ConnectedUrlRedacted()).Msg("broker is reachable again")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn().Err(err).Str("connection", name).Msg("broker connection")
		}),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the broker at %s: %w: start it, or set EARSHOT_NATS_URL", redact(server), err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("use JetStream at %s: %w", redact(server), err)
	}
	return nc, js, nil
}

// redact hides a password in a URL that is about to be shown.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	return u.Redacted()
}
