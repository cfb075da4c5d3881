package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/sinks/clickhouse"
)

func TestErrorsOfTheServerHaveTheirClass(t *testing.T) {
	s := open(t)
	query := func(statement string) func(ctx context.Context) error {
		return func(ctx context.Context) error { return s.Query(ctx, statement, nil, "", &bytes.Buffer{}) }
	}
	broken := func(statement string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			b := open(t)
			if err := clickhouse.Exec(ctx, b, statement); err != nil {
				t.Fatal(err)
			}
			return b.Insert(ctx, generate(1, 5, 1), "token")
		}
	}
	for _, c := range []struct {
		claim string
		code  int
		class clickhouse.Class
		do    func(ctx context.Context) error
	}{
		{"a syntax error stays one", 62, clickhouse.Permanent, query("SELEC 1")},
		{"a column that does not exist", 47, clickhouse.Permanent, query("SELECT colour FROM feedback_current")},
		{"a function that does not exist", 46, clickhouse.Permanent, query("SELECT colourOf(1)")},
		{"a statement of wrong types", 43, clickhouse.Permanent, query("SELECT 'a' + 1")},
		{"a parameter without a value", 456, clickhouse.Permanent, query("SELECT {x:UInt8}")},
		{"a query that runs out of time", 159, clickhouse.Retryable, query("SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_execution_time = 1, max_block_size = 1")},
		{"a query that runs out of memory", 241, clickhouse.Retryable, query("SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 10000000")},
		{"a query that would write", 164, clickhouse.Retryable, query("CREATE TABLE t (a UInt8) ENGINE = Memory")},
		{"an insert without its table, which is no fault of the rows", 60, clickhouse.Retryable, broken("DROP TABLE feedback SYNC")},
		{"an insert into a table that lacks a column, likewise", 16, clickhouse.Retryable, broken("ALTER TABLE feedback DROP COLUMN model")},
		{"an insert into a column of another type, likewise", 43, clickhouse.Retryable, broken("ALTER TABLE feedback DROP COLUMN mention_start, ADD COLUMN mention_start UUID")},
		{"a row that breaks a constraint", 469, clickhouse.Permanent, broken("ALTER TABLE feedback ADD CONSTRAINT few CHECK seq < 3")},
		{"a row whose text is no number for a column that became one", 6, clickhouse.Permanent, broken("ALTER TABLE feedback DROP COLUMN order_id, ADD COLUMN order_id UInt8")},
	} {
		err := c.do(t.Context())
		var own *clickhouse.Error
		if !errors.As(err, &own) {
			t.Errorf("%s: got %v, want an error of the store", c.claim, err)
			continue
		}
		if own.Code() != c.code || own.Class != c.class || own.Permanent() != (c.class == clickhouse.Permanent) {
			t.Errorf("%s: code %d is %s, want %d, %s: %v", c.claim, own.Code(), own.Class, c.code, c.class, err)
		}
	}
}

func TestWhoGivesUpIsNotTheServer(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		claim string
		ctx   func() (context.Context, context.CancelFunc)
	}{
		{"cancelled", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}},
		{"out of time", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		}},
	} {
		ctx, cancel := c.ctx()
		err := s.Query(ctx, "SELECT sleepEachRow(0.1) FROM numbers(30) SETTINGS max_block_size = 1", nil, "", &bytes.Buffer{})
		cancel()
		if class, _ := clickhouse.Classify(err); err == nil || class != clickhouse.Cancelled {
			t.Errorf("%s: %s, want cancelled: %v", c.claim, class, err)
		}
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := silent.Addr().String()
	silent.Close()
	for _, c := range []struct {
		claim string
		cfg   clickhouse.Config
		want  string
	}{
		{"nobody there", clickhouse.Config{DSN: "http://someone:secret@" + nobody + "/x"}, "is the server running"},
		{"no scheme", clickhouse.Config{DSN: "localhost:8123"}, "write it as http://"},
		{"a scheme that is none", clickhouse.Config{DSN: "ftp://localhost:8123"}, "write it as http://"},
		{"a compression that is none", clickhouse.Config{DSN: "http://localhost:8123", Compression: "zip"}, "choose none or lz4"},
	} {
		c.cfg.Logger = zerolog.Nop()
		_, err := clickhouse.Open(t.Context(), c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q and no password", c.claim, err, c.want)
		}
		if class, _ := clickhouse.Classify(err); c.claim == "nobody there" && class != clickhouse.Retryable {
			t.Errorf("%s is %s, want retryable", c.claim, class)
		}
	}
}

// A worker looks for the row that is refused by trying halves of an insert, and nothing of that may be stored.
func TestProbeFindsWhatIsRefusedAndKeepsNothing(t *testing.T) {
	s := open(t)
	rows := generate(1, 20, 1)
	if err := s.Probe(t.Context(), rows); err != nil {
		t.Errorf("good rows on trial: %v", err)
	}
	if err := s.Probe(t.Context(), nil); err != nil {
		t.Errorf("no rows on trial: %v", err)
	}
	if err := clickhouse.Exec(t.Context(), s, "ALTER TABLE feedback ADD CONSTRAINT few CHECK seq < 20"); err != nil {
		t.Fatal(err)
	}
	var own *clickhouse.Error
	if err := s.Probe(t.Context(), rows); !errors.As(err, &own) || !own.Permanent() {
		t.Errorf("bad rows on trial: got %v, want a permanent error", err)
	}
	if err := s.Probe(t.Context(), rows[:19]); err != nil {
		t.Errorf("without the one that breaks the constraint: %v", err)
	}
	if n := count(t, s); n != 0 {
		t.Errorf("the trial stored %d rows", n)
	}
}
