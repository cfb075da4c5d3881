package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownMounts is set for a test that runs in a mount namespace of its own.
const ownMounts = "TEST_OWN_MOUNTS"

// smallDisk mounts a disk in memory that fills up soon. Who may not mount has the test run again in user and mount
// namespaces of its own; then done is true and the test is over.
func smallDisk(t *testing.T, size string) (dir string, done bool) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err == nil {
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		return dir, false
	} else if os.Getenv(ownMounts) != "" {
		t.Fatalf("mount a small disk: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "1h")
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) { // what it found is this test's to report
		if _, attr, ok := strings.Cut(line, "=== ATTR  "+t.Name()+" exact "); ok {
			t.Attr("exact", strings.TrimSpace(attr))
		}
	}
	if err != nil {
		t.Fatalf("this test fills a disk of its own, for which it needs root or user namespaces: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return dir, true
}

// sampled is what a process took at some moment.
type sampled struct {
	at    time.Duration // since the start of the test
	rss   int64
	files int
}

// soak is a node under load that is killed again and again, on a disk that fills up.
type soak struct {
	t       *testing.T
	disk    string
	dir     string
	began   time.Time
	up      *running
	born    time.Time
	p       *producer
	samples []sampled // the last of each life that was long enough to settle
	kills   int
}

func (s *soak) start() {
	s.up = startUp(s.t, s.dir, "EARSHOT_LOG_MAX_AGE=5m")
	s.born = time.Now()
	s.p.gateway = s.up.Gateway
}

// alive says whether the node has not been killed meanwhile.
func (s *soak) alive() bool {
	select {
	case <-s.up.done:
		return false
	default:
		return true
	}
}

// load sends events at a pace until the end of a time, and until so many lives were long enough, and restarts the node when it
// was killed.
func (s *soak) load(d, pause time.Duration, lives int, kill func() time.Duration) {
	const size = 50
	var last sampled
	var killer *time.Timer
	arm := func() {
		node := s.up
		killer = time.AfterFunc(kill(), func() { node.cmd.Process.Kill() })
	}
	arm()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for end, look := time.Now().Add(d), time.Now().Add(5*time.Second); time.Now().Before(end) || len(s.samples) < lives; <-tick.C {
		s.p.send(size)
		switch {
		case !s.alive():
			s.kills++
			if last.rss > 0 {
				s.samples = append(s.samples, last)
			}
			last = sampled{}
			s.start()
			look = time.Now().Add(5 * time.Second)
			arm()
		case time.Now().After(look):
			look = time.Now().Add(time.Second)
			if rss, _, files, err := processUse(s.up.cmd.Process.Pid); err == nil && rss > 0 { // else it is being killed
				last = sampled{time.Since(s.began), rss, files}
			}
		}
	}
	if !killer.Stop() { // the kill may be under way
		<-s.up.done
		s.kills++
		s.start()
	}
}

// fill takes all the room of the disk, waits until events are refused for it, and gives it back.
func (s *soak) fill() {
	s.t.Helper()
	refused := s.p.refused
	ballast := filepath.Join(s.disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		s.t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); len(chunk) >= 4096; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
	f.Close()
	full := time.Now()
	eventually(s.t, "503 on a full disk", func() bool {
		s.p.send(50)
		return s.p.refused > refused+2 && time.Since(full) > long(5*time.Second, 45*time.Second)
	})
	if err := os.Remove(ballast); err != nil {
		s.t.Fatal(err)
	}
	freed := time.Now()
	eventually(s.t, "202 after there is room again", func() bool { return s.p.send(50) })
	s.t.Logf("full disk: %d requests refused, accepted again %v after there was room", s.p.refused-refused, time.Since(freed).Round(time.Millisecond))
	for line := range strings.Lines(s.up.log.String()) {
		if strings.Contains(line, `"component":"broker"`) {
			s.t.Logf("%.300s", line)
		}
	}
}

// A node works at half of what it can while it is killed at random and its disk fills up, for half an hour in the long
// form. Everything accepted is stored once in the end, and neither memory nor descriptors grow from life to life.
func TestExactSoak(t *testing.T) {
	t.Parallel()
	disk, done := smallDisk(t, long("800m", "3g"))
	if done {
		return
	}
	s := &soak{t: t, disk: disk, dir: filepath.Join(disk, "data"), began: time.Now(), p: newProducer(t, "")}
	s.p.mayFail = true
	s.start()
	began := time.Now()
	batches := long(100, 400)
	for range batches {
		s.p.send(50)
	}
	// Half of what it can, or 2,000 a second, for which the disk is large enough.
	pause := max(2*time.Since(began)/time.Duration(batches), 25*time.Millisecond)
	t.Logf("%.0f events/s at most one after the other, so %.0f of them", 50*float64(batches)/time.Since(began).Seconds(), 50/pause.Seconds())
	rng := rand.New(rand.NewPCG(20, 20))
	kill := func() time.Duration {
		return long(6*time.Second, 20*time.Second) + time.Duration(rng.Int64N(int64(long(3*time.Second, 40*time.Second))))
	}
	fills := long(1, 2)
	total := long(24*time.Second, 28*time.Minute)
	for i := range fills + 1 {
		s.load(total/time.Duration(fills+1), pause, i+2, kill)
		if i < fills {
			s.fill()
		}
	}
	settle(t, s.dir)
	v := judgeTable(t, s.up.Clickhouse, "earshot", s.p.accepted, s.p.sent, s.p.hour)
	v.report(t, "soak: kill -9 at random and full disks under load", s.kills+fills)
	s.steady()
	s.up.stop()
}

// steady holds the later lives against the earlier ones.
func (s *soak) steady() {
	n := len(s.samples)
	var report strings.Builder
	for _, x := range s.samples {
		fmt.Fprintf(&report, "\n%8v %5d MiB %4d files", x.at.Round(time.Second), x.rss>>20, x.files)
	}
	s.t.Logf("%d kills, %d requests refused; each life before its end:%s", s.kills, s.p.refused, report.String())
	if n < 3 {
		s.t.Fatalf("only %d lives were long enough to be measured", n)
	}
	mean := func(of []sampled) (rss int64, files int) {
		for _, x := range of {
			rss += x.rss / int64(len(of))
			files += x.files
		}
		return rss, files / len(of)
	}
	third := max(n/3, 1)
	rss, files := mean(s.samples[:third])
	lastRSS, lastFiles := mean(s.samples[n-third:])
	s.t.Logf("from the first third of the lives to the last, %v: %d to %d MiB, %d to %d files", (s.samples[n-1].at - s.samples[0].at).Round(time.Second), rss>>20, lastRSS>>20, files, lastFiles)
	if lastRSS > rss+rss/2+128<<20 || lastFiles > 2*files+32 {
		s.t.Error("memory or descriptors grow")
	}
}
