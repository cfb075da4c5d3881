package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// injection is a fault at a system call of a running node.
type injection struct {
	calls string // names, separated by commas
	what  string // strace's words for what happens, such as "error=EIO:signal=SIGKILL"
	when  string // which of a thread's calls, such as "3" or "2+5"
	only  string // only calls on these files, relative to the data folder, with *; "": all
}

// kill ends the process at the k-th of a thread's calls, which does not happen any more.
const kill = "error=EIO:signal=SIGKILL"

// Files of a data folder that faults are aimed at.
const (
	tokenLog     = "clickhouse/store/*/*/deduplication_logs/*"
	logBlocks    = "nats/jetstream/*/streams/FEEDBACK_0/msgs/*.blk"
	ledgerBlocks = "nats/jetstream/*/streams/OUTCOMES/msgs/*.blk"
)

// Files of parts that do not exist yet, which is why they are counted up from the newest there is.
const (
	newParts    = "data of parts to be written" // ClickHouse numbers these from 1 in each process
	placedParts = "parts to be moved into place"
	syncedParts = "parts just moved into place, whose folder is opened to be synced"
)

// factTable is the folder of the fact table's parts.
func factTable(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, tokenLog))
	if err != nil || len(logs) == 0 {
		t.Fatalf("there is no table with a token log in %s: %v", dir, err)
	}
	return filepath.Dir(filepath.Dir(logs[0]))
}

// partsToCome names a file of each of the next parts in the months of the feed.
func partsToCome(t *testing.T, dir string, after int, format string) (out []string) {
	t.Helper()
	for n := range 150 { // each takes strace a look at every call
		for month := 202608; month <= 202610; month++ {
			out = append(out, filepath.Join(factTable(t, dir), fmt.Sprintf(format, month, after+n+1)))
		}
	}
	return out
}

// lastBlock is the highest number among the parts of the fact table.
func lastBlock(t *testing.T, dir string) (last int) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(factTable(t, dir), "1-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		var month, lo, hi, level int
		if _, err := fmt.Sscanf(filepath.Base(p), "1-%d_%d_%d_%d", &month, &lo, &hi, &level); err == nil {
			last = max(last, hi)
		}
	}
	return last
}

// kills makes an injection of a kill for each of the counts.
func kills(calls, only string, when ...int) (out []injection) {
	for _, k := range when {
		out = append(out, injection{calls, kill, fmt.Sprint(k), only})
	}
	return out
}

// arguments are those of strace.
func (i injection) arguments(t *testing.T, dir string) []string {
	t.Helper()
	args := []string{"-e", "trace=" + i.calls, "-e", "inject=" + i.calls + ":" + i.what + ":when=" + i.when}
	if i.only == "" {
		return args
	}
	files, err := filepath.Glob(filepath.Join(dir, i.only))
	switch i.only {
	case newParts:
		files = partsToCome(t, dir, 0, "tmp_insert_1-%d_%d_%[2]d_0/data.bin")
	case placedParts:
		files = partsToCome(t, dir, lastBlock(t, dir), "1-%d_%d_%[2]d_0")
	case syncedParts:
		for _, part := range partsToCome(t, dir, lastBlock(t, dir), "1-%d_%d_%[2]d_0") {
			files = append(files, part+"/") // as ClickHouse names it in this call
		}
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files %s in %s: %v", i.only, dir, err)
	}
	for _, f := range files {
		args = append(args, "-P", f)
	}
	return args
}

// place names what a call was about, so that one can see which windows were hit.
func (c *call) place() string {
	file := c.file()
	if c.name == "rename" && strings.Contains(c.target(), "delete_tmp") {
		return "a part given up"
	}
	for _, p := range []struct{ in, name string }{
		{"/deduplication_logs/", "token log"}, {"/tmp_insert_", "part before its rename"}, {"/tmp_merge_", "merge"}, {"/clickhouse/store/", "part after its rename"},
		{"/clickhouse/", "other files of ClickHouse"}, {"/FEEDBACK_0/batches/", "log, batch"}, {"/FEEDBACK_0/", "log"}, {"/OUTCOMES/batches/", "ledger, batch"},
		{"/OUTCOMES/", "ledger"}, {"/INSIGHTS/", "insights"}, {"/DEADLETTERS/", "dead letters"}, {"/nats/", "other files of NATS"},
		{"socket:", "answer or request"}, {"pipe:", "pipe or event"}, {"anon_inode:", "pipe or event"},
	} {
		if strings.Contains(file, p.in) {
			return p.name
		}
	}
	return "other"
}

// hits counts where the process died, by call and place.
type hits map[string]int

func (h hits) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&b, "%3d  %s\n", h[k], k)
	}
	return b.String()
}

// round runs a node, lets a fault kill it while events flow, and says whether it did.
func (f *feed) round(dir string, i injection, hit hits, env ...string) bool {
	f.t.Helper()
	up := startUp(f.t, dir, append(exactEnv(), env...)...)
	s := attach(f.t, up.cmd.Process.Pid, i.arguments(f.t, dir)...)
	enough := time.Now().Add(40 * time.Second) // the call comes within a second or two where the machine is free
	f.pour(up, func(int) bool { return time.Now().After(enough) })
	up.kill()
	calls := s.detach()
	at := slices.IndexFunc(calls, func(c call) bool { return c.died() && slices.Contains(strings.Split(i.calls, ","), c.name) })
	if at < 0 {
		hit["missed: "+i.calls]++
		return false
	}
	hit[calls[at].name+": "+calls[at].place()]++
	return true
}

// A node is killed at the k-th call of each kind that changes a file, while events of three months flow, among them some
// that were sent before and some that are none. Then it is started again, and killed again.
func TestExactWhenKilledAtSystemCalls(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	killed, found := 0, outcome{}
	t.Run("feed", func(t *testing.T) { // two, which take half the time beside each other
		for name, rounds := range map[string][]injection{
			"ClickHouse": slices.Concat(
				kills("rename", "", 1, 2, 3, 4, 1, 2, 3, 1), // it moves parts and merges into place
				kills("fdatasync", placedParts, 1, 2, 3, 5), // and has just done so
				kills("write", tokenLog, 1, 2, 1, 2, 1),
				kills("fdatasync", "", 1, 2, 3, 5, 1, 8),
				kills("unlink,unlinkat,rmdir", "", 1, 2, 5, 9, 14),
			),
			"NATS and any": slices.Concat(
				kills("write", "", 1, 2, 3, 5, 8, 13, 21, 34, 55),
				kills("pwrite64", "", 1, 2, 26, 27, 52), // of NATS, like those below
				kills("pwrite64", logBlocks, 1, 11, 49),
				kills("pwrite64", ledgerBlocks, 1, 2, 3, 1, 2, 5),
				kills("fsync", "", 1, 2, 3, 4, 5),
				kills("fsync", ledgerBlocks, 1, 2, 3),
				kills("renameat", "", 1, 2, 3, 4, 6),
			),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := dataFolder(t)
				f, hit := newFeed(t, uint64(len(rounds))), hits{}
				n := 0
				for _, i := range rounds {
					if f.round(dir, i, hit) {
						n++
					}
				}
				t.Logf("%d of %d rounds ended in a kill:\n%s", n, len(rounds), hit)
				o, faults := f.check(dir)
				for _, fault := range faults {
					t.Error(fault)
				}
				mu.Lock()
				defer mu.Unlock()
				killed += n
				found.add(o)
			})
		}
	})
	if killed < 60 {
		t.Errorf("%d kills, want 60 at least", killed)
	}
	reportExact(t, "SIGKILL at the k-th rename, write, pwrite64, fsync, fdatasync or unlink", killed, found)
	reportExact(t, "after that: each hour's figures, from the projection, the rows and a recount; rounds: hours by tenant and channel", found.hours, outcome{rows: found.rows, lost: found.unequal})
}

// The same faults at the rename of a part, with the protocol and without its read-back: without it rows must be missing, or
// the tests here could not find what they look for.
func TestExactOnlyWithTheReadBack(t *testing.T) {
	t.Parallel()
	rounds := kills("rename", "", 1, 2, 3)
	for _, c := range []struct {
		name, env string
		exact     bool
	}{{"protocol", "", true}, {"token alone", asFaulty + "=" + trusting, false}} {
		dir := dataFolder(t)
		f, hit := newFeed(t, 2), hits{}
		killed := 0
		for _, i := range rounds {
			if f.round(dir, i, hit, c.env) {
				killed++
			}
		}
		last := startUp(t, dir, append(exactEnv(), c.env)...) // settles, in its own way, what the last kill left
		last.stop()
		found, faults := f.check(dir)
		t.Logf("%s: %d kills, %d rows, %d lost, %d doubled\n%s%s", c.name, killed, found.rows, found.lost, found.doubled, hit, strings.Join(faults, "\n"))
		if killed < len(rounds)/2 {
			t.Errorf("%s: only %d of %d rounds ended in a kill", c.name, killed, len(rounds))
		}
		if exact := found.lost == 0 && found.doubled == 0 && len(faults) == 0; exact != c.exact {
			t.Errorf("%s: exact %v, want %v", c.name, exact, c.exact)
		}
	}
}
