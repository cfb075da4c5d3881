package clickhouse

import (
	"context"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/earshot/earshot/schemas"
)

// Exec runs a statement that the store itself has no business running: tests prepare and break tables with it.
func Exec(ctx context.Context, s *Store, statement string) error {
	return wrap("exec", s.exec(ctx, statement, nil))
}

// ExecAs runs a statement under a query id of the test's choice.
func ExecAs(ctx context.Context, s *Store, id, statement string) error {
	return wrap("exec", s.conn.Exec(ch.Context(ctx, ch.WithQueryID(id)), statement))
}

// Claim takes or withdraws the lock of the migrations in another's name.
func Claim(ctx context.Context, s *Store, owner string, held bool) error {
	if held {
		return s.claim(ctx, owner, lockTTL)
	}
	s.unlock(ctx, owner)
	return nil
}

// Condition is the WHERE clause of a range.
func Condition(r schemas.Range) string { return condition(r) }

// CacheBases are the tables that cached rows are known to come from.
func CacheBases() []string { return cacheBases[:] }
