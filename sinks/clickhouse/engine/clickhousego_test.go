package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// open connects clickhouse-go to a fresh database.
func open(t testing.TB, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(enginetest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(options)
	}
	c, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func do(t testing.TB, c driver.Conn, sql string) {
	t.Helper()
	if err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one is the single value a query answers.
func one[T any](t testing.TB, c driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// reading is a row of every column type the project stores.
type reading struct {
	ID       uuid.UUID         `ch:"id"`
	Tenant   string            `ch:"tenant"`
	Text     string            `ch:"text"`
	At       time.Time         `ch:"at"`
	Score    float32           `ch:"score"`
	Element  *float32          `ch:"element"`
	Small    uint8             `ch:"small"`
	Medium   uint32            `ch:"medium"`
	Large    uint64            `ch:"large"`
	Signed   int8              `ch:"signed"`
	Flag     bool              `ch:"flag"`
	Themes   []string          `ch:"themes"`
	Scores   []float32         `ch:"scores"`
	Starts   []uint32          `ch:"starts"`
	Labels   map[string]string `ch:"labels"`
	Body     string            `ch:"body"`
	Maybe    *string           `ch:"maybe"`
	Day      time.Time         `ch:"day"`
	Kind     string            `ch:"kind"`
	Currency string            `ch:"currency"`
}

const readings = `CREATE TABLE readings (
	id UUID, tenant LowCardinality(String), text String, at DateTime64(3, 'UTC'), score Float32,
	element Nullable(Float32), small UInt8, medium UInt32, large UInt64, signed Int8, flag Bool,
	themes Array(LowCardinality(String)), scores Array(Float32), starts Array(UInt32),
	labels Map(String, String), body String, maybe LowCardinality(Nullable(String)), day Date,
	kind Enum8('review' = 1, 'survey' = 2), currency FixedString(3)
) ENGINE = MergeTree ORDER BY (tenant, medium)`

func ptr[T any](v T) *T { return &v }

// sampleReadings exercise the edges of each type.
func sampleReadings(n int) []reading {
	at := time.Date(2026, 2, 28, 23, 59, 59, 999_000_000, time.UTC)
	rows := make([]reading, n)
	for i := range rows {
		rows[i] = reading{
			ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), Tenant: fmt.Sprintf("tenant-%d", i%300), Text: "plain",
			At: at.Add(time.Duration(i) * time.Millisecond), Score: float32(i%257-128) / 128, Small: uint8(i), Medium: uint32(i),
			Large: uint64(i) << 40, Signed: int8(i), Flag: i%3 == 0, Themes: []string{}, Scores: []float32{}, Starts: []uint32{},
			Labels: map[string]string{}, Body: `{"a":1}`, Day: time.Date(2026, 1, 1+i%28, 0, 0, 0, 0, time.UTC), Kind: "review", Currency: "EUR",
		}
		switch i % 5 {
		case 1:
			rows[i].Element, rows[i].Maybe = ptr(float32(-1)), ptr("")
		case 2:
			rows[i].Text, rows[i].Themes, rows[i].Scores, rows[i].Starts = "ünïcödé 日本語 \x00 '\\\n", []string{"price", "", "price"}, []float32{0.5, -1, 0}, []uint32{0, 1 << 31, 7}
		case 3:
			rows[i].Labels, rows[i].Maybe, rows[i].Kind = map[string]string{"a": "", "ключ": "значение"}, ptr("yes"), "survey"
		case 4:
			rows[i].Text, rows[i].Tenant = "", ""
		}
	}
	return rows
}

// compressions are the ways clickhouse-go can send and receive.
var compressions = map[string]*clickhouse.Compression{
	"none":    nil,
	"lz4":     {Method: clickhouse.CompressionLZ4},
	"zstd":    {Method: clickhouse.CompressionZSTD},
	"gzip":    {Method: clickhouse.CompressionGZIP, Level: 1},
	"deflate": {Method: clickhouse.CompressionDeflate, Level: 1},
	"br":      {Method: clickhouse.CompressionBrotli, Level: 1},
}

func TestClickhouseGoKeepsEveryColumnTypeInEveryCompression(t *testing.T) {
	want := sampleReadings(1000)
	for name, compression := range compressions {
		t.Run(name, func(t *testing.T) {
			c := open(t, func(o *clickhouse.Options) {
				o.Compression = compression
				if compression != nil {
					o.Settings = clickhouse.Settings{"enable_http_compression": 1}
				}
			})
			do(t, c, readings)
			b, err := c.PrepareBatch(t.Context(), "INSERT INTO readings")
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if err := b.AppendStruct(&want[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Send(); err != nil {
				t.Fatal(err)
			}
			var got []reading
			if err := c.Select(t.Context(), &got, "SELECT * FROM readings ORDER BY medium"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClickhouseGoInsertsByColumn(t *testing.T) {
	c := open(t, nil)
	do(t, c, readings)
	rows := sampleReadings(500)
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO readings (id, tenant, at, element, large, flag, themes, scores, labels, maybe)")
	if err != nil {
		t.Fatal(err)
	}
	all := columns(rows)
	chosen := []any{all[0], all[1], all[3], all[5], all[8], all[10], all[11], all[12], all[14], all[16]}
	for i, column := range chosen {
		if err := b.Column(i).Append(column); err != nil {
			t.Fatalf("column %d: %v", i, err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var got []reading
	if err := c.Select(t.Context(), &got, "SELECT * FROM readings ORDER BY large"); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(rows) {
		t.Fatalf("%d rows of %d", len(got), len(rows))
	}
	for i, r := range rows {
		g := got[i]
		if diff := cmp.Diff([]any{r.ID, r.Tenant, r.At, r.Element, r.Large, r.Flag, r.Themes, r.Scores, r.Labels, r.Maybe},
			[]any{g.ID, g.Tenant, g.At, g.Element, g.Large, g.Flag, g.Themes, g.Scores, g.Labels, g.Maybe}); diff != "" {
			t.Fatalf("row %d: %s", i, diff)
		}
	}
}

func TestClickhouseGoReadsResultsOfManyBlocksAndOfNone(t *testing.T) {
	c := open(t, nil)
	rows, err := c.Query(t.Context(), "SELECT number, toString(number % 1000) :: LowCardinality(String) AS s FROM numbers(1000000)")
	if err != nil {
		t.Fatal(err)
	}
	var sum, n uint64
	for rows.Next() {
		var v uint64
		var s string
		if err := rows.Scan(&v, &s); err != nil {
			t.Fatal(err)
		}
		if s != fmt.Sprint(v%1000) {
			t.Fatalf("row %d has %q", v, s)
		}
		sum, n = sum+v, n+1
	}
	if err := rows.Err(); err != nil || n != 1_000_000 || sum != 499_999_500_000 {
		t.Errorf("%d rows, sum %d, error %v", n, sum, err)
	}

	rows, err = c.Query(t.Context(), "SELECT number, 'x' :: LowCardinality(String) FROM numbers(10) WHERE number > 10")
	if err != nil {
		t.Fatal(err)
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("rows where there are none, error %v", rows.Err())
	}
}

func TestClickhouseGoBindsParameters(t *testing.T) {
	c := open(t, nil)
	for _, v := range []string{"", "it's", `back\slash`, "tab\tnew\nline", "ünïcödé", "'; DROP TABLE x; --"} {
		if got := one[string](t, c, "SELECT {s:String}", clickhouse.Named("s", v)); got != v {
			t.Errorf("sent %q, came back as %q", v, got)
		}
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{
		"n": "7", "ids": "[1,3,5]", "t": "numbers",
	}))
	var sum uint64
	err := c.QueryRow(ctx, "SELECT sum(number) + {n:UInt8} FROM system.{t:Identifier} WHERE has({ids:Array(UInt64)}, number) AND number < 10").Scan(&sum)
	if err != nil || sum != 16 {
		t.Errorf("sum %d, error %v", sum, err)
	}
}

func TestClickhouseGoErrorsCarryTheCode(t *testing.T) {
	c := open(t, nil)
	var x *clickhouse.Exception
	if err := c.Exec(t.Context(), "SELECT * FROM nowhere"); !errors.As(err, &x) || x.Code != 60 {
		t.Errorf("exec: %v", err)
	}
	if _, err := c.Query(t.Context(), "SELECT nothing"); !errors.As(err, &x) || x.Code != 47 {
		t.Errorf("query: %v", err)
	}
	if _, err := c.PrepareBatch(t.Context(), "INSERT INTO nowhere"); !errors.As(err, &x) || x.Code != 60 {
		t.Errorf("batch: %v", err)
	}
	for name, compression := range compressions {
		t.Run("in the middle of a result with "+name, func(t *testing.T) {
			c := open(t, func(o *clickhouse.Options) {
				o.Compression = compression
				o.Settings = clickhouse.Settings{"enable_http_compression": 1}
			})
			rows, err := c.Query(t.Context(), "SELECT cityHash64(number), throwIf(number = 600000, 'too far') FROM numbers(800000)")
			if err == nil {
				for rows.Next() {
				}
				err = rows.Err()
			}
			if err == nil {
				t.Fatal("a broken result ended well")
			}
			// Inside an HTTP encoding the driver cannot see the mark, only the break.
			if framed := compression == nil || compression.Method == clickhouse.CompressionLZ4 || compression.Method == clickhouse.CompressionZSTD; framed && (!errors.As(err, &x) || x.Code != 395) {
				t.Errorf("got %v, want code 395", err)
			}
		})
	}
}

func TestClickhouseGoSettingsReachInserts(t *testing.T) {
	c := open(t, nil)
	do(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100")
	send := func(token string, values ...uint64) {
		t.Helper()
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token": token, "insert_deduplicate": 1, "async_insert": 0, "max_insert_threads": 1, "max_execution_time": 30,
		}))
		b, err := c.PrepareBatch(ctx, "INSERT INTO t")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := b.Append(v); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Send(); err != nil {
			t.Fatal(err)
		}
	}
	send("first", 1, 2, 3)
	send("first", 1, 2, 3)
	send("first", 9, 9) // the token alone decides
	if n := one[uint64](t, c, "SELECT count() FROM t"); n != 3 {
		t.Errorf("%d rows after the same token three times, want 3", n)
	}
	send("second", 4)
	if n := one[uint64](t, c, "SELECT count() FROM t"); n != 4 {
		t.Errorf("%d rows after another token, want 4", n)
	}
}

func TestClickhouseGoInsertIsOnePart(t *testing.T) {
	c := open(t, nil)
	do(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	b, err := c.PrepareBatch(clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0})), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	values := make([]uint64, 200_000)
	if err := b.Column(0).Append(values); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	if n := one[uint64](t, c, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 't'"); n != 1 {
		t.Errorf("%d parts of one insert, want 1: it must appear together or not at all", n)
	}
}

func TestClickhouseGoSendsExternalTables(t *testing.T) {
	c := open(t, nil)
	table, err := ext.NewTable("wanted", ext.Column("id", "UInt64"), ext.Column("name", "LowCardinality(String)"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := table.Append(uint64(i*2), fmt.Sprint("n", i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table))
	var n uint64
	var name string
	if err := c.QueryRow(ctx, "SELECT count(), max(name) FROM wanted WHERE id IN (SELECT number FROM numbers(5))").Scan(&n, &name); err != nil {
		t.Fatal(err)
	}
	if n != 3 || name != "n2" {
		t.Errorf("%d rows, name %q", n, name)
	}
}

func TestClickhouseGoCancelReachesTheEngine(t *testing.T) {
	c := open(t, nil)
	do(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for _, sql := range []string{
		"SELECT sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1",
		"INSERT INTO t SELECT number + sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1",
	} {
		id := uuid.NewString()
		ctx, cancel := context.WithCancel(clickhouse.Context(t.Context(), clickhouse.WithQueryID(id)))
		failed := make(chan error, 1)
		go func() { failed <- c.Exec(ctx, sql) }()
		await(t, "the statement runs", func() bool { return running(t, c, id) == 1 })
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", sql, err)
		}
		await(t, "the statement is gone", func() bool { return running(t, c, id) == 0 })
	}
	if n := one[uint64](t, c, "SELECT count() FROM t"); n != 0 {
		t.Errorf("a cancelled insert left %d rows", n)
	}
}

// running counts the sleeping statements with an id in the process list. A new connection says hello under the id of the
// statement that it is opened for; that is not counted.
func running(t testing.TB, c driver.Conn, id string) uint64 {
	t.Helper()
	return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query_id = {id:String} AND position(query, 'sleepEachRow') > 0", clickhouse.Named("id", id))
}

// await asks until it is so. The half minute is for a machine busy with other
// things; what does not come by then never will.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

func TestKillWaitsUntilTheStatementIsGone(t *testing.T) {
	c := open(t, nil)
	do(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	id := uuid.NewString()
	failed := make(chan error, 1)
	go func() {
		failed <- c.Exec(clickhouse.Context(context.Background(), clickhouse.WithQueryID(id)),
			"INSERT INTO t SELECT number + sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1")
	}()
	await(t, "the insert runs", func() bool { return running(t, c, id) == 1 })

	var x *clickhouse.Exception
	again := c.Exec(clickhouse.Context(t.Context(), clickhouse.WithQueryID(id)), "INSERT INTO t SELECT 1")
	if !errors.As(again, &x) || x.Code != 216 {
		t.Errorf("the same id beside it: %v, want code 216", again)
	}

	do(t, c, "KILL QUERY WHERE query_id = '"+id+"' SYNC")
	if n := running(t, c, id); n != 0 {
		t.Errorf("%d statements with the id after KILL … SYNC", n)
	}
	if err := <-failed; !errors.As(err, &x) || x.Code != 394 {
		t.Errorf("the killed insert: %v, want code 394", err)
	}
	if n := one[uint64](t, c, "SELECT count() FROM t"); n != 0 {
		t.Errorf("a killed insert left %d rows", n)
	}
	if err := c.Exec(clickhouse.Context(t.Context(), clickhouse.WithQueryID(id)), "INSERT INTO t SELECT 1"); err != nil {
		t.Errorf("the id is not free again: %v", err)
	}
}
