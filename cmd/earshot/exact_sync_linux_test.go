package main

import (
	"slices"
	"strings"
	"testing"
)

// Nothing is answered before it is on disk. Every file the broker keeps events in is looked at, in every call between the
// request and its answer; and the same node with a broker that does not sync must be found out.
//
// The files that matter are the blocks of the log: a stream is rebuilt from them alone. Its index.db is a copy of what is in
// the blocks, written now and then, and a start goes through the blocks when it is old or missing; meta.inf is written when
// the stream is created, with O_SYNC. The staging file of a batch, under batches/, counts too: a batch that was committed
// but not yet copied into the blocks is taken from there.
//
// The parts of the table are looked at when the ledger has answered: a worker does one thing after the other, so that what was
// inserted before a commit is answered must be on disk by then, the files of the part and the folder that names them. The
// projection inside a part is not looked at: ClickHouse does not sync all of its files, whatever the settings.
func TestExactlyWhatIsSyncedIsAnswered(t *testing.T) {
	t.Parallel()
	const request, ledger, part = "an accepted request", "an acknowledged plan or commit", "a part of a committed plan"
	for _, c := range []struct {
		name, env, statement string
		unsynced             []string // what must be found out
	}{
		{"as it is", "", "", nil},
		{"broker that syncs now and then", asFaulty + "=" + unsynced, "", []string{request, ledger}},
		{"table that does not sync its parts", "", "ALTER TABLE feedback MODIFY SETTING fsync_after_insert = 0", []string{part}},
		{"table that does not sync the folders of its parts", "", "ALTER TABLE feedback MODIFY SETTING fsync_part_directory = 0", []string{part}},
	} {
		dir := dataFolder(t)
		f := newFeed(t, 5)
		up := startUp(t, dir, append(exactEnv(), c.env)...)
		if c.statement != "" {
			engineSays(t, up, c.statement)
		}
		s := attach(t, up.cmd.Process.Pid, "-s", "400", "-e", "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,openat,rename,renameat,renameat2,unlink,unlinkat")
		accepted := f.pour(up, func(sent int) bool { return sent == 30 })
		reconciled(t, dir) // everything is committed
		calls := s.detach()
		up.stop()
		for _, look := range []struct {
			what, folder string
			ends         []string
			answers      func(string) bool
			least        int
		}{
			{request, "/streams/FEEDBACK_0/", []string{".blk"}, isAccepted, accepted},
			{ledger, "/streams/OUTCOMES/", []string{".blk"}, isAcknowledged, 2},
			{part, "/tmp_insert_", []string{".bin", ".txt", ".cmrk3", ".cmrk4", ".cidx", ".idx2", "/"}, isAcknowledged, 2},
		} {
			matters := 0
			seen, breaches, crossed := synced(calls, look.answers, func(file string) bool {
				is := strings.Contains(file, look.folder) && !strings.Contains(file, ".proj/") && slices.ContainsFunc(look.ends, func(end string) bool { return strings.HasSuffix(file, end) })
				if is {
					matters++
				}
				return is
			})
			if look.what != ledger || len(crossed) > seen/4 { // others write to the ledger too: their turn is rarely just then
				breaches = append(breaches, crossed...)
			}
			if look.what == part { // others write to the ledger too, and are answered while an insert is under way: once is no breach
				breaches = repeated(breaches)
			}
			promised := !slices.Contains(c.unsynced, look.what)
			t.Logf("%s: %s: %d answers, %d breaches", c.name, look.what, seen, len(breaches))
			switch {
			case seen < look.least || seen == 0:
				t.Errorf("%s: %s: saw %d answers, want %d", c.name, look.what, seen, look.least)
			case matters == 0:
				t.Errorf("%s: %s: no file of it was written", c.name, look.what)
			case c.unsynced == nil && len(breaches) > 0:
				t.Errorf("%s: %s: %d breaches, the first: %s", c.name, look.what, len(breaches), breaches[0])
			case !promised && len(breaches) == 0:
				t.Errorf("%s: %s: nothing was found although it is not synced", c.name, look.what)
			}
			if c.unsynced == nil {
				reportExact(t, "power: "+look.what+" is on disk before its answer", seen, outcome{rows: len(f.answered), lost: len(breaches)})
			}
		}
	}
}

// isAcknowledged says whether bytes written to a socket tell the worker that the ledger has what it sent.
func isAcknowledged(args string) bool { return strings.Contains(args, `\"stream\":\"OUTCOMES\"`) }

// repeated leaves of breaches those about files that more than one answer came too early for.
func repeated(breaches []string) []string {
	file := func(b string) string {
		_, rest, _ := strings.Cut(b, "answered, but ")
		name, _, _ := strings.Cut(rest, " was written")
		return name
	}
	times := map[string]int{}
	for _, b := range breaches {
		times[file(b)]++
	}
	return slices.DeleteFunc(breaches, func(b string) bool { return times[file(b)] < 2 })
}
