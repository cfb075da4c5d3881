package broker

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// ownMounts is set for a test that runs in a mount namespace of its own.
const ownMounts = "TEST_OWN_MOUNTS"

// withOwnMounts runs the test again as somebody who may mount: in user and mount namespaces of its own, which a user who
// is not root can make.
func withOwnMounts(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("this test fills a disk of its own, for which it needs root or user namespaces: %v\n%s", err, out)
	}
}

// A real disk, as small as a test needs it, that really fills up.
func TestAFullDiskFreezesAndHeals(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		if os.Getenv(ownMounts) != "" {
			t.Fatalf("mount a small disk: %v", err)
		}
		withOwnMounts(t)
		return
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var lines log
	b, err := Start(context.Background(), Config{Dir: dir + "/js", Addr: "127.0.0.1:0", Shards: 1, CheckEvery: 20 * time.Millisecond,
		MinFree: 12 << 20, Logger: zerolog.New(&lines)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := nats.Connect(b.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	ballast := fillDisk(t, dir, 14<<20)
	stored := 0
	for {
		try, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		_, err := js.Publish(try, "s", make([]byte, 256<<10))
		stop()
		if err != nil {
			break
		}
		if stored++; stored > 1000 {
			t.Fatal("the disk does not fill up")
		}
	}
	eventually(t, "the watchdog sees it", func() bool { return b.Healthy() != nil })
	eventually(t, "and waits for room", func() bool { return strings.Contains(lines.String(), "before its disk has room") })
	ballast()
	eventually(t, "health after room was made", func() bool { return b.Healthy() == nil && strings.Contains(lines.String(), "was restarted") })
	eventually(t, "writes again", func() bool {
		try, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		defer stop()
		_, err := js.Publish(try, "s", []byte("after"))
		return err == nil
	})
	st, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := st.CachedInfo().State.Msgs; n < uint64(stored)+1 {
		t.Errorf("%d messages, though %d were confirmed", n, stored+1)
	}
}

// fillDisk takes bytes from the disk and returns a function that gives them back.
func fillDisk(t *testing.T, dir string, bytes int) func() {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	if err := os.WriteFile(name, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
