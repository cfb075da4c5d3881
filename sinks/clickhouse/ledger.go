package clickhouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas/sql"
)

// States of a recorded statement.
const (
	statusStarted = "started"
	statusApplied = "applied"
	statusFailed  = "failed"
)

// Status is the recorded state of one statement beside what the program has.
type Status struct {
	Version  uint32    `json:"version"`
	Name     string    `json:"name"`
	Status   string    `json:"status"`              // applied, started (cut off), failed, or missing (never run)
	Current  bool      `json:"current"`             // applied from the text this program has
	Recorded string    `json:"sha256,omitempty"`    // of the recorded statement; empty: none
	Error    string    `json:"error,omitempty"`     // why it failed
	At       time.Time `json:"applied_at,omitzero"` // when it came into this state
}

// recordedStep is the newest record of a version.
type recordedStep struct {
	Name, SHA256, Status, Error string
	At                          time.Time
}

// Status lists every statement of this program with its recorded state. It changes nothing.
func (s *Store) Status(ctx context.Context) ([]Status, error) {
	recorded, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	var out []Status
	for _, o := range append(sql.Tables(), sql.Views()...) {
		st := Status{Version: o.Version, Name: o.Name, Status: "missing"}
		if r, ok := recorded[o.Version]; ok {
			st.Status, st.Recorded, st.Error, st.At = r.Status, r.SHA256, r.Error, r.At
			st.Current = r.Status == statusApplied && r.SHA256 == o.SHA256
		}
		out = append(out, st)
	}
	return out, nil
}

// recorded reads the newest record of each version; none where the table does not exist yet.
func (s *Store) recorded(ctx context.Context) (map[uint32]recordedStep, error) {
	const op = "read the migrations"
	exists, err := s.objects(ctx)
	if err != nil {
		return nil, err
	}
	out := map[uint32]recordedStep{}
	if !exists["schema_migrations"] {
		return out, nil
	}
	rows, err := s.conn.Query(ctx, "SELECT version, name, sha256, status, error, applied_at FROM schema_migrations ORDER BY version, applied_at")
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		var version uint32
		var r recordedStep
		if err := rows.Scan(&version, &r.Name, &r.SHA256, &r.Status, &r.Error, &r.At); err != nil {
			return nil, wrap(op, err)
		}
		out[version] = r // the newest comes last
	}
	return out, wrap(op, rows.Err())
}

// record adds a record for each step, in one insert.
func (s *Store) record(ctx context.Context, steps []step, status, failure string) error {
	if len(steps) == 0 {
		return nil
	}
	values := make([]string, len(steps))
	for i, st := range steps {
		values[i] = fmt.Sprintf("(%d, %s, %s, %s, %s)", st.Version, literal(st.Name), literal(st.SHA256), literal(status), literal(failure))
	}
	return wrap("record migrations as "+status, s.exec(ctx,
		"INSERT INTO schema_migrations (version, name, sha256, status, error) VALUES "+strings.Join(values, ", "), recordSettings()))
}

// objects lists the tables and views of the database.
func (s *Store) objects(ctx context.Context) (map[string]bool, error) {
	const op = "list the tables"
	rows, err := s.conn.Query(ctx, "SELECT name FROM system.tables WHERE database = "+literal(s.database))
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, wrap(op, err)
		}
		out[name] = true
	}
	return out, wrap(op, rows.Err())
}

// recordSettings make the bookkeeping's inserts plain ones.
func recordSettings() map[string]any { return map[string]any{"async_insert": 0} }

// lockTTL is how long a claim on the lock holds: longer than any migration of this program should take.
const lockTTL = 10 * time.Minute

// lock claims the right to migrate. Who has written a claim looks at the others' afterwards, so that of two who come
// together at least one sees the other; whoever sees another withdraws, waits and tries again.
func (s *Store) lock(ctx context.Context, owner string, wait time.Duration) error {
	const op = "lock the migrations"
	deadline, told := time.Now().Add(wait), false
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if err := s.claim(ctx, owner, lockTTL); err != nil {
			return wrap(op, err)
		}
		rival, err := s.rival(ctx, owner)
		switch {
		case err != nil:
			s.unlock(context.WithoutCancel(ctx), owner)
			return wrap(op, err)
		case rival == "":
			return nil
		}
		s.unlock(context.WithoutCancel(ctx), owner)
		if !told {
			told = true
			s.cfg.Logger.Info().Str("migrator", rival).Dur("wait", wait).Msg("waiting for another migrator of this database")
		}
		if time.Now().After(deadline) {
			return wrap(op, fmt.Errorf("%s is migrating this database: wait for it; if it is dead, its claim lapses within %s", rival, lockTTL))
		}
		select {
		case <-ctx.Done():
			return wrap(op, ctx.Err())
		case <-time.After(pause + rand.N(pause)): // so that two do not keep withdrawing in step
		}
	}
}

// claim writes that owner holds the lock for a while from now, by the server's clock; a negative while withdraws it.
func (s *Store) claim(ctx context.Context, owner string, hold time.Duration) error {
	return s.exec(ctx, fmt.Sprintf("INSERT INTO schema_lock (owner, until) SELECT %s, now64(3, 'UTC') + toIntervalSecond(%d)",
		literal(owner), int(hold.Seconds())), recordSettings())
}

// rival names another owner whose claim holds, empty if there is none.
func (s *Store) rival(ctx context.Context, owner string) (string, error) {
	var name string
	err := s.conn.QueryRow(ctx, "SELECT max(owner) FROM (SELECT owner, argMax(until, claimed_at) AS held FROM schema_lock GROUP BY owner) WHERE owner != "+
		literal(owner)+" AND held > now64(3, 'UTC')").Scan(&name)
	return name, err
}

// unlock withdraws a claim. A failure is only logged: the claim lapses by itself.
func (s *Store) unlock(ctx context.Context, owner string) {
	if err := s.claim(ctx, owner, -time.Second); err != nil {
		s.cfg.Logger.Warn().Err(err).Msg("the lock of the migrations could not be given back: it lapses by itself")
	}
}
