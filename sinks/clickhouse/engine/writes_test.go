//go:build unix

package engine_test

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// torn lets writes fail by the limit on the size of a file, and says what became of an insert and of a merge.
func torn(library, dir string) error {
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // the write is to fail instead
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	largest := func(bytes uint64) {
		l := limit
		if bytes > 0 {
			l.Cur = bytes
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			fmt.Println("error:", err)
		}
	}
	fill := func(lo, n int) string {
		return ask(e, "", fmt.Sprintf("INSERT INTO t SELECT %d + number, randomString(1000) FROM numbers(%d)", lo, n))
	}
	fmt.Println("create", ask(e, "", "CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n SETTINGS min_bytes_for_wide_part = '1G'"))
	fmt.Println("small", fill(0, 40), ask(e, "", "SELECT count(), sum(length(s)) FROM t"))
	largest(64 << 10)
	fmt.Println("large", fill(1000, 100))
	fmt.Println("after it", ask(e, "", "SELECT count(), sum(length(s)) FROM t"))
	fmt.Println("small again", fill(40, 40))
	fmt.Println("merge", ask(e, "", "OPTIMIZE TABLE t FINAL"))
	fmt.Println("after it", ask(e, "", "SELECT count(), sum(length(s)) FROM t"))
	largest(0)
	fmt.Println("large at last", fill(1000, 100), ask(e, "", "SELECT count(), sum(length(s)) FROM t"))
	fmt.Println("data", ask(e, "query=INSERT+INTO+t+FORMAT+TSV", "7\tx"))
	fmt.Println("set aside", ask(e, "", "SELECT count() > 0, countIf(reason != 'broken-on-start') FROM system.detached_parts WHERE table = 't'"))
	return e.Close(context.Background())
}

func TestWriteThatFailsIsNeverAcknowledgedAndTakesNothingAlong(t *testing.T) {
	expect(t, play(t, "torn", t.TempDir()),
		"create 200",
		"small 200 200 "+strings.Join([]string{"40", "40000"}, "\t"),
		"large 500 code 75",
		"after it 200 40\t40000",
		"small again 200",
		"merge 500 code 75",
		"after it 200 80\t80000",
		"large at last 200 200 180\t180000",
		"data 200",
		"set aside 200 1\t0",
	)
}
