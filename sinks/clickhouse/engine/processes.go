package engine

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// carrier is the setting that carries a client's query id into the engine. The
// library gives every statement an id of its own and takes none, but shows a
// statement's settings in system.processes. This one names a cluster for
// parallel replicas, which an embedded engine has not, so it means nothing here
// and can hold any text.
const carrier = "cluster_for_parallel_replicas"

// clientID is the SQL for the id a client knows a statement by.
const clientID = "if(Settings['" + carrier + "'] = '', query_id, Settings['" + carrier + "'])"

// registry is the statements that run, by the id clients know them by.
type registry struct {
	mu      sync.Mutex
	entries map[string]struct{}
	all     sync.WaitGroup
}

// add takes the id, or says that a statement with it is running. A server
// refuses the second too, and the exactly-once protocol relies on it: an insert
// sent again while the first still runs must not run beside it.
func (r *registry) add(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = make(map[string]struct{})
	}
	if _, taken := r.entries[id]; taken {
		return exceptionf(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running", id)
	}
	r.entries[id] = struct{}{}
	r.all.Add(1)
	return nil
}

// remove lets the id go.
func (r *registry) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, id)
	r.all.Done()
}

// wait returns when nothing runs.
func (r *registry) wait() { r.all.Wait() }

// cancelAll asks every running statement to end, once.
func (r *registry) cancelAll(e *Engine) {
	r.mu.Lock()
	ids := make([]string, 0, len(r.entries))
	for id := range r.entries {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	for _, id := range ids {
		e.kill(id)
	}
}

// kill asks the statement with a client's id to end and does not wait. A
// statement that has not begun is not found; the caller asks again.
func (e *Engine) kill(id string) {
	c, err := e.dial()
	if err != nil {
		e.cfg.Logger.Error().Err(err).Str("query_id", id).Msg("cannot cancel statement")
		return
	}
	defer c.close()
	if _, _, err := c.exec("KILL QUERY WHERE "+clientID+" = "+literal(id)+" ASYNC", "Null"); err != nil {
		e.cfg.Logger.Error().Err(err).Str("query_id", id).Msg("cannot cancel statement")
	}
}

// killUntil keeps asking until done is closed: the statement may not have
// begun, or may be between two places where it looks.
func (e *Engine) killUntil(id string, done <-chan struct{}) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		e.kill(id)
		select {
		case <-done:
			return
		case <-time.After(pause):
		}
	}
}

// withClientIDs makes a statement that looks at the process list see the ids
// clients know: in KILL QUERY the column query_id, elsewhere the table
// system.processes is replaced by the same table with that column exchanged.
func withClientIDs(sql string, f facts) string {
	if f.verb == "KILL" {
		var b strings.Builder
		last := 0
		for _, id := range f.ids {
			b.WriteString(sql[last:id.start])
			b.WriteString(clientID)
			last = id.end
		}
		return b.String() + sql[last:]
	}
	if len(f.processes) == 0 {
		return sql
	}
	var b strings.Builder
	last := 0
	for _, t := range f.processes {
		b.WriteString(sql[last:t.start])
		fmt.Fprintf(&b, "(SELECT * REPLACE (%s AS query_id, %s AS initial_query_id) FROM system.processes)", clientID, clientID)
		last = t.end
	}
	return b.String() + sql[last:]
}
