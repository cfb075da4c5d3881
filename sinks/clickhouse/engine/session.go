package engine

import (
	"strings"
	"sync"
	"time"
)

// sessions are the connections that outlive a request: what a client names by
// session_id keeps its SET, USE and temporary tables until it rests for its
// timeout.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

// session is one kept connection.
type session struct {
	conn  *conn
	busy  bool
	timer *time.Timer
}

// take gives the session's connection to one request. A session serves one
// request at a time; a second is refused, not queued, as on a server.
func (s *sessions) take(id string, create bool, open func() (*conn, error)) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = make(map[string]*session)
	}
	have := s.byID[id]
	switch {
	case have != nil && have.busy:
		return nil, exceptionf(codeSessionLocked, "SESSION_IS_LOCKED", "Session %s is locked by a concurrent client", id)
	case have != nil:
		have.busy = true
		have.timer.Stop()
		return have.conn, nil
	case !create:
		return nil, exceptionf(codeNoSession, "SESSION_NOT_FOUND", "Session %s not found", id)
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	s.byID[id] = &session{conn: c, busy: true}
	return c, nil
}

// give returns the connection after a request and starts its rest.
func (s *sessions) give(id string, rest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.byID[id]
	if have == nil {
		return
	}
	have.busy = false
	have.timer = time.AfterFunc(rest, func() { s.drop(id, have) })
}

// drop ends a session that rests.
func (s *sessions) drop(id string, old *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[id] != old || old.busy {
		return
	}
	delete(s.byID, id)
	old.conn.close()
}

// closeAll ends every session. No request may be running.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, have := range s.byID {
		if have.timer != nil {
			have.timer.Stop()
		}
		have.conn.close()
		delete(s.byID, id)
	}
}

// setStatement is one SET for all settings.
func setStatement(settings []setting) string {
	var b strings.Builder
	for i, s := range settings {
		if i == 0 {
			b.WriteString("SET ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(s.name + " = " + literal(s.value))
	}
	return b.String()
}

// saved are the values that settings have now, to be put back after a request
// of a session: what the URL sets is for one statement, what SET sets stays.
func (c *conn) saved(settings []setting) ([]setting, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = literal(s.name)
	}
	out, _, err := c.exec("SELECT name, value FROM system.settings WHERE name IN ("+strings.Join(names, ",")+")", "TabSeparatedRaw")
	if err != nil {
		return nil, err
	}
	var old []setting
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			old = append(old, setting{name, value})
		}
	}
	return old, nil
}
