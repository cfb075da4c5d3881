package engine

import (
	"context"
	"encoding/json"
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
	entries map[string]*entry
	killing bool           // a goroutine sees to what is to be cancelled
	all     sync.WaitGroup // one for each entry and that goroutine
}

// entry is a statement between being taken on and being done with.
type entry struct {
	begun  bool   // the engine knows it, or has known it
	doomed bool   // it is to be cancelled
	wake   func() // ends its waiting for its sender; nil where there is none to wait for
}

// add takes the id, or says that a statement with it is running. A server
// refuses the second too, and the exactly-once protocol relies on it: an insert
// sent again while the first still runs must not run beside it.
func (r *registry) add(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = make(map[string]*entry)
	}
	if _, taken := r.entries[id]; taken {
		return exceptionf(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running", id)
	}
	r.entries[id] = &entry{}
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

// begin notes that the engine knows the statement.
func (r *registry) begin(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[id].begun = true
}

// waits notes how the statement's waiting for its sender is ended.
func (r *registry) waits(id string, wake func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[id].wake = wake
}

// wake ends the waiting of statements for their senders.
func (r *registry) wake(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if entry := r.entries[id]; entry != nil && entry.wake != nil {
			entry.wake()
		}
	}
}

// waiting are the statements that the engine may not know yet.
func (r *registry) waiting() map[string]*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := make(map[string]*entry)
	for id, entry := range r.entries {
		if !entry.begun {
			found[id] = entry
		}
	}
	return found
}

// settled drops from a set of waiting statements those that have begun or ended,
// and reports whether none is left.
func (r *registry) settled(waiting map[string]*entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, entry := range waiting {
		if entry.begun || r.entries[id] != entry {
			delete(waiting, id)
		}
	}
	return len(waiting) == 0
}

// wait returns when nothing runs.
func (r *registry) wait() { r.all.Wait() }

// doomed are the ids to be cancelled, as SQL literals. With none left it ends
// the killing.
func (r *registry) doomed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for id, entry := range r.entries {
		if entry.doomed {
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
		if entry := r.entries[id]; entry != nil {
			entry.doomed = true
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
		if _, err := e.look("KILL QUERY WHERE "+clientID+" IN ("+strings.Join(ids, ", ")+") ASYNC", "Null"); err != nil {
			e.cfg.Logger.Error().Err(err).Int("statements", len(ids)).Msg("cannot cancel statements")
		}
		time.Sleep(pause)
	}
}

// wakeKilled wakes, until the channel is closed, inserts that were killed while they wait for more of their data: they
// would find out only with the next byte, and a sender that was stopped, or whose line is dead, sends none.
func (e *Engine) wakeKilled(until <-chan struct{}) {
	for {
		select {
		case <-until:
			return
		case <-time.After(20 * time.Millisecond):
		}
		listed, err := e.look("SELECT "+clientID+" FROM system.processes WHERE is_cancelled", "JSONCompactEachRow")
		if err != nil {
			e.cfg.Logger.Error().Err(err).Msg("cannot look for killed statements")
			continue
		}
		ids, err := firstColumn(listed)
		if err != nil {
			e.cfg.Logger.Error().Err(err).Msg("cannot look for killed statements")
		}
		e.running.wake(ids)
	}
}

// firstColumn reads the values of a result of one text column in JSONCompactEachRow.
func firstColumn(listed []byte) ([]string, error) {
	var out []string
	for line := range strings.Lines(string(listed)) {
		var row [1]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return out, fmt.Errorf("read the process list: %w", err)
		}
		out = append(out, row[0])
	}
	return out, nil
}

// settle waits until every statement taken on before is in the process list or
// over. Who looks there for a statement, and finds none, concludes that it can
// do no more harm; one that is about to begin must not be missed.
func (e *Engine) settle(ctx context.Context) error {
	for waiting := e.running.waiting(); !e.running.settled(waiting); {
		listed, err := e.look("SELECT "+clientID+" FROM system.processes", "JSONCompactEachRow")
		if err != nil {
			return err
		}
		ids, err := firstColumn(listed)
		if err != nil {
			return err
		}
		for _, id := range ids {
			delete(waiting, id)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// look runs one of the engine's own statements on a connection of its own.
func (e *Engine) look(sql, format string) ([]byte, error) {
	c, err := e.dial()
	if err != nil {
		return nil, err
	}
	defer c.close()
	out, _, err := c.exec(sql, format)
	return out, err
}

// withClientIDs makes a statement that looks at the process list see the ids
// clients know: in KILL QUERY the column query_id, elsewhere the table
// system.processes is replaced by the same table with that column exchanged. What
// KILL QUERY answers, and the function query_id(), still show the engine's own.
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
