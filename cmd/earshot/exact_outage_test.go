package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func percentile(of []time.Duration, share float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	of = slices.Sorted(slices.Values(of))
	return of[min(int(share*float64(len(of))), len(of)-1)]
}

// behindProxy starts a node whose ClickHouse is behind a bad line.
func behindProxy(t *testing.T) (*running, *proxy, []string) {
	t.Helper()
	server := startUp(t, dataFolder(t)).Clickhouse
	dsn, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := startProxy(t, dsn.Host)
	dsn.Host = p.addr()
	dir := dataFolder(t)
	// The judge asks the server itself: the line is only the node's.
	direct := []string{"EARSHOT_CLICKHOUSE_DSN=" + server, "EARSHOT_DATABASE=behind", "EARSHOT_DATA_DIR=" + dir}
	up := startUp(t, dir, "EARSHOT_CLICKHOUSE_DSN="+dsn.String(), "EARSHOT_DATABASE=behind")
	up.Clickhouse = server
	return up, p, direct
}

// slower says whether requests took noticeably longer during something than before, by the p99 of stretches of time. A busy
// machine spoils some stretches, and a gateway that waits for what is slow spoils all, so the best of each count.
func slower(before, during []time.Duration) bool {
	least := slices.Min(during)
	return least > 3*slices.Min(before) && least > 300*time.Millisecond
}

func TestSlowerIsToldFromABusyMachine(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		claim          string
		before, during []time.Duration
		want           bool
	}{
		{"the same", []time.Duration{10 * ms}, []time.Duration{11 * ms, 9 * ms, 12 * ms}, false},
		{"ten to nearly a second", []time.Duration{10 * ms}, []time.Duration{990 * ms, 1000 * ms, 995 * ms}, true},
		{"as late as what it waits for", []time.Duration{400 * ms}, []time.Duration{5000 * ms, 5100 * ms}, true},
		{"one stretch in which the machine was busy", []time.Duration{10 * ms}, []time.Duration{12 * ms, 990 * ms, 13 * ms}, false},
		{"a machine that is busy all the time", []time.Duration{250 * ms}, []time.Duration{700 * ms, 650 * ms}, false},
		{"more, but nothing anybody would notice", []time.Duration{10 * ms}, []time.Duration{100 * ms, 90 * ms}, false},
	} {
		if got := slower(c.before, c.during); got != c.want {
			t.Errorf("%s: %v to %v: slower is %v", c.claim, c.before, c.during, got)
		}
	}
}

// ClickHouse answers everything five seconds late for a while. Who sends events must not notice.
func TestExactSlowClickHouse(t *testing.T) {
	const late = 5 * time.Second
	up, p, direct := behindProxy(t)
	s := newProducer(t, up.Gateway)
	pace := func(d time.Duration) time.Duration {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if !s.send(10) {
				t.Error("the gateway refused events although only ClickHouse is slow")
			}
		}
		return s.late()
	}
	stretches := func(n int) (p99 []time.Duration) {
		for range n {
			p99 = append(p99, pace(late))
		}
		return p99
	}
	pace(time.Second) // the first requests open connections
	before := stretches(1)
	rss, _ := resident(t, up.cmd.Process.Pid)
	p.set(good, late)
	during := stretches(long(3, 24))
	grown, _ := resident(t, up.cmd.Process.Pid)
	p.set(good, 0)
	settle(t, dataFolder(t), direct...)
	t.Logf("p99 of 202: %v before, %v during; memory %d MiB before, %d MiB at the end of it", before, during, rss>>20, grown>>20)
	if slower(before, during) {
		t.Errorf("p99 went from %v to %v while ClickHouse was %v late", before, during, late)
	}
	if grown-rss > memoryFactor*128<<20 {
		t.Errorf("memory grew by %d MiB", (grown-rss)>>20)
	}
	judgeTable(t, up.Clickhouse, "behind", s.accepted, s.sent, s.hour).report(t, "ClickHouse answers 5 s late", 1)
	up.stop()
}

// ClickHouse is away while much comes in. The log grows, the memory must not: the second half of it may not cost memory
// in proportion to what is sent.
func TestExactClickHouseAway(t *testing.T) {
	t.Parallel()
	up, p, direct := behindProxy(t)
	s := newProducer(t, up.Gateway)
	s.filler = strings.Repeat("a filler of memo", 400) // 6.4 KB
	p.set(cut, 0)
	half := long[int64](40<<20, 1<<30)
	var rss [2]int64
	for i := range rss {
		for s.bytes < int64(i+1)*half {
			if !s.send(300) {
				t.Fatal("the gateway refused events although only ClickHouse is away")
			}
		}
		rss[i], _ = resident(t, up.cmd.Process.Pid)
	}
	t.Logf("memory %d MiB after %d MiB were sent, %d MiB after %d MiB", rss[0]>>20, half>>20, rss[1]>>20, s.bytes>>20)
	if rss[1]-rss[0] > memoryFactor*half/2 { // what was kept in memory would make it all of it; the collector alone moves it by a quarter
		t.Errorf("memory grew by %d MiB while %d MiB were sent", (rss[1]-rss[0])>>20, half>>20)
	}
	p.set(good, 0)
	settle(t, dataFolder(t), direct...)
	_, peak := resident(t, up.cmd.Process.Pid)
	t.Logf("memory %d MiB at most, the work afterwards included", peak>>20)
	if peak > memoryFactor*1<<30 {
		t.Errorf("the process took %d MiB, want at most 1024 as the README says", peak>>20)
	}
	judgeTable(t, up.Clickhouse, "behind", s.accepted, s.sent, s.hour).report(t, "ClickHouse away while the log grows", 1)
	up.stop()
}

// NATS is cut off, falls silent, or leaves connections behind that are dead without a word. The gateway says 503 and when
// to come back, it never says 202 for what is not in the log, and goes on when NATS is back.
func TestExactNATSAway(t *testing.T) {
	t.Parallel()
	rounds := long(1, 10)
	o := startOutside(t)
	p := startProxy(t, strings.TrimPrefix(o.nats, "nats://"))
	through := append(o.env(), "EARSHOT_NATS_URL=nats://"+p.addr())
	up := startUp(t, dataFolder(t), through...)
	s := newProducer(t, up.Gateway)
	faults := map[line]string{cut: "closed", held: "silent", half: "dead without a word"}
	for range rounds {
		for _, l := range []line{cut, held, half} {
			for range 20 {
				if !s.send(50) {
					t.Fatalf("refused while NATS is well: %s", up.log)
				}
			}
			refused := s.refused
			p.set(l, 0)
			eventually(t, "a 503 while connections to NATS are "+faults[l], func() bool { s.send(50); return s.refused > refused })
			p.set(good, 0)
			began := time.Now()
			eventually(t, "202 after connections to NATS were "+faults[l], func() bool { return s.send(50) })
			t.Logf("connections %s: accepted again after %v", faults[l], time.Since(began))
		}
	}
	settle(t, dataFolder(t), o.env()...)
	judgeTable(t, o.clickhouse, outsideDatabase, s.accepted, s.sent, s.hour).report(t, "NATS closed, silent, half-open", 3*rounds)
	up.stop()
}
