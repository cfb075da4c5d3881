package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// failing makes an injection of an error at the calls for each of the errors, at the first of a thread's calls and every
// third after it.
func failing(calls, only string, errs ...string) (out []injection) {
	for _, e := range errs {
		out = append(out, injection{calls, "error=" + e, "1+3", only})
	}
	return out
}

// A disk fails for a moment under a running node, in every way a call can: nothing is lost or doubled, the gateway answers
// 202, 429 or 503, and the node comes to itself, by a restart at most.
func TestExactWhenSystemCallsFail(t *testing.T) {
	t.Parallel()
	const eio, full, interrupted = "EIO", "ENOSPC", "EINTR"
	const unmerged = "ClickHouse without merges" // which would hide what a failed insert leaves
	for name, faults := range map[string][]injection{
		"ClickHouse": slices.Concat(
			failing("rename", "", eio, full, interrupted),
			failing("write", tokenLog, eio, full, interrupted),
			failing("write", newParts, eio, full, interrupted),
			failing("openat", newParts, eio, full, interrupted),
			failing("fdatasync", "", eio, full, interrupted),
		),
		unmerged: failing("openat", syncedParts, eio, full, interrupted),
		"NATS interrupted": slices.Concat(
			failing("pwrite64,fsync,renameat,unlinkat", "", interrupted),
			failing("write", "", interrupted),
			failing("openat", "", interrupted),
		),
		"NATS broken":       slices.Concat(failing("pwrite64", "", eio), failing("fsync", "", eio), failing("renameat", "", eio)),
		"NATS without room": slices.Concat(failing("pwrite64", "", full), failing("fsync", "", full), failing("openat", "", full, eio)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataFolder(t)
			f := newFeed(t, 4)
			up := startUp(t, dir, exactEnv()...)
			f.pour(up, func(sent int) bool { return sent == 4 }) // of each kind something, however little comes through later
			if name == unmerged {
				askServer(t, up.Clickhouse, "earshot", "SYSTEM STOP MERGES")
			}
			injected, restarts := 0, 0
			for _, i := range faults {
				began := time.Now()
				n, died := f.disturb(&up, dir, i)
				injected += n
				restarts += died
				t.Logf("%s %s %s: %d injected, %d restarts, well again after %v, answers so far %v", i.calls, i.only, i.what, n, died, time.Since(began).Round(time.Millisecond), f.statuses)
				if n == 0 {
					t.Errorf("%s %s: nothing was injected", i.calls, i.what)
				}
			}
			up.stop()
			found, wrong := f.check(dir)
			for _, w := range wrong {
				t.Error(w)
			}
			for status := range f.statuses {
				if !slices.Contains([]int{202, 429, 503}, status) {
					t.Errorf("the gateway answered %d", status)
				}
			}
			if t.Failed() {
				t.Log(up.log)
			}
			reportExact(t, fmt.Sprintf("EIO, ENOSPC, EINTR: %s, %d calls failed, %d restarts", name, injected, restarts), len(faults), found)
		})
	}
}

// disturb injects a fault into a node while events flow, and waits until the node takes and stores events again. It says
// how many calls failed and how often the node had to be started again.
func (f *feed) disturb(up **running, dir string, i injection) (injected, restarts int) {
	f.t.Helper()
	s := attach(f.t, (*up).cmd.Process.Pid, i.arguments(f.t, dir)...)
	began := time.Now()
	f.pour(*up, func(int) bool {
		passed := time.Since(began)
		return passed > 700*time.Millisecond && s.hasInjected() || passed > 20*time.Second
	})
	for _, c := range s.detach() {
		if c.injected {
			injected++
		}
	}
	deadline := time.Now().Add(patience)
	for wellBefore := false; ; {
		select {
		case <-(*up).done:
			if restarts++; restarts > 1 {
				f.t.Fatalf("the node ended a second time after the fault was over:\n%s", (*up).log)
			}
			*up = startUp(f.t, dir, exactEnv()...)
		default:
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the node is not well again after %s %s:\n%s", i.calls, i.what, (*up).log)
		}
		if f.pour(*up, func(sent int) bool { return sent > 0 }) == 0 {
			time.Sleep(50 * time.Millisecond)
			wellBefore = false
			continue
		}
		if wellBefore {
			break
		}
		wellBefore = true
	}
	return injected, restarts
}
