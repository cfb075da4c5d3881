//go:build unix

package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// damaged has a definition in an expendable database damaged, first by a write that fails while the engine runs, then while it does
// not, and says what is left.
func damaged(library, dir string) error {
	expendable := func(c *engine.Config) { c.Expendable = "spare" }
	e, err := start(library, dir, expendable)
	if err != nil {
		return err
	}
	make := func() {
		for _, s := range []string{"CREATE DATABASE IF NOT EXISTS spare", "CREATE TABLE spare.t (n UInt32) ENGINE = MergeTree ORDER BY n", "INSERT INTO spare.t SELECT number FROM numbers(7)"} {
			out := ask(e, "", s)
			if out == "500 code 75" { // the write that failed counts once for every engine of a process
				out = ask(e, "", s)
			}
			if out != "200" {
				fmt.Println(s, out)
			}
		}
	}
	fmt.Println("own", ask(e, "", "CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n"), ask(e, "", "INSERT INTO t SELECT number FROM numbers(10)"))
	make()
	signal.Ignore(syscall.SIGXFSZ) // the write is to fail instead
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	none := limit
	none.Cur = 1
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &none); err != nil {
		return err
	}
	fmt.Println("without room", ask(e, "", "CREATE TABLE spare.u (n UInt32) ENGINE = MergeTree ORDER BY n"))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	fmt.Println("after it", ask(e, "", "SELECT count() FROM t"), ask(e, "", "SELECT count() FROM system.databases WHERE name = 'spare'"))
	make()
	if err := e.Close(context.Background()); err != nil {
		return err
	}
	for _, damage := range []struct {
		what, file string
		left       float64 // of its length
	}{{"whole", "spare/t.sql", 1}, {"half a table", "spare/t.sql", 0.5}, {"an empty table", "spare/t.sql", 0}, {"an empty database", "spare.sql", 0}} {
		file := filepath.Join(dir, "metadata", damage.file)
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := os.Truncate(file, int64(float64(info.Size())*damage.left)); err != nil {
			return err
		}
		if e, err = start(library, dir, expendable); err != nil {
			return err
		}
		fmt.Println(damage.what, ask(e, "", "SELECT count() FROM t"), ask(e, "", "SELECT count() FROM system.databases WHERE name = 'spare'"))
		if damage.left < 1 {
			make()
		}
		fmt.Println("again", ask(e, "", "SELECT count() FROM spare.t"))
		if err := e.Close(context.Background()); err != nil {
			return err
		}
	}
	// What is not expendable stays as it is, and keeps the engine from starting.
	if err := os.Truncate(filepath.Join(dir, "metadata", "spare", "t.sql"), 0); err != nil {
		return err
	}
	if e, err := start(library, dir, nil); err == nil {
		fmt.Println("started", ask(e, "", "SELECT count() FROM spare.t"))
		return e.Close(context.Background())
	}
	_, err = os.Stat(filepath.Join(dir, "metadata", "spare", "t.sql"))
	fmt.Println("kept", err)
	return nil
}

func TestDamagedDefinitionCostsWhatCanBeMadeAgainOnly(t *testing.T) {
	want := []string{"own 200 200", "without room 500 code 75", "after it 200 10 200 0", "whole 200 10 200 1", "again 200 7"}
	for _, what := range []string{"half a table", "an empty table", "an empty database"} {
		want = append(want, what+" 200 10 200 0", "again 200 7")
	}
	got := play(t, "damaged", t.TempDir())
	if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "kept") {
		t.Errorf("a damaged database that is not expendable: %q", got)
	}
	expect(t, got[:max(len(got)-1, 0)], want...)
}
