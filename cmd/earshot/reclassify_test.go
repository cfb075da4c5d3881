package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

// The process is killed at every boundary of every write there is (the short form takes the first of each kind and every fifth),
// one run after the other, while events come in and readers read; a second run ends what the first began. Some runs go back
// instead.
func TestReclassifyUnderKillAtEveryBoundary(t *testing.T) {
	t.Parallel() // much of it is waiting
	b := startBusy(t, 300)
	kinds := []string{"Note", "Insert", "SetLive", "Save", "hold", "fence", "release"}
	rounds, ended, at := 0, map[bool]bool{}, map[string]int{}
	for i := 1; !ended[true] || !ended[false]; i++ {
		k := fmt.Sprint(i)
		if i <= len(kinds) {
			k = long(kinds[i-1], k)
		} else {
			k = long(fmt.Sprint(5*(i-len(kinds))), k)
		}
		for _, back := range []bool{false, true} {
			if ended[back] || back && i%3 > 0 {
				continue
			}
			var args []string
			if back {
				args = []string{"--rollback"}
			}
			b.round()
			cmd := reclassifyCmd(t, b.dir, "rows=500,kill="+k, args...)
			_, stderr, code := output(t, cmd)
			switch {
			case code == 0:
				ended[back] = true
				continue
			case code != -1:
				t.Fatalf("kill at boundary %s: code %d: %s", k, code, stderr)
			}
			rounds++
			_, name, _ := strings.Cut(stderr, killedAt)
			at[name]++
			if i%5 == 0 { // and once more on the way to the end
				output(t, reclassifyCmd(t, b.dir, fmt.Sprintf("rows=500,kill=%d", 4+i/5), args...))
			}
			r := done(t, b.dir, "rows=500", args...)
			live, err := b.query("SELECT count(), uniqExact(shard, seq) FROM feedback WHERE generation = " + fmt.Sprint(r.Live))
			var rows, places int
			fmt.Sscan(live, &rows, &places)
			if err != nil || rows != places || rows < 300 {
				t.Fatalf("after a kill at boundary %s generation %d has %s rows and sequences (%v)", k, r.Live, live, err)
			}
			if t.Failed() {
				t.Fatalf("after a kill at boundary %s", k)
			}
		}
		if i%6 == 0 {
			done(t, b.dir, "rows=500")
			done(t, b.dir, "rows=500", "--prune", "--grace", "0s")
			done(t, b.dir, "rows=500") // so that there is a generation to go back to
		}
	}
	events := b.quiet()
	b.counted(events)
	checkInsights(t, b.Nats, events)
	for _, name := range kinds {
		if at[name] == 0 {
			t.Errorf("no process was killed before %s", name)
		}
	}
	if rounds < long(12, 20) || b.looks < 2*rounds || len(b.seen) < long(6, 12) {
		t.Errorf("%d kills, %d looks at %d generations: the test proves little", rounds, b.looks, len(b.seen))
	}
	t.Logf("%d kills (%v), %d looks at %d generations", rounds, at, b.looks, len(b.seen))
	t.Attr("exact", fmt.Sprintf("kill -9 of a reclassification at every boundary of a write | %d | %d | 0 | 0", rounds, events))
	b.stop()
}

// A switch whose process is gone is finished by the node, running or started again, by itself.
func TestReclassifySwitchIsFinishedByTheNode(t *testing.T) {
	t.Parallel() // much of it is waiting
	b := startBusy(t, 200)
	rounds := 0
	for _, at := range []string{"fence", "release"} {
		for _, restart := range []bool{false, true} {
			b.round()
			if _, _, code := output(t, reclassifyCmd(t, b.dir, "kill="+at)); code != -1 {
				t.Fatalf("the process was not killed at %s", at)
			}
			rounds++
			if restart {
				b.quiet()
				b.kill()
				b.again()
			}
			want := fmt.Sprint(1 + rounds)
			for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				got, err := b.query("SELECT any(generation) FROM feedback_current")
				if err == nil && got == want && released(t, b.dir) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("killed at %s, restarted %v: the views show generation %s (%v), want %s", at, restart, got, err, want)
				}
			}
		}
	}
	events := b.quiet()
	b.counted(events)
	checkInsights(t, b.Nats, events)
	t.Attr("exact", fmt.Sprintf("kill -9 in the middle of a switch, finished by the node | %d | %d | 0 | 0", rounds, events))
	b.stop()
}

// A node is killed while it stores; what it left open is finished, and the switch made, by the command alone, which is
// killed as well; a later node goes on from there.
func TestReclassifyWithoutANode(t *testing.T) {
	t.Parallel() // much of it is waiting
	b := startBusy(t, 200)
	const rounds = 4
	for round := range rounds {
		b.round()
		time.Sleep(time.Duration(20+35*round) * time.Millisecond)
		b.dying.Store(true)
		b.kill()
		b.quiet()
		if _, stderr, code := output(t, reclassifyCmd(t, b.dir, fmt.Sprintf("rows=500,kill=%d", 5+4*round))); code != -1 {
			t.Fatalf("round %d: the command was not killed but ended with %d: %s", round, code, stderr)
		}
		if r := done(t, b.dir, "rows=500"); r.Live != uint32(round+2) {
			t.Fatalf("round %d: %+v", round, r)
		}
		b.again()
	}
	b.quiet()
	b.send(7) // what the last kill cut off may be stored: sent again, it is among those that are counted
	events := b.sent
	b.counted(events)
	checkInsights(t, b.Nats, events)
	t.Attr("exact", fmt.Sprintf("kill -9 of the node, then of a reclassification without one | %d | %d | 0 | 0", 2*rounds, events))
	b.stop()
}

// released says whether nothing is under way: then, and only then, there is nothing to give up and that is no error.
func released(t *testing.T, dir string) bool {
	_, _, code := output(t, reclassifyCmd(t, dir, "rows=1", "--discard"))
	return code == 0
}

// Another classifier: the matrix says what changed, to the row; a half-built generation changes nothing; a build of another
// classifier is not mixed into this one's; the way back is exact; what is dropped is gone.
func TestReclassifyComparesSwitchesAndGoesBack(t *testing.T) {
	t.Parallel() // much of it is waiting
	dir := dataFolder(t)
	b := &busy{running: startUp(t, dir, "EARSHOT_SHARDS=2"), t: t, dir: dir}
	texts := []string{"Parcel arrived crushed and nobody answered.", "Lovely shop, thank you.", "How do I return this?", "Quality is great."}
	send := func(lo, hi int) {
		var body bytes.Buffer
		for i := lo; i < hi; i++ {
			body.WriteString("[,"[min(i-lo, 1):][:1] + event(fmt.Sprint(i), fmt.Sprintf("%s %d", texts[i%len(texts)], i)))
		}
		body.WriteByte(']')
		if code, _, err := post(b.Gateway+"/v1/events", batchType, body.Bytes()); err != nil || code != http.StatusAccepted {
			t.Fatal(code, err)
		}
	}
	look := func(sql string) string {
		t.Helper()
		got, err := b.query(sql)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const all = "SELECT count(), sum(cityHash64(formatRow('TSV', * EXCEPT (generation, digest)))), sum(score) FROM feedback_current"
	send(0, 400)
	b.counted(400)
	before := look(all)

	dry := done(t, dir, "flip", "--dry-run")
	if look("SELECT count() FROM feedback") != "400" || look("SELECT count() FROM generations") != "0" {
		t.Error("the dry run wrote something")
	}
	half := done(t, dir, "flip,rows=90", "--no-switch")
	if half.To != 2 || half.Live != 1 || look(all) != before {
		t.Errorf("a generation that is built and not switched to: %+v", half)
	}
	b.counted(400) // with a generation beside the live one
	joined := map[schemas.Relabelled]bool{}
	for _, axis := range []string{"polarity", "intent", "element"} {
		rows := look("SELECT a." + axis + ", b." + axis + ", count() FROM feedback AS a JOIN feedback AS b USING (epoch, shard, seq) WHERE a.generation = 1 AND b.generation = 2 GROUP BY 1, 2 FORMAT CSV")
		for line := range strings.Lines(rows) {
			f := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `"`, ""), ",")
			r := schemas.Relabelled{Axis: axis, Was: f[0], Is: f[1]}
			fmt.Sscan(f[2], &r.Rows)
			joined[r] = true
		}
	}
	flips := uint64(0)
	for i, l := range half.Labels {
		if !joined[l] || dry.Labels[i] != l {
			t.Errorf("the matrix has %+v, the tables have %v, the dry run %+v", l, joined, dry.Labels[i])
		}
		if l.Axis == "polarity" && l.Was != l.Is {
			flips += l.Rows
		}
	}
	if len(joined) != len(half.Labels) || flips < 200 {
		t.Errorf("%d cells in the matrix, %d in the tables, %d polarities flipped", len(half.Labels), len(joined), flips)
	}

	// The program's own classifier takes the place of the flipped one: what that one built is not taken over.
	stdout, stderr, code := output(t, reclassifyCmd(t, dir, "rows=90", "--no-switch"))
	if code != 0 || !strings.Contains(stderr, "dropped") || look("SELECT groupUniqArray(generation) FROM feedback WHERE generation > 1") != "[3]" {
		t.Errorf("another classifier: code %d, %s%s", code, stdout, stderr)
	}
	done(t, dir, "rows=90", "--discard")

	switched := done(t, dir, "flip,rows=90")
	if switched.Live != 4 || look("SELECT groupUniqArray(model), count() FROM feedback_current") != "['flipped-1']\t400" {
		t.Errorf("after the switch: %+v", switched)
	}
	send(350, 500) // 50 of them known; the node's own classifier labels the others
	b.counted(500)
	if back := done(t, dir, "rows=90", "--rollback"); back.Live != 1 {
		t.Errorf("after the rollback: %+v", back)
	}
	b.counted(500)
	if got := look(strings.Replace(all, "feedback_current", "feedback_current WHERE toUInt32(source_event_id) < 400", 1)); got != before {
		t.Errorf("the rows from before the switch are %s, were %s", got, before)
	}
	send(450, 600)
	b.counted(600)
	if again := done(t, dir, "rows=90", "--rollback"); again.Live != 4 { // and back to where it was
		t.Errorf("after a rollback of the rollback: %+v", again)
	}
	b.counted(600)
	if dropped := done(t, dir, "", "--prune").Dropped; len(dropped) > 0 {
		t.Errorf("within the grace %v were dropped", dropped)
	}
	if dropped := done(t, dir, "", "--prune", "--grace", "0s").Dropped; len(dropped) != 1 || dropped[0] != 1 {
		t.Errorf("%v were dropped, want 1", dropped)
	}
	if got := look("SELECT groupUniqArray(partition_id LIKE '4-%') FROM system.parts WHERE active AND table = 'feedback' AND database = currentDatabase()"); got != "[1]" {
		t.Errorf("partitions of other generations are left")
	}
	if _, stderr, code := output(t, reclassifyCmd(t, dir, "", "--rollback")); code != 1 || !strings.Contains(stderr, "no former generation") {
		t.Errorf("a rollback to what was dropped: code %d, %s", code, stderr)
	}
	b.counted(600)
	t.Attr("exact", "reclassify, roll back and forth, prune | 1 | 600 | 0 | 0")
	b.stop()
}

// Of two processes one works. One that is stopped for a while and goes on after another has taken its place does no harm.
func TestReclassifyByTwoProcesses(t *testing.T) {
	t.Parallel() // much of it is waiting
	b := startBusy(t, 300)
	rounds := 0
	for _, at := range []string{"Insert", "fence", "SetLive", "release"} {
		b.round()
		zombie := reclassifyCmd(t, b.dir, "rows=100,stop="+at)
		var said lockedBuffer
		zombie.Stdout, zombie.Stderr = &said, &said
		if err := zombie.Start(); err != nil {
			t.Fatal(err)
		}
		for state := ""; state != "T"; state = processState(t, zombie.Process.Pid) {
			if state == "Z" {
				t.Fatalf("it ended before it came to %s: %s", at, &said)
			}
			time.Sleep(10 * time.Millisecond)
		}
		done(t, b.dir, "rows=100") // it does not answer, so its place is taken
		zombie.Process.Signal(syscall.SIGCONT)
		err := zombie.Wait()
		if at != "release" && err == nil && !strings.Contains(said.String(), "live") {
			t.Errorf("stopped at %s it ended well after another had taken its place: %s", at, &said)
		}
		rounds++
		done(t, b.dir, "rows=100") // whatever the zombie left
		if t.Failed() {
			t.Fatalf("after one stopped at %s, which said: %s", at, &said)
		}
	}
	events := b.quiet()
	b.counted(events)
	checkInsights(t, b.Nats, events)
	t.Attr("exact", fmt.Sprintf("a reclassification stopped, replaced, and going on | %d | %d | 0 | 0", rounds, events))

	// One that is alive is left alone. It is stopped by nobody; its range is just small.
	first := reclassifyCmd(t, b.dir, "rows=1")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { first.Process.Kill(); first.Wait() }()
	for {
		_, stderr, code := output(t, reclassifyCmd(t, b.dir, "rows=100", "--discard"))
		if code == 1 && strings.Contains(stderr, "another process is at work") {
			break
		}
		if code != 0 {
			t.Fatalf("beside one that is alive: code %d, %s", code, stderr)
		}
	}
}

// processState is the letter by which the system knows what a process does: T is stopped, Z is ended.
func processState(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}
