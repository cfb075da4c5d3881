package main

import (
	"bufio"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
)

// call is one system call in a log of strace -f -y.
type call struct {
	thread      string
	name        string
	args        string // as strace prints them
	result      string // such as "463" or "-1 EIO (Input/output error)"; "?": the process died in it; "": the log ends in it
	injected    bool   // strace made the result
	entry, exit int    // lines of the log on which it begins and ends, from 1; exit 0: it does not end
}

// parseCalls reads the log of strace -f. Lines that are no calls, such as signals, are passed over.
func parseCalls(r io.Reader) ([]call, error) {
	var calls []call
	pending := map[string]int{} // by thread
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		thread, text, _ := strings.Cut(lines.Text(), " ")
		text = strings.TrimSpace(text)
		if rest, ok := strings.CutPrefix(text, "<... "); ok {
			i, begun := pending[thread]
			_, rest, ok = strings.Cut(rest, " resumed>")
			if !begun || !ok {
				continue // strace was attached in the middle of it
			}
			delete(pending, thread)
			calls[i].end(n, rest)
			continue
		}
		name, rest, ok := strings.Cut(text, "(")
		if !ok || name == "" || strings.ContainsAny(name, " +-") {
			continue
		}
		calls = append(calls, call{thread: thread, name: name, entry: n})
		c := &calls[len(calls)-1]
		if rest, ok := strings.CutSuffix(rest, "<unfinished ...>"); ok {
			c.args = strings.TrimSpace(rest)
			pending[thread] = len(calls) - 1
			continue
		}
		c.end(n, rest)
	}
	return calls, lines.Err()
}

// end takes the rest of a call's line, from somewhere in its arguments on.
func (c *call) end(line int, rest string) {
	args, result := rest, ""
	if i := strings.LastIndex(rest, " = "); i >= 0 {
		args, result = rest[:i], rest[i+3:]
	}
	c.args += strings.TrimSuffix(strings.TrimSpace(args), ")")
	c.result, c.injected = strings.CutSuffix(strings.TrimSpace(result), " (INJECTED)")
	c.exit = line
}

// died says that the process ended in the call.
func (c *call) died() bool { return c.result == "?" }

// failed says that the call had no effect.
func (c *call) failed() bool { return c.died() || strings.HasPrefix(c.result, "-1 ") }

// file is the file a call is about: that of its descriptor, else the first path among its arguments. "" when it is about
// none, such as a socket.
func (c *call) file() string {
	fd, rest, ok := strings.Cut(c.args, "<")
	if ok && !strings.ContainsAny(fd, `", `) {
		p, _, _ := strings.Cut(rest, ">")
		if quoted := c.paths(); fd == "AT_FDCWD" || len(quoted) > 0 && takesPath(c.name) {
			return resolve(p, quoted, 0)
		}
		return strings.TrimSuffix(p, "(deleted)")
	}
	return resolve("", c.paths(), 0)
}

// target is the second path of a rename.
func (c *call) target() string {
	from, _, _ := strings.Cut(c.args, ">")
	_, from, _ = strings.Cut(from, "<")
	return resolve(from, c.paths(), 1)
}

func takesPath(name string) bool {
	return strings.HasPrefix(name, "open") || strings.HasPrefix(name, "unlink") || strings.HasPrefix(name, "rename")
}

// paths are the strings among the arguments.
func (c *call) paths() []string {
	var out []string
	for i, s := range strings.Split(c.args, `"`) {
		if i%2 == 1 {
			out = append(out, s)
		}
	}
	return out
}

func resolve(dir string, paths []string, n int) string {
	switch {
	case n >= len(paths):
		return ""
	case path.IsAbs(paths[n]):
		return path.Clean(paths[n])
	case dir == "":
		return paths[n]
	}
	return path.Join(dir, paths[n])
}

func TestCallsAreReadFromALogOfStrace(t *testing.T) {
	const log = `101 rename("/d/tmp_insert_1/", "/d/1_1_0/") = ?
102 pwrite64(57</d/m/1.blk>, "\317\1\0 = (\"x", 463, 0) = 463
103 write(9</d/dedup.txt>, "1\t"..., 66) = -1 EIO (Input/output error) (INJECTED)
104 fdatasync(99</d/c.txt> <unfinished ...>
102 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=1, si_uid=0} ---
104 <... fdatasync resumed>)          = 0
105 openat(AT_FDCWD</home/x>, "/d/meta.inf.tmp", O_WRONLY|O_CREAT|O_SYNC|O_CLOEXEC, 0600 <unfinished ...>
106 unlinkat(58</d/b>, "1.blk", 0) = 0
105 <... openat resumed>) = 58</d/meta.inf.tmp>
107 renameat(AT_FDCWD</home/x>, "/d/a", AT_FDCWD</home/x>, "/d/b" <unfinished ...>
108 <... write resumed>) = 5
109 write(56<socket:[19956]>, "HTTP/1.1 202 Accepted\r\nCache-Con"..., 2402) = 2402
109 +++ exited with 0 +++
`
	want := []struct {
		thread, name, file, result string
		entry, exit                int
		died, failed, injected     bool
	}{
		{"101", "rename", "/d/tmp_insert_1", "?", 1, 1, true, true, false},
		{"102", "pwrite64", "/d/m/1.blk", "463", 2, 2, false, false, false},
		{"103", "write", "/d/dedup.txt", "-1 EIO (Input/output error)", 3, 3, false, true, true},
		{"104", "fdatasync", "/d/c.txt", "0", 4, 6, false, false, false},
		{"105", "openat", "/d/meta.inf.tmp", "58</d/meta.inf.tmp>", 7, 9, false, false, false},
		{"106", "unlinkat", "/d/b/1.blk", "0", 8, 8, false, false, false},
		{"107", "renameat", "/d/a", "", 10, 0, false, false, false},
		{"109", "write", "socket:[19956]", "2402", 12, 12, false, false, false},
	}
	calls, err := parseCalls(strings.NewReader(log))
	if err != nil || len(calls) != len(want) {
		t.Fatalf("%d calls, want %d: %v", len(calls), len(want), err)
	}
	for i, w := range want {
		c := &calls[i]
		if c.thread != w.thread || c.name != w.name || c.file() != w.file || c.result != w.result || c.entry != w.entry ||
			c.exit != w.exit || c.died() != w.died || c.failed() != w.failed || c.injected != w.injected {
			t.Errorf("call %d: %+v with file %q, want %+v", i, *c, c.file(), w)
		}
	}
	for i, target := range map[int]string{0: "/d/1_1_0", 6: "/d/b"} {
		if got := calls[i].target(); got != target {
			t.Errorf("call %d renames to %q, want %q", i, got, target)
		}
	}
	if at := slices.IndexFunc(calls, func(c call) bool { return c.died() }); at != 0 {
		t.Errorf("the process died in call %d, want 0", at)
	}
}
