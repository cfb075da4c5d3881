package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// door is an engine's address and a fresh database, for requests made by hand.
type door struct{ host, database string }

func knock(t testing.TB) door {
	t.Helper()
	u, err := url.Parse(enginetest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	return door{u.Host, strings.TrimPrefix(u.Path, "/")}
}

func (d door) url(parameters string) string {
	return "http://" + d.host + "/?database=" + d.database + "&" + parameters
}

// post sends a statement and fails the test on any answer but 200.
func (d door) post(t testing.TB, parameters, sql string) string {
	t.Helper()
	resp, err := http.Post(d.url(parameters), "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s (%v)", sql, resp.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

func TestBodyCutShortInsertsNothing(t *testing.T) {
	const query = "query=INSERT+INTO+t+FORMAT+TSV&async_insert=0"
	for _, c := range []struct{ claim, head, body string }{
		{"fewer bytes than announced", "Content-Length: 1000\r\n", "1\n2\n3\n"},
		{"no last chunk", "Transfer-Encoding: chunked\r\n", "6\r\n1\n2\n3\n\r\n"},
		{"inside a chunk", "Transfer-Encoding: chunked\r\n", "ff\r\n1\n2\n3\n"},
		{"inside gzip", "Content-Encoding: gzip\r\nContent-Length: 20\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\xe4\x32\xe2\x32\xe6\x02\x00\x12\x34"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			d := knock(t)
			d.post(t, "", "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
			conn, err := net.Dial("tcp", d.host)
			if err != nil {
				t.Fatal(err)
			}
			id := "cut-" + d.database
			fmt.Fprintf(conn, "POST /?database=%s&query_id=%s&%s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", d.database, id, query, c.head, c.body)
			_ = conn.(*net.TCPConn).CloseWrite()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				if resp.StatusCode == http.StatusOK {
					t.Error("answered 200")
				}
				_ = resp.Body.Close()
			}
			_ = conn.Close()
			await(t, "the insert is gone", func() bool {
				return d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'") == "0"
			})
			if n := d.post(t, "", "SELECT count() FROM t"); n != "0" {
				t.Errorf("%s rows of a body cut short", n)
			}
		})
	}
}

func TestSenderWhoLeavesInTheMiddleInsertsNothing(t *testing.T) {
	d := knock(t)
	d.post(t, "", "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	r, w := io.Pipe()
	id := "left-" + d.database
	failed := make(chan error, 1)
	go func() {
		resp, err := http.Post(d.url("query=INSERT+INTO+t+FORMAT+TSV&query_id="+id), "", r)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	for i := range 10_000 {
		fmt.Fprintln(w, i)
	}
	if n := d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'"); n != "1" {
		t.Errorf("%s statements while data comes, want 1", n)
	}
	_ = w.CloseWithError(errors.New("left"))
	if err := <-failed; err == nil {
		t.Error("the sender was told all is well")
	}
	await(t, "the insert is gone", func() bool {
		return d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'") == "0"
	})
	if n := d.post(t, "", "SELECT count() FROM t"); n != "0" {
		t.Errorf("%s rows", n)
	}
}

// The exactly-once protocol takes a statement that the process list does not show
// for gone. So one that has been taken on must show, however early one looks.
func TestStatementTakenOnIsNeverMissingFromTheProcessList(t *testing.T) {
	d := knock(t)
	d.post(t, "", "CREATE TABLE t (round UInt32) ENGINE = MergeTree ORDER BY round")
	// code is the exception a statement with the round's id is answered with.
	code := func(id, sql string) string {
		resp, err := http.Post(d.url("query_id="+id), "", strings.NewReader(sql))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		return resp.Header.Get("X-ClickHouse-Exception-Code")
	}
	const taken = "216" // another statement with the id has been taken on
	for round := range 30 {
		id := fmt.Sprintf("%s-%d", d.database, round)
		insert := fmt.Sprintf("INSERT INTO t SELECT %d FROM numbers(3) WHERE sleepEachRow(0.01) = 0", round)
		count := fmt.Sprintf("SELECT count() FROM t WHERE round = %d", round)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for code(id, insert) == taken { // our own asking below was there first
			}
		}()
		for over := false; !over && code(id, "SELECT 1") != taken; {
			select {
			case <-done:
				over = true
			default:
			}
		}
		shown := d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'")
		rows := d.post(t, "", count)
		<-done
		if later := d.post(t, "", count); shown == "0" && rows != later {
			t.Fatalf("round %d: not in the process list, %s rows, then %s", round, rows, later)
		}
	}
}

func TestReaderWhoLeavesEndsTheStatement(t *testing.T) {
	for _, format := range []string{"TSV", "JSON", "Native"} {
		t.Run(format, func(t *testing.T) {
			d := knock(t)
			id := "gone-" + d.database
			resp, err := http.Post(d.url("query_id="+id), "", strings.NewReader("SELECT number, toString(number) FROM system.numbers FORMAT "+format))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, resp.Body, 8<<20); err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			await(t, "the endless statement is gone", func() bool {
				return d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'") == "0"
			})
		})
	}
}

func TestInsertsOfAnyLengthStream(t *testing.T) {
	d := knock(t)
	d.post(t, "", "CREATE TABLE t (a UInt64, s String) ENGINE = Null")
	row := strings.Repeat("1\txxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 1<<14)
	const times = 256
	r, w := io.Pipe()
	go func() {
		for range times {
			if _, err := io.WriteString(w, row); err != nil {
				break
			}
		}
		_ = w.Close()
	}()
	resp, err := http.Post(d.url("query=INSERT+INTO+t+FORMAT+TSV&max_memory_usage=200000000&async_insert=0"), "", r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if summary := resp.Header.Get("X-ClickHouse-Summary"); resp.StatusCode != http.StatusOK || !strings.Contains(summary, `"written_rows":"`+strconv.Itoa(times<<14)+`"`) {
		t.Errorf("%s %s %s", resp.Status, summary, said)
	}
}

// A sender in the middle of a long body must be told why, not cut off: whether a
// row is at fault or the connection decides if it is tried again.
func TestRefusedInsertIsToldWhyWhileItIsStillSent(t *testing.T) {
	d := knock(t)
	d.post(t, "", "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for claim, body := range map[string]string{
		"a bad row at the beginning": "bad\n" + strings.Repeat("1\n", 8<<20),
		"a table that is not there":  strings.Repeat("1\n", 8<<20),
	} {
		t.Run(claim, func(t *testing.T) {
			table := map[bool]string{true: "t", false: "nowhere"}[strings.HasPrefix(body, "bad")]
			conn, err := net.Dial("tcp", d.host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST /?database=%s&query=INSERT+INTO+%s+FORMAT+TSV HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", d.database, table, len(body), body)
			if err != nil {
				t.Fatalf("cut off while sending: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			want := map[string]string{"t": "27", "nowhere": "60"}[table]
			if got := resp.Header.Get("X-ClickHouse-Exception-Code"); got != want {
				t.Errorf("%s, code %q, want %s", resp.Status, got, want)
			}
		})
	}
}

func TestHeadOfAnInsertMayBeLongAndSlow(t *testing.T) {
	d := knock(t)
	var columns, values []string
	for i := range 3000 {
		columns, values = append(columns, fmt.Sprintf("column_with_a_rather_long_name_%d", i)), append(values, strconv.Itoa(i))
	}
	d.post(t, "", "CREATE TABLE t ("+strings.Join(columns, " UInt32, ")+" UInt32) ENGINE = Memory")
	text := "INSERT INTO t (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
	r, w := io.Pipe()
	go func() {
		for part := range strings.SplitAfterSeq(text, "9") {
			_, _ = io.WriteString(w, part)
		}
		_ = w.Close()
	}()
	resp, err := http.Post(d.url(""), "", r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", resp.Status, said)
	}
	if got := d.post(t, "", "SELECT column_with_a_rather_long_name_2999 FROM t"); got != "2999" {
		t.Errorf("got %q", got)
	}
}

func TestWritersAndReadersBesideEachOtherLoseNothing(t *testing.T) {
	c := open(t, func(o *clickhouse.Options) { o.MaxOpenConns = 16; o.MaxIdleConns = 16 })
	do(t, c, `CREATE TABLE t (writer UInt8, n UInt64, s LowCardinality(String)) ENGINE = MergeTree ORDER BY (writer, n)`)
	const writers, inserts, rows = 8, 10, 1000
	var all sync.WaitGroup
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				// Each insert is one part, so a reader sees whole inserts only.
				var n uint64
				if err := c.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n); err != nil {
					t.Error(err)
					return
				}
				if n%rows != 0 {
					t.Errorf("a reader saw %d rows: part of an insert", n)
				}
			}
		})
	}
	for writer := range writers {
		all.Go(func() {
			for i := range inserts {
				ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0, "max_insert_threads": 1}))
				b, err := c.PrepareBatch(ctx, "INSERT INTO t")
				if err != nil {
					t.Error(err)
					return
				}
				for n := range rows {
					if err := b.Append(uint8(writer), uint64(i*rows+n), strconv.Itoa(n%7)); err != nil {
						t.Error(err)
					}
				}
				if err := b.Send(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stop.Store(true)
	readers.Wait()
	var n, sum, distinct uint64
	if err := c.QueryRow(t.Context(), "SELECT count(), sum(n), uniqExact(writer, n) FROM t").Scan(&n, &sum, &distinct); err != nil {
		t.Fatal(err)
	}
	const each = inserts * rows
	if n != writers*each || distinct != n || sum != writers*each*(each-1)/2 {
		t.Errorf("%d rows, %d distinct, sum %d", n, distinct, sum)
	}
}

func TestStatementsOfOneClientDoNotMix(t *testing.T) {
	d := knock(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			value := strconv.Itoa(1000 + i)
			for range 10 {
				if got := d.post(t, "max_result_rows="+value+"&param_x="+value, "SELECT getSetting('max_result_rows'), {x:UInt32}"); got != value+"\t"+value {
					t.Errorf("asked with %s, answered %q", value, got)
				}
			}
		})
	}
	all.Wait()
}

// A sender that is stopped in the midst of its insert must not keep a KILL QUERY … SYNC waiting for as long as senders may be
// silent: whoever takes over a worker's shard waits for it.
func TestKillEndsAnInsertWhoseSenderIsSilent(t *testing.T) {
	d := knock(t)
	d.post(t, "", "CREATE TABLE silent (a UInt64) ENGINE = MergeTree ORDER BY a")
	id := "silent-" + d.database
	body, sender := io.Pipe()
	ended := make(chan string, 1)
	go func() {
		resp, err := http.Post(d.url("query_id="+id+"&query=INSERT+INTO+silent+FORMAT+TSV"), "", body)
		if err != nil {
			ended <- err.Error()
			return
		}
		_ = resp.Body.Close()
		ended <- resp.Status
	}()
	if _, err := sender.Write([]byte("1\n2\n")); err != nil {
		t.Fatal(err)
	}
	await(t, "the insert runs", func() bool {
		return d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'") == "1"
	})
	began := time.Now()
	d.post(t, "", "KILL QUERY WHERE query_id = '"+id+"' SYNC")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, as long as senders may be silent", took)
	}
	_ = sender.Close()
	if answer := <-ended; answer == "200 OK" {
		t.Error("the killed insert was answered with 200")
	}
	if n := d.post(t, "", "SELECT count() FROM silent"); n != "0" {
		t.Errorf("the killed insert left %s rows", n)
	}
}

func TestSessionServesOneRequestAtATimeAndEnds(t *testing.T) {
	d := knock(t)
	done := make(chan struct{})
	session := "session_id=busy-" + d.database
	id := "busy-" + d.database
	go func() {
		defer close(done)
		if resp, err := http.Post(d.url(session+"&query_id="+id), "", strings.NewReader("SELECT sleepEachRow(0.1) FROM numbers(1000) SETTINGS max_block_size = 1")); err == nil {
			_ = resp.Body.Close()
		}
	}()
	await(t, "the session is busy", func() bool {
		return d.post(t, "", "SELECT count() FROM system.processes WHERE query_id = '"+id+"'") == "1"
	})
	resp, err := http.Post(d.url(session), "", strings.NewReader("SELECT 1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if code := resp.Header.Get("X-ClickHouse-Exception-Code"); code != "373" {
		t.Errorf("a second request of a busy session: %s, code %q", resp.Status, code)
	}
	d.post(t, "", "KILL QUERY WHERE query_id = '"+id+"' SYNC")
	<-done
	await(t, "the session is free again", func() bool {
		resp, err := http.Post(d.url(session), "", strings.NewReader("SELECT 1"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	short := "session_timeout=0&session_id=short-" + d.database
	d.post(t, short, "CREATE TEMPORARY TABLE kept (a UInt8)")
	await(t, "the session is forgotten", func() bool {
		resp, err := http.Post(d.url(short+"&session_check=1"), "", strings.NewReader("SELECT 1"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.Header.Get("X-ClickHouse-Exception-Code") == "372"
	})
}

func BenchmarkSmallQuery(b *testing.B) {
	c := open(b, nil)
	for b.Loop() {
		_ = one[uint8](b, c, "SELECT 1")
	}
}

// BenchmarkInsertByColumn sends blocks of twenty columns, as the project's
// writer does; rows/s is what to read.
func BenchmarkInsertByColumn(b *testing.B) {
	for name, compression := range map[string]*clickhouse.Compression{"none": nil, "lz4": {Method: clickhouse.CompressionLZ4}} {
		for _, rows := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", name, rows), func(b *testing.B) {
				c := open(b, func(o *clickhouse.Options) { o.Compression = compression })
				do(b, c, readings)
				data := sampleReadings(rows)
				column := columns(data)
				b.ResetTimer()
				for b.Loop() {
					batch, err := c.PrepareBatch(clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0})), "INSERT INTO readings")
					if err != nil {
						b.Fatal(err)
					}
					for i, values := range column {
						if err := batch.Column(i).Append(values); err != nil {
							b.Fatal(err)
						}
					}
					if err := batch.Send(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// columns are rows turned on their side, in the table's order.
func columns(rows []reading) []any {
	return []any{
		side(rows, func(r reading) uuid.UUID { return r.ID }), side(rows, func(r reading) string { return r.Tenant }),
		side(rows, func(r reading) string { return r.Text }), side(rows, func(r reading) time.Time { return r.At }),
		side(rows, func(r reading) float32 { return r.Score }), side(rows, func(r reading) *float32 { return r.Element }),
		side(rows, func(r reading) uint8 { return r.Small }), side(rows, func(r reading) uint32 { return r.Medium }),
		side(rows, func(r reading) uint64 { return r.Large }), side(rows, func(r reading) int8 { return r.Signed }),
		side(rows, func(r reading) bool { return r.Flag }), side(rows, func(r reading) []string { return r.Themes }),
		side(rows, func(r reading) []float32 { return r.Scores }), side(rows, func(r reading) []uint32 { return r.Starts }),
		side(rows, func(r reading) map[string]string { return r.Labels }), side(rows, func(r reading) string { return r.Body }),
		side(rows, func(r reading) *string { return r.Maybe }), side(rows, func(r reading) time.Time { return r.Day }),
		side(rows, func(r reading) string { return r.Kind }), side(rows, func(r reading) string { return r.Currency }),
	}
}

func side[T any](rows []reading, field func(reading) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = field(r)
	}
	return out
}
