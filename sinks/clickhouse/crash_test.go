package clickhouse_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// crashDir tells the test binary to be the child of TestKillMinusNineLosesNothing on that directory.
const crashDir = "EARSHOT_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := crashChild(context.Background(), dir, os.Stdout); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

const crashRows = 400

// crashBatch is the k-th batch, the same in every process.
func crashBatch(k uint64) []schemas.Row { return generate(k, crashRows, k*crashRows+1) }

// crashChild says what it finds in the directory and then stores batch after batch, saying so after each, until killed.
func crashChild(ctx context.Context, dir string, out io.Writer) error {
	library, err := engine.Library(ctx, engine.LibraryConfig{Path: os.Getenv("CHDB_LIB_PATH")})
	if err != nil {
		return err
	}
	e, err := engine.Start(ctx, engine.Config{Library: library, Dir: dir, Addr: "127.0.0.1:0", Logger: zerolog.Nop()})
	if err != nil {
		return err
	}
	s, err := clickhouse.Open(ctx, clickhouse.Config{DSN: e.DSN(), Logger: zerolog.Nop()})
	if err != nil {
		return err
	}
	if _, err := s.Migrate(ctx, clickhouse.MigrateOptions{}); err != nil {
		return err
	}
	all := schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 1<<63 - 1}
	rows, digest, err := s.ReadBack(ctx, all)
	if err != nil {
		return err
	}
	last, err := s.MaxSeq(ctx, all)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "found", rows, last, digest)
	for k := last / crashRows; ; k++ {
		if err := s.Insert(ctx, crashBatch(k), fmt.Sprint("batch-", k)); err != nil {
			return err
		}
		fmt.Fprintln(out, "stored", k)
	}
}

// An insert that was answered outlives the process, and one that was not is there as a whole or not at all. The engine
// is killed in the middle of whatever it does; the next one says what it found.
func TestKillMinusNineLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	answered := uint64(0) // batches
	const rounds = 3
	for round := range rounds + 1 {
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		stop := answered + uint64(2+round)
		for lines.Scan() {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "found":
				var rows, last, digest uint64
				if _, err := fmt.Sscan(rest, &rows, &last, &digest); err != nil {
					t.Fatal(err)
				}
				want := uint64(0)
				for k := range rows / crashRows {
					want += schemas.SumDigests(crashBatch(k))
				}
				if rows != last || rows%crashRows != 0 || rows < answered*crashRows || rows > (answered+1)*crashRows || digest != want {
					t.Errorf("round %d: found %d rows up to %d with digest %d after %d answered batches of %d; want whole batches with digest %d", round, rows, last, digest, answered, crashRows, want)
				}
				answered = rows / crashRows
				stop = answered + uint64(2+round)
			case "stored":
				k, err := strconv.ParseUint(rest, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				answered = k + 1
			default:
				t.Fatalf("round %d: the child says %s", round, lines.Text())
			}
			if round == rounds || answered >= stop {
				break
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
		// What the child said between the last line read and its death counts as answered too.
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "stored "); ok {
				if k, err := strconv.ParseUint(rest, 10, 64); err == nil {
					answered = k + 1
				}
			}
		}
		_ = child.Wait() // it was killed: its status says nothing
	}
	if answered < rounds {
		t.Errorf("only %d batches were answered: the test proves nothing", answered)
	}
}
