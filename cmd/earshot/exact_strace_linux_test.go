package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tracer is a strace that is attached to a process.
type tracer struct {
	t    *testing.T
	file string
	errs *lockedBuffer
	cmd  *exec.Cmd
	done chan struct{} // closed when strace has ended
}

// attach attaches strace to all threads of a process and returns once it has them. What it injects is counted by each
// thread for itself, from here on.
func attach(t *testing.T, pid int, args ...string) *tracer {
	t.Helper()
	program := tool(t, "strace", "strace")
	s := &tracer{t: t, file: filepath.Join(t.TempDir(), "strace.log"), errs: &lockedBuffer{}, done: make(chan struct{})}
	s.cmd = exec.Command(program, append([]string{"-f", "-y", "-e", "signal=none", "-o", s.file, "-p", strconv.Itoa(pid)}, args...)...)
	s.cmd.Stderr = s.errs
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.cmd.Wait(); close(s.done) }()
	t.Cleanup(func() { s.cmd.Process.Kill(); <-s.done })
	for !strings.Contains(s.errs.String(), " attached") {
		select {
		case <-s.done:
			t.Fatalf("strace could not attach to process %d; it needs the right to trace (CAP_SYS_PTRACE, or kernel.yama.ptrace_scope=0): %s", pid, s.errs)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return s
}

// hasInjected says whether a fault has happened yet.
func (s *tracer) hasInjected() bool {
	log, err := os.ReadFile(s.file)
	return err == nil && bytes.Contains(log, []byte("(INJECTED)"))
}

// detach lets the process go on by itself, if it is still there, and returns the calls that were traced.
func (s *tracer) detach() []call {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("strace does not let go: %s", s.errs)
	}
	f, err := os.Open(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	calls, err := parseCalls(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return calls
}
