package broker

import (
	"fmt"
	"sync"

	"github.com/rs/zerolog"
)

// logger passes the server's log on: warnings and worse. Notices are one line per recovered stream and per start; they
// are kept at debug level.
type logger struct {
	to   zerolog.Logger
	died chan struct{} // closed when the server gave up starting

	mu    sync.Mutex
	fatal string
}

func (l *logger) Noticef(format string, v ...any) {
	l.to.Debug().Str("component", "nats-server").Msgf(format, v...)
}

func (l *logger) Warnf(format string, v ...any) {
	l.to.Warn().Str("component", "nats-server").Msgf(format, v...)
}

func (l *logger) Errorf(format string, v ...any) {
	l.to.Error().Str("component", "nats-server").Msgf(format, v...)
}

func (l *logger) Debugf(string, ...any) {}

func (l *logger) Tracef(string, ...any) {}

// Fatalf remembers why the server gave up. The server returns from its start after it, and does not end the process.
func (l *logger) Fatalf(format string, v ...any) {
	l.to.Error().Str("component", "nats-server").Msgf(format, v...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		l.fatal = fmt.Sprintf(format, v...)
		close(l.died)
	}
}

func (l *logger) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
