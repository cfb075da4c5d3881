package clickhouse

import (
	"context"
	"fmt"
)

// KeyVersion is the version of the secret of customer keys that the rows of a generation bear.
func (s *Store) KeyVersion(ctx context.Context, generation uint32) (int, error) {
	var version uint16
	err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT argMax(version, at) FROM customer_key_versions WHERE generation = %d", generation)).Scan(&version)
	return max(int(version), 1), wrap("find the version of the customer keys", err)
}

// NoteKeyVersion writes down which version the rows of a generation are going to bear.
func (s *Store) NoteKeyVersion(ctx context.Context, generation uint32, version int) error {
	return wrap("write down the version of the customer keys",
		s.exec(ctx, fmt.Sprintf("INSERT INTO customer_key_versions (generation, version) VALUES (%d, %d)", generation, version), nil))
}
