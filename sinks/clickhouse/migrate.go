package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas/sql"
)

// MigrateOptions say how to migrate.
type MigrateOptions struct {
	// DryRun, where set, gets the statements that would be run; nothing is changed, not even the bookkeeping.
	DryRun io.Writer
	// Sole says that the caller excludes other migrators already, as the lock of a data directory does: no claim is taken,
	// and one that a killed process has left is not waited for.
	Sole bool
	// Owner names this migrator in the lock; default: a random name.
	Owner string
	// Wait is how long to wait for another migrator to finish. Default 1 min.
	Wait time.Duration
}

// Applied is one statement that a migration has run, or would run.
type Applied struct {
	Version uint32
	Name    string
	SHA256  string
	Reason  string // "new", "changed", "unfinished", "missing", "tables changed" or "generation"
}

// DriftError says that a table was created by another text than the one this program has. Tables hold data, so nothing
// is changed in silence.
type DriftError struct {
	Version           uint32
	Name              string
	Recorded, Program string // SHA-256, hex
}

// Error names the table and both hashes, and says what to do.
func (e *DriftError) Error() string {
	return fmt.Sprintf("table %s (version %d) was created from a statement with SHA-256 %s, this program has %s: run the version that created it, or add the change as a new version", e.Name, e.Version, e.Recorded, e.Program)
}

// Permanent reports that a retry is pointless.
func (e *DriftError) Permanent() bool { return true }

// Migrate brings the database to what this program needs and returns what it did, nothing if nothing was to do. Tables
// are created once, in order; one that was created from another text is refused with a [DriftError] before anything is
// changed. Views are created again when their text, or a table, has changed.
//
// One migrator works at a time: on one machine by the lock of the data directory, which is the caller's ([MigrateOptions].Sole),
// and between machines by a claim in the table schema_lock that lapses after ten minutes.
func (s *Store) Migrate(ctx context.Context, opts MigrateOptions) ([]Applied, error) {
	if opts.DryRun != nil {
		return s.dryRun(ctx, opts.DryRun)
	}
	for _, o := range sql.Bookkeeping() {
		if err := s.exec(ctx, o.SQL, nil); err != nil {
			return nil, wrap("create table "+o.Name, err)
		}
	}
	steps, err := s.plan(ctx)
	if err != nil || len(steps) == 0 {
		return nil, err // the usual start: nothing to do, nothing to lock
	}
	if opts.Sole {
		return s.apply(ctx, steps)
	}
	owner := defaulted(opts.Owner, uuid.NewString())
	if err := s.lock(ctx, owner, defaulted(opts.Wait, time.Minute)); err != nil {
		return nil, err
	}
	// The lock is given back even if the caller gave up; if that fails, it lapses.
	defer s.unlock(context.WithoutCancel(ctx), owner)
	if steps, err = s.plan(ctx); err != nil { // again: somebody else may have done it while we waited
		return nil, err
	}
	return s.apply(ctx, steps)
}

// step is one statement to run.
type step struct {
	sql.Object
	statement string
	reason    string
}

func (st step) applied() Applied {
	return Applied{Version: st.Version, Name: st.Name, SHA256: st.SHA256, Reason: st.reason}
}

// plan compares what is recorded with what the program has.
func (s *Store) plan(ctx context.Context) ([]step, error) {
	recorded, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	exists, err := s.objects(ctx)
	if err != nil {
		return nil, err
	}
	live, err := s.Live(ctx)
	if err != nil {
		return nil, err
	}
	shown, err := s.Shown(ctx)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, o := range sql.Tables() {
		r, known := recorded[o.Version]
		switch {
		case !known:
			steps = append(steps, step{o, o.SQL, "new"})
		case r.SHA256 != o.SHA256 && r.Status == statusApplied:
			return nil, &DriftError{Version: o.Version, Name: o.Name, Recorded: r.SHA256, Program: o.SHA256}
		case r.Status != statusApplied:
			steps = append(steps, step{o, o.SQL, "unfinished"})
		case !exists[o.Name]:
			return nil, refuse("migrate", "table %s is recorded as created but does not exist: restore it, or drop the table schema_migrations to begin anew", o.Name)
		}
	}
	tables := len(steps) > 0
	for _, o := range sql.Views() {
		r, known := recorded[o.Version]
		reason := ""
		switch {
		case !known:
			reason = "new"
		case r.SHA256 != o.SHA256:
			reason = "changed"
		case r.Status != statusApplied:
			reason = "unfinished"
		case !exists[o.Name]:
			reason = "missing"
		case tables:
			reason = "tables changed"
		case o.Name == currentView && shown != live: // a switch was cut off before it came to the view
			reason = "generation"
		default:
			continue
		}
		steps = append(steps, step{o, o.WithLive(live), reason})
	}
	return steps, nil
}

// apply runs the statements between two records: all are recorded as started, so that those that are cut off are seen
// and run again, and then as what became of them.
func (s *Store) apply(ctx context.Context, steps []step) ([]Applied, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	if err := s.record(ctx, steps, statusStarted, ""); err != nil {
		return nil, err
	}
	done := make([]Applied, 0, len(steps))
	for i, st := range steps {
		if err := s.exec(ctx, st.statement, nil); err != nil {
			err = wrap("migrate "+st.Path, err)
			// What the caller needs to see is the failure of the statement. If its record fails as well, the statement
			// stays recorded as started, and is run again just the same.
			late := context.WithoutCancel(ctx)
			return done, errors.Join(err, s.record(late, steps[:i], statusApplied, ""), s.record(late, steps[i:i+1], statusFailed, err.Error()))
		}
		done = append(done, st.applied())
	}
	return done, s.record(ctx, steps, statusApplied, "")
}

func (s *Store) dryRun(ctx context.Context, w io.Writer) ([]Applied, error) {
	steps, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Applied, 0, len(steps))
	for _, st := range steps {
		if _, err := fmt.Fprintf(w, "-- %s (version %d, %s)\n%s;\n\n", st.Path, st.Version, st.reason, st.statement); err != nil {
			return nil, fmt.Errorf("write the statements: %w", err)
		}
		out = append(out, st.applied())
	}
	return out, nil
}
