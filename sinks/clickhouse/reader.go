package clickhouse

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// sizeOf is about what a row takes in memory, in bytes: its long texts and as much again as an ordinary row has.
const sizeOf = "1024 + length(text) + length(question_text) + length(decision_text) + length(attachments) + length(metadata) + length(extra)"

// Rows reads the rows of a range back, in the order of their sequences, as they were written; what an event left out and
// the table stores a default for has the default. It reads up to most rows, or about maxBytes of them, at least one.
// reached says how far it came: no row of the range up to there is left out.
func (s *Store) Rows(ctx context.Context, r schemas.Range, most, maxBytes int) (rows []schemas.Row, reached uint64, err error) {
	op := fmt.Sprintf("read the rows %d–%d of shard %d", r.Lo, r.Hi, r.Shard)
	for window := r; ; {
		if window.Lo > r.Hi {
			return nil, r.Hi, nil
		}
		// A window of sequences, so that the index leaves all other granules out.
		window.Hi = r.Hi
		if r.Hi-window.Lo >= uint64(most) {
			window.Hi = window.Lo + uint64(most) - 1
		}
		n, last, err := s.cut(ctx, window, maxBytes)
		switch {
		case err != nil:
			return nil, 0, wrap(op, err)
		case n > 0:
			window.Hi = last
			rows, err := s.scan(ctx, "WHERE "+condition(window)+" ORDER BY seq", n)
			if err == nil && len(rows) != n {
				err = fmt.Errorf("%d rows were there, then %d: rows of a range that is committed are not expected to change, except by an erasure", n, len(rows))
			}
			return rows, window.Hi, wrap(op, err)
		case window.Hi == r.Hi:
			return nil, r.Hi, nil
		}
		window.Hi = r.Hi
		var next, rest uint64
		if err := s.conn.QueryRow(ctx, "SELECT min(seq), count() FROM "+table+" WHERE "+condition(window)).Scan(&next, &rest); err != nil {
			return nil, 0, wrap(op, err)
		}
		if rest == 0 {
			return nil, r.Hi, nil
		}
		window.Lo = next
	}
}

// cut counts the rows of a window that together have about maxBytes, and says where they end.
func (s *Store) cut(ctx context.Context, window schemas.Range, maxBytes int) (n int, last uint64, err error) {
	rows, err := s.conn.Query(ctx, "SELECT seq, toUInt64("+sizeOf+") FROM "+table+" WHERE "+condition(window)+" ORDER BY seq")
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	bytes, full := uint64(0), false
	for rows.Next() {
		var seq, size uint64
		if err := rows.Scan(&seq, &size); err != nil {
			return 0, 0, err
		}
		if bytes += size; n > 0 && bytes > uint64(maxBytes) {
			full = true
		}
		if !full {
			if n > 0 && seq == last {
				return 0, 0, fmt.Errorf("sequence %d is there twice: run 'earshot reconcile'", seq)
			}
			n, last = n+1, seq
		}
	}
	if !full && n > 0 {
		last = window.Hi
	}
	return n, last, rows.Err()
}

// scan reads whole rows.
func (s *Store) scan(ctx context.Context, where string, about int) ([]schemas.Row, error) {
	names, cells, dests := make([]string, len(columns)), make([]cell, len(columns)), make([]any, len(columns))
	for i := range columns {
		names[i], cells[i] = columns[i].name, columns[i].read()
		dests[i] = cells[i].dest
	}
	found, err := s.conn.Query(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+table+" "+where)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	out := make([]schemas.Row, 0, about)
	for found.Next() {
		if err := found.Scan(dests...); err != nil {
			return nil, err
		}
		r := schemas.Row{Event: &schemas.Event{}}
		for i := range cells {
			cells[i].put(&r)
		}
		out = append(out, r)
	}
	return out, found.Err()
}

// Sample returns about n rows of a generation, chosen by their digests: the same ones every time, as long as the rows are
// the same.
func (s *Store) Sample(ctx context.Context, generation uint32, n int) ([]schemas.Row, error) {
	op := fmt.Sprintf("take a sample of generation %d", generation)
	var all uint64
	if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE generation = %d", table, generation)).Scan(&all); err != nil {
		return nil, wrap(op, err)
	}
	below := uint64(math.MaxUint64)
	if uint64(n) < all {
		below = uint64(float64(n) / float64(all) * math.MaxUint64)
	}
	rows, err := s.scan(ctx, fmt.Sprintf("WHERE generation = %d AND digest <= %d ORDER BY digest", generation, below), n)
	return rows, wrap(op, err)
}

// Places says how far the rows of each stream reach in a generation, and how many they are.
func (s *Store) Places(ctx context.Context, generation uint32) ([]schemas.Place, error) {
	op := fmt.Sprintf("find the streams of generation %d", generation)
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT shard, epoch, max(seq), count() FROM %s WHERE generation = %d GROUP BY shard, epoch ORDER BY shard, epoch", table, generation))
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	var out []schemas.Place
	for rows.Next() {
		var p schemas.Place
		var shard uint16
		if err := rows.Scan(&shard, &p.Epoch, &p.Hi, &p.Rows); err != nil {
			return nil, wrap(op, err)
		}
		p.Shard = int(shard)
		out = append(out, p)
	}
	return out, wrap(op, rows.Err())
}
