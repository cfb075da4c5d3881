package engine

import (
	"encoding/json"
	"fmt"
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

// set applies settings to the connection; they hold until it is closed.
func (c *conn) set(settings []setting) error {
	if len(settings) == 0 {
		return nil
	}
	_, _, err := c.exec(setStatement(settings), "Null")
	return err
}

// use makes a database the connection's current one; "" leaves it.
func (c *conn) use(database string) error {
	if database == "" {
		return nil
	}
	_, _, err := c.exec("USE "+identifier(database), "Null")
	return err
}

// saved are the values that settings have now and the current database, to be
// put back after a request.
func (c *conn) saved(settings []setting) (old []setting, database string, err error) {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = literal(s.name)
	}
	out, _, err := c.exec("SELECT name, value, currentDatabase() FROM system.settings WHERE name IN ("+strings.Join(names, ",")+")", "JSONCompactEachRow")
	if err != nil {
		return nil, "", err
	}
	for line := range strings.Lines(string(out)) {
		var row [3]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, "", fmt.Errorf("read session settings: %w", err)
		}
		old, database = append(old, setting{row[0], row[1]}), row[2]
	}
	return old, database, nil
}
