package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readiness is what /readyz?verbose answers.
func readiness(t *testing.T, up *running) (int, string) {
	t.Helper()
	resp, err := http.Get(up.Gateway + "/readyz?verbose")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// Events come until the disk has no room for more. What was accepted is stored all the same, while events are still refused;
// the node says why it refuses, and takes events again when the disk is made larger, without a restart.
func TestExactDiskFullOfEvents(t *testing.T) {
	t.Parallel()
	disk, done := smallDisk(t, "160m")
	if done {
		return
	}
	dir := disk + "/data"
	up := startUp(t, dir)
	if code, answer := readiness(t, up); code != http.StatusOK {
		t.Fatalf("before anything is sent: %d %s", code, answer)
	}
	s := newProducer(t, up.Gateway)
	s.filler = strings.Repeat("a filler of memo", 400)
	for s.send(100) {
		if s.bytes > 160<<20 {
			t.Fatal("more was accepted than the disk holds")
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB of events were accepted on a disk of %d, of which %d are free", s.bytes>>20, int64(fs.Blocks)*int64(fs.Bsize)>>20, int64(fs.Bavail)*int64(fs.Bsize)>>20)
	// How many of them the table takes meanwhile is for the room that ClickHouse wants for its merges to say.
	if s.send(1) {
		t.Error("an event was accepted although nothing was freed")
	}
	if code, answer := readiness(t, up); code != http.StatusServiceUnavailable || !strings.Contains(answer, "kept for what was accepted") {
		t.Errorf("/readyz on the full disk: %d %s", code, answer)
	}
	if err := syscall.Mount("", disk, "tmpfs", syscall.MS_REMOUNT, "size=320m"); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	eventually(t, "202 after the disk was made larger", func() bool { return s.send(100) })
	t.Logf("accepted again %v after there was room", time.Since(freed).Round(time.Millisecond))
	eventually(t, "ready again", func() bool { code, _ := readiness(t, up); return code == http.StatusOK })
	settle(t, dir)
	judgeTable(t, up.Clickhouse, "earshot", s.accepted, s.sent, s.hour).report(t, "disk full of events, then made larger", 1)
	up.stop()
}

// A log that has reached its limit of bytes refuses, and the node says so.
func TestALogAtItsLimitMakesTheNodeUnready(t *testing.T) {
	t.Parallel()
	const limit = 2 << 20
	dir := dataFolder(t)
	up := startUp(t, dir, fmt.Sprint("EARSHOT_LOG_MAX_BYTES=", limit))
	s := newProducer(t, up.Gateway)
	s.filler = strings.Repeat("0123456789abcdef", 40)
	for s.send(100) {
		if s.bytes > 2*limit {
			t.Fatal("more was accepted than the log may hold")
		}
	}
	if code, answer := readiness(t, up); code != http.StatusServiceUnavailable || !strings.Contains(answer, "the stream is full") {
		t.Errorf("/readyz with a full log: %d %s", code, answer)
	}
	if b := settle(t, dir); b.Stored != uint64(len(s.accepted)) {
		t.Errorf("%+v, want %d stored", b, len(s.accepted))
	}
	up.stop()
}
