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

// registry is the statements that run, by the id clients know them by, and which
// of them are to end.
type registry struct {
	mu      sync.Mutex
	entries map[string]bool // true once it is to be cancelled
	killing bool            // a goroutine sees to those
	all     sync.WaitGroup  // one for each entry and that goroutine
}

// add takes the id, or says that a statement with it is running. A server
// refuses the second too, and the exactly-once protocol relies on it: an insert
// sent again while the first still runs must not run beside it.
func (r *registry) add(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = make(map[string]bool)
	}
	if _, taken := r.entries[id]; taken {
		return exceptionf(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running", id)
	}
	r.entries[id] = false
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

// doomed are the ids to be cancelled, as SQL literals. With none left it ends
// the killing.
func (r *registry) doomed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id, end := range r.entries {
		if end {
			ids = append(ids, literal(id))
		}
	}
	r.killing = len(ids) > 0
	return ids
}

// cancel has the statements with these ids ended, all of them without any. It
// does not wait for it.
func (e *Engine) cancel(ids ...string) {
	r := &e.running
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(ids) == 0 {
		for id := range r.entries {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		if _, runs := r.entries[id]; runs {
			r.entries[id] = true
			if !r.killing {
				r.killing = true
				r.all.Go(e.killDoomed)
			}
		}
	}
}

// killDoomed asks the engine to end what is to end, until it has: a statement
// may not have begun when it is first asked for, or be between two places where
// it looks. All go in one KILL, so that many clients who leave at once do not
// become many statements.
func (e *Engine) killDoomed() {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		ids := e.running.doomed()
		if len(ids) == 0 {
			return
		}
		if err := e.kill(ids); err != nil {
			e.cfg.Logger.Error().Err(err).Int("statements", len(ids)).Msg("cannot cancel statements")
		}
		time.Sleep(pause)
	}
}

// kill runs one KILL for ids given as SQL literals.
func (e *Engine) kill(ids []string) error {
	c, err := e.dial()
	if err != nil {
		return err
	}
	defer c.close()
	_, _, err = c.exec("KILL QUERY WHERE "+clientID+" IN ("+strings.Join(ids, ", ")+") ASYNC", "Null")
	return err
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
