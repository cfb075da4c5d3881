package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// syncing is what is known of a file that matters.
type syncing struct {
	writes []edge // beginnings and ends of writes that no sync covers
	began  int    // line at which a sync began that covered writes since the last answer, 0: there was none
}

// synced holds a log of system calls against a promise: when a socket is written with one of the answers, every file that
// matters has been synced since it was last written to. A write counts from its beginning, and a sync for what was written
// to its end before the sync began. A file opened with O_SYNC is synced by its writes. A folder that matters, named with a
// slash at its end, is written to by making a file in it. It returns how many answers it saw and the breaches.
//
// A breach goes among the crossed instead if, since the answer before, a sync of the file covered something and all that is not
// synced was written after that sync began. Where several write to one file and are answered by themselves, another may have
// written between the sync that an answer waited for and the answer, which is rare; a sync that always comes after the
// answer is not.
func synced(calls []call, answers func(args string) bool, matters func(file string) bool) (seen int, breaches, crossed []string) {
	files := map[string]*syncing{}
	at := func(file string) *syncing {
		if files[file] == nil {
			files[file] = &syncing{}
		}
		return files[file]
	}
	always := map[string]bool{} // opened with O_SYNC
	for _, e := range inOrder(calls) {
		c, file := e.call, e.call.file()
		switch {
		case strings.HasPrefix(c.name, "open"):
			if e.exit && !c.failed() {
				always[file] = strings.Contains(c.args, "O_SYNC") || strings.Contains(c.args, "O_DSYNC")
			}
			if folder := path.Dir(file); strings.Contains(c.args, "O_CREAT") && matters(folder+"/") {
				at(folder).writes = append(at(folder).writes, e)
			}
		case strings.Contains(c.name, "write"):
			if !e.exit && strings.HasPrefix(file, "socket:") && answers(c.args) {
				seen++
				for _, name := range sortedKeys(files) {
					f := files[name]
					if n := len(f.writes); n > 0 {
						breach := fmt.Sprintf("line %d: answered, but %s was written on line %d and not synced since", e.line, name, f.writes[n-1].line)
						if f.began > 0 && f.writes[0].call.entry > f.began {
							crossed = append(crossed, breach)
						} else {
							breaches = append(breaches, breach)
						}
					}
					f.began = 0
				}
			}
			if matters(file) && !always[file] {
				at(file).writes = append(at(file).writes, e)
			}
		case strings.HasPrefix(c.name, "rename"):
			if e.exit && !c.failed() {
				moved(files, file, c.target())
				moved(always, file, c.target())
			}
		case strings.HasPrefix(c.name, "unlink"):
			if e.exit && !c.failed() {
				delete(files, file)
			}
		case c.name == "fsync" || c.name == "fdatasync":
			if f := files[file]; f != nil && e.exit && !c.failed() {
				before := len(f.writes)
				f.writes = slices.DeleteFunc(f.writes, func(w edge) bool { return w.line < c.entry })
				if len(f.writes) < before {
					f.began = c.entry
				}
			}
		}
	}
	return seen, breaches, crossed
}

// moved gives what is known of a file, or of the files of a folder, to its new name.
func moved[V any](known map[string]V, from, to string) {
	for f, v := range known {
		if rest, ok := strings.CutPrefix(f, from); ok && (rest == "" || rest[0] == '/') {
			delete(known, f)
			known[path.Clean(to+rest)] = v
		}
	}
}

// edge is the beginning or the end of a call.
type edge struct {
	line int
	exit bool
	call *call
}

// inOrder lists beginnings and ends as they happened.
func inOrder(calls []call) []edge {
	var out []edge
	for i := range calls {
		c := &calls[i]
		out = append(out, edge{c.entry, false, c})
		if c.exit > 0 {
			out = append(out, edge{c.exit, true, c})
		}
	}
	slices.SortStableFunc(out, func(a, b edge) int { return a.line - b.line })
	return out
}

func TestFilesThatAreNotSyncedBeforeAnAnswerAreFound(t *testing.T) {
	const answer = `9 write(5<socket:[1]>, "HTTP/1.1 202 Accepted"..., 90) = 90`
	for _, c := range []struct {
		claim, log        string
		breaches, crossed int
	}{
		{"a write between the sync and the answer may be another's", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n1 fsync(3</d/1.blk>) = 0\n2 pwrite64(3</d/1.blk>, \"y\", 1, 1) = 1\n" + answer, 0, 1},
		{"a write with a sync after it is synced", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n1 fsync(3</d/1.blk>) = 0\n" + answer, 0, 0},
		{"a write without a sync is not", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n" + answer, 1, 0},
		{"a sync before the write is none", "1 fsync(3</d/1.blk>) = 0\n1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n" + answer, 1, 0},
		{"a sync of another file is none", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n1 fsync(3</d/2.blk>) = 0\n" + answer, 1, 0},
		{"a sync that failed is none", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n1 fsync(3</d/1.blk>) = -1 EIO (Input/output error)\n" + answer, 1, 0},
		{"a sync that ends after the answer is none", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0) = 1\n1 fsync(3</d/1.blk> <unfinished ...>\n" + answer + "\n1 <... fsync resumed>) = 0", 1, 0},
		{"a write that was under way when the sync began is not covered", "1 pwrite64(3</d/1.blk>, \"x\", 1, 0 <unfinished ...>\n2 fsync(3</d/1.blk> <unfinished ...>\n1 <... pwrite64 resumed>) = 1\n2 <... fsync resumed>) = 0\n" + answer, 1, 0},
		{"a file opened with O_SYNC syncs itself", "1 openat(AT_FDCWD</>, \"/d/meta\", O_WRONLY|O_SYNC, 0600) = 3</d/meta>\n1 write(3</d/meta>, \"x\", 1) = 1\n" + answer, 0, 0},
		{"a file keeps its state under a new name", "1 write(3</d/a/1.blk>, \"x\", 1) = 1\n1 renameat(AT_FDCWD</>, \"/d/a\", AT_FDCWD</>, \"/d/b\") = 0\n1 fsync(3</d/b/1.blk>) = 0\n" + answer, 0, 0},
		{"a file with a new name is still not synced", "1 write(3</d/a/1.blk>, \"x\", 1) = 1\n1 rename(\"/d/a\", \"/d/b\") = 0\n" + answer, 1, 0},
		{"a file that is gone needs no sync", "1 write(3</d/1.blk>, \"x\", 1) = 1\n1 unlinkat(AT_FDCWD</>, \"/d/1.blk\", 0) = 0\n" + answer, 0, 0},
		{"a file that was made writes to its folder", "1 openat(AT_FDCWD</>, \"/d/p/1.bin\", O_WRONLY|O_CREAT, 0600) = 3</d/p/1.bin>\n" + answer, 1, 0},
		{"a folder that was synced under its new name is", "1 openat(AT_FDCWD</>, \"/d/p/1.bin\", O_WRONLY|O_CREAT, 0600) = 3</d/p/1.bin>\n1 rename(\"/d/p/\", \"/d/q/\") = 0\n1 fsync(4</d/q>) = 0\n" + answer, 0, 0},
		{"files that do not matter do not", "1 write(3</e/1.blk>, \"x\", 1) = 1\n" + answer, 0, 0},
	} {
		calls, err := parseCalls(strings.NewReader(c.log))
		if err != nil {
			t.Fatal(err)
		}
		seen, breaches, crossed := synced(calls, isAccepted, func(f string) bool { return strings.HasPrefix(f, "/d/") })
		if seen != 1 || len(breaches) != c.breaches || len(crossed) != c.crossed {
			t.Errorf("%s: %d answers, %q and %q, want 1 answer, %d breaches and %d crossed", c.claim, seen, breaches, crossed, c.breaches, c.crossed)
		}
	}
}

// isAccepted says whether bytes written to a socket are a 202 of the gateway.
func isAccepted(args string) bool { return strings.Contains(args, `"HTTP/1.1 202 `) }
