package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/deadletter"
)

func TestAReplayedLetterIsInTheLogOnceAsItWas(t *testing.T) {
	w := newWorld(t, 1)
	header := map[string]string{"content-type": "x/y", "X-Own": "kept"}
	ids := w.die(append(broken(2), death{tenant: "t", channel: "web", reason: schemas.ReasonParse, header: header, data: "\xff\x00"})...)
	for round := range 3 {
		got, err := w.replay(w.config(), deadletter.Filter{})
		w.must(err)
		if want := fmt.Sprint([]map[string]int{{"replayed": 3}, {}, {}}[round]); fmt.Sprint(got) != want {
			t.Errorf("replay number %d: %v, want %s", round+1, got, want)
		}
	}
	rs := w.again(0)
	if len(rs) != 3 {
		t.Fatalf("%d messages were replayed, want 3", len(rs))
	}
	for i, l := range w.list(deadletter.Filter{}) {
		if l.State != deadletter.Replayed || l.Again.Seq != rs[i].Seq || l.Again.Epoch != w.name[0] || rs[i].Header[schemas.HeaderReplay] != ids[i].String() {
			t.Errorf("letter %d says %s as %v; the log has it at %d with %v", i, l.State, l.Again, rs[i].Seq, rs[i].Header)
		}
	}
	last := rs[2]
	delete(last.Header, schemas.HeaderReplay)
	if !bytes.Equal(last.Data, []byte("\xff\x00")) || fmt.Sprint(last.Header) != fmt.Sprint(header) || last.Subject != "feedback.0.t.web.feedback.received" {
		t.Errorf("replayed as %s %v %q", last.Subject, last.Header, last.Data)
	}
}

// cut is a box's surroundings that fail at one call, before or after it was carried out, as a crash would.
type cut struct {
	*world
	call  string // "swap 1", "publish 1", …
	after bool
	calls map[string]int
}

var errCut = errors.New("cut off")

func (c *cut) step(name string, do func() error) error {
	c.calls[name]++
	here := fmt.Sprint(name, " ", c.calls[name]) == c.call
	if here && !c.after {
		return errCut
	}
	if err := do(); err != nil || !here {
		return err
	}
	return errCut
}

func (c *cut) Check(m *schemas.Message) error { return c.log.Check(m) }

func (c *cut) Publish(ctx context.Context, msgs []schemas.Message) error {
	return c.step("publish", func() error { return c.log.Publish(ctx, msgs) })
}

func (c *cut) Swap(ctx context.Context, entries []schemas.Entry) (seq uint64, err error) {
	err = c.step("swap", func() error { seq, err = c.swap(ctx, entries); return err })
	return seq, err
}

// A replay is cut off at every step, before it and after it, and then called again: each event is in the log once, although
// nothing in it tells it from the others.
func TestWhereverAReplayIsCutOffItEndsOnce(t *testing.T) {
	for _, call := range []string{"swap 1", "publish 1", "swap 2"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after %v", call, after), func(t *testing.T) {
				w := newWorld(t, 1)
				w.die(broken(5)...)
				c := &cut{world: w, call: call, after: after, calls: map[string]int{}}
				cfg := w.config()
				cfg.Log, cfg.Swap = c, c.Swap
				if _, err := w.replay(cfg, deadletter.Filter{}); !errors.Is(err, errCut) {
					t.Fatalf("it was to be cut off, but ended with %v", err)
				}
				if got, err := w.replay(w.config(), deadletter.Filter{}); err != nil || (call != "swap 1" || after) && got["replayed"] > 0 {
					t.Errorf("at once after the cut: %v %v; want letters in another's hands left alone", got, err)
				}
				cfg = w.config()
				cfg.Hold = time.Nanosecond
				for range 2 {
					if got, err := w.replay(cfg, deadletter.Filter{}); err != nil {
						t.Errorf("after the cut: %v %v", got, err)
					}
				}
				if rs := w.again(0); len(rs) != 5 {
					t.Errorf("%d messages were replayed, want each of 5 once", len(rs))
				}
				for _, l := range w.list(deadletter.Filter{}) {
					if l.State != deadletter.Replayed {
						t.Errorf("%s is %s", l.ID, l.State)
					}
				}
			})
		}
	}
}

func TestReplaysAtTheSameTimeSendEachLetterOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.die(broken(60)...)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := w.replay(w.config(), deadletter.Filter{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if rs := w.again(0); len(rs) != 60 {
		t.Errorf("%d messages were replayed, want each of 60 once", len(rs))
	}
	if open := w.list(deadletter.Filter{States: []deadletter.State{deadletter.Open, deadletter.Replaying}}); len(open) > 0 {
		t.Errorf("%d letters were left over", len(open))
	}
}

// held is a log whose replay is held up between its claim and its sending, for longer than it is waited for.
type held struct {
	*stream.Publisher
	meanwhile func()
}

func (h held) Publish(ctx context.Context, msgs []schemas.Message) error {
	h.meanwhile()
	return h.Publisher.Publish(ctx, msgs)
}

// Somebody discards the letter while its replay is held up; the event gets into the log all the same. What is in the log
// counts: the letter says so.
func TestAHeldUpReplayCorrectsWhatWasDecidedMeanwhile(t *testing.T) {
	w := newWorld(t, 1)
	w.die(broken(1)...)
	impatient := w.config()
	impatient.Hold = time.Nanosecond
	cfg := w.config()
	cfg.Log = held{w.log, func() {
		w.must(deadletter.New(impatient).Discard(w.ctx, deadletter.Filter{}, func(l *deadletter.Letter, err error) {
			if l.State != deadletter.Discarded || err != nil {
				t.Errorf("the letter is %s (%v), want discarded", l.State, err)
			}
		}))
	}}
	got, err := w.replay(cfg, deadletter.Filter{})
	if err != nil || got["replayed"] != 1 {
		t.Errorf("the held up replay: %v %v", got, err)
	}
	if l := w.list(deadletter.Filter{})[0]; l.State != deadletter.Replayed || l.Again.Seq != 2 {
		t.Errorf("the letter is %s as %v, want replayed as the second message", l.State, l.Again)
	}
}

// Replays of more letters than go at a time.
func TestManyLettersAreReplayed(t *testing.T) {
	w := newWorld(t, 1)
	const n = 600
	for i := range n {
		h := nats.Header{schemas.HeaderOutcomeID: {fmt.Sprintf("%s-0-%d", w.name[0], i+1)}, schemas.HeaderSubject: {fmt.Sprintf("feedback.0.t%d.web.k", i%100)}}
		if _, err := w.js.PublishMsgAsync(&nats.Msg{Subject: schemas.DeadSubject(0, schemas.ReasonParse), Header: h, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
	for _, want := range []int{n, 0} {
		if got, err := w.replay(w.config(), deadletter.Filter{}); err != nil || got["replayed"] != want {
			t.Fatalf("%v %v, want %d replayed", got, err, want)
		}
	}
	if seqs, err := deadletter.New(w.config()).Sequences(w.ctx, w.name[0], 0); err != nil || len(seqs) != n || seqs[0] != 1 || seqs[n-1] != n {
		t.Errorf("sequences: %d, %v", len(seqs), err)
	}
	if rs := w.again(0); len(rs) != n {
		t.Errorf("%d messages were replayed, want %d", len(rs), n)
	}
}
