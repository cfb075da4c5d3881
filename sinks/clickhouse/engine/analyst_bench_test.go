package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// judged times a statement as owner and as analyst in turn and prints both, in microseconds for each.
func judged(library, dir string) error {
	e, err := start(library, dir, func(c *engine.Config) {
		c.Password, c.Analysts = "s3cret", &engine.Analysts{Database: "default"}
	})
	if err != nil {
		return err
	}
	const rounds = 300
	who := [2]*url.Userinfo{url.UserPassword("default", "s3cret"), nil}
	var took [2]time.Duration
	for range rounds {
		for i := range took {
			begin := time.Now()
			if code, body := askAs(e, who[i], "", "SELECT count() FROM (SELECT number % 7 AS k, avg(number) AS m FROM numbers(1000) GROUP BY k) WHERE m > 3"); code != "" {
				return fmt.Errorf("%s %s", code, body)
			}
			took[i] += time.Since(begin)
		}
	}
	fmt.Println(took[0].Microseconds()/rounds, took[1].Microseconds()/rounds)
	return e.Close(context.Background())
}

// BenchmarkJudging reports what a short statement takes when the owner asks it and when an analyst does.
func BenchmarkJudging(b *testing.B) {
	b.Helper()
	for b.Loop() {
		cmd, out, in := begin(b, "judged", b.TempDir())
		out.Split(bufio.ScanWords)
		var values []float64
		for out.Scan() {
			v, err := strconv.ParseFloat(strings.TrimSpace(out.Text()), 64)
			if err != nil {
				b.Fatal(out.Text())
			}
			values = append(values, v)
		}
		_ = in.Close()
		_ = cmd.Wait()
		b.ReportMetric(values[0], "µs/owner")
		b.ReportMetric(values[1], "µs/analyst")
	}
}
