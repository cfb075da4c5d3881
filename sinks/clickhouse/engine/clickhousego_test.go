package engine_test

import (
	"context"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

func TestFirst(t *testing.T) {
	dsn := enginetest.Start(t)
	opt, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(ctx, "CREATE TABLE t (a UInt32, s LowCardinality(String)) ENGINE=MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	b, err := c.PrepareBatch(ctx, "INSERT INTO t (a, s)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := b.Append(uint32(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(ctx, "SELECT sum(a), any(s) FROM t WHERE a < {m:UInt32}", clickhouse.Named("m", "10"))
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var n uint64
		var s string
		if err := rows.Scan(&n, &s); err != nil {
			t.Fatal(err)
		}
		t.Log(n, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	t.Log(c.Exec(ctx, "SELECT * FROM nope"))
}
