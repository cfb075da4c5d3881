package worker

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
)

var seeds = flag.Int("seeds", 10_000, "how many histories of the protocol's model to play")

// world is what all histories share.
type world struct {
	classifier *classify.Classifier
	keyer      *privacy.Keyer
	log        zerolog.Logger
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	k, err := privacy.NewKeyer([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return &world{c, k, zerolog.Nop()}
}

// history is a generated log and what must become of it.
type history struct {
	records                     []schemas.Record
	stored                      map[string]uint64 // sequence of the first occurrence by id
	duplicates, dead, outcomes  int
	outcomesOfRows, deadLetters int
}

// newHistory makes a log of events of two months, with duplicates, malformed ones and ones that the table refuses.
func newHistory(rng *rand.Rand) *history {
	h := &history{stored: map[string]uint64{}}
	n := 5 + rng.IntN(40)
	ids := 0
	for seq := uint64(1); seq <= uint64(n); seq++ {
		id, product, text := strconv.Itoa(ids), "", "The parcel arrived crushed and nobody answered."
		switch k := rng.IntN(12); {
		case k < 3 && ids > 0: // sent again
			id = strconv.Itoa(rng.IntN(ids))
		case k == 3:
			h.dead++
			h.records = append(h.records, schemas.Record{Seq: seq, Time: epochStart, Data: []byte(`{"broken":`)})
			continue
		case k == 4:
			product, id = "poison", "p"+strconv.FormatUint(seq/9, 10) // now and then the same again: no duplicate, since nothing of it is stored
			h.dead++
		default:
			ids++
			if rng.IntN(2) == 0 {
				text = "Lovely shop, thank you."
			}
		}
		if product == "" {
			if _, again := h.stored[id]; again {
				h.duplicates++
			} else {
				h.stored[id] = seq
			}
		}
		body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/m","type":"feedback.received.v1","time":"2026-%02d-15T08:00:00Z","tenantid":"t","data":{"channel":"support","value_text":%q,"product_id":%q}}`,
			id, 9+rng.IntN(2), text, product)
		h.records = append(h.records, schemas.Record{Seq: seq, Time: epochStart, Data: []byte(body)})
	}
	return h
}

var epochStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// play runs workers over the model until the log is used up: first ones that meet faults, crashes and each other, then
// one that meets none. It returns a halt, which no history may lead to.
func (w *world) play(m *model) error {
	start := func(faults int) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		i := &instance{m: m, cancel: cancel}
		m.mu.Lock()
		if faults >= 0 {
			m.faults = faults
		}
		m.mu.Unlock()
		var by Classifier = w.classifier
		if m.fickle {
			m.sessions++
			by = fickle{w.classifier, m.sessions}
		}
		return New(Config{Log: i, Store: i, Classifier: by, Keyer: w.keyer, Logger: w.log, BatchRows: 7, InsightMaxAge: 30 * 24 * time.Hour}).Run(ctx)
	}
	m.meddle = func() {
		if err := start(-1); err != nil {
			m.halt = err
		}
	}
	for range 6 {
		if err := start(4); err != nil {
			return err
		}
		if m.forget > 0 && m.rng.IntN(3) == 0 {
			m.forget--
			m.loseLedger()
		}
	}
	m.land(true) // the last late insert lands before, or never
	if err := start(0); err != nil {
		return err
	}
	return m.halt
}

// fickle is a classifier that says something else in every session, as one does that asks a model elsewhere.
type fickle struct {
	Classifier
	session uint64
}

func (f fickle) Classify(in classify.Input) schemas.Labels {
	l := f.Classifier.Classify(in)
	rng := rand.New(rand.NewPCG(f.session, uint64(len(in.Text))))
	l.Model, l.ResponseNeeded, l.Intent = fmt.Sprint("session-", f.session), rng.IntN(2) == 0, schemas.Complaint
	return l
}

// check holds the world against the history.
func (h *history) check(m *model) error {
	cp := m.ledger.Checkpoint
	if cp == nil || cp.Hi != uint64(len(h.records)) || cp.Outcomes != 0 {
		return fmt.Errorf("the checkpoint is %+v, want the end of the log, %d", cp, len(h.records))
	}
	if m.double > 0 {
		return fmt.Errorf("%d rows were written twice", m.double)
	}
	if len(m.rows) != len(h.stored) {
		return fmt.Errorf("%d rows, want %d", len(m.rows), len(h.stored))
	}
	for id, seq := range h.stored {
		if row, ok := m.rows[seq]; !ok || row.Event.ID != id {
			return fmt.Errorf("event %s is not stored at its first sequence, %d", id, seq)
		}
	}
	if cp.Stored != uint64(len(h.stored)) || cp.Duplicates != uint64(h.duplicates) || cp.Dead != uint64(h.dead) {
		return fmt.Errorf("counted %d stored, %d duplicates, %d dead; want %d, %d, %d", cp.Stored, cp.Duplicates, cp.Dead, len(h.stored), h.duplicates, h.dead)
	}
	dead, insights := 0, 0
	for id, n := range m.outcomes {
		if n != 1 && !(m.forgot && strings.HasPrefix(id, m.epoch+"-")) { // a lost dead letter is written again

			return fmt.Errorf("outcome %s was published %d times", id, n)
		}
		if strings.HasPrefix(id, m.epoch+"-") {
			dead++
		} else {
			insights++
		}
	}
	for _, row := range m.rows {
		if body, ok := m.bodies[fmt.Sprintf("%s-g%d", row.ID, row.Generation)]; ok && !strings.Contains(body, fmt.Sprintf("%q", row.Labels.Model)) {
			return fmt.Errorf("the insight of sequence %d has other labels than its row, of %s: %s", row.Seq, row.Labels.Model, body)
		}
	}
	want, judge := 0, New(Config{InsightMaxAge: 30 * 24 * time.Hour}) // the events of September raise none, those of October do
	for _, row := range m.rows {
		if judge.actionable(&row) {
			want++
		}
	}
	if m.forgot && insights < want { // what may have been raised before the ledger was lost is not raised again
		want = insights
	}
	if dead != h.dead || insights != want {
		return fmt.Errorf("%d dead letters and %d insights, want %d and %d", dead, insights, h.dead, want)
	}
	return nil
}

// peril is what beside crashes and lost answers a history may hold.
type peril struct {
	trust  bool // nothing is read back
	blank  bool // checkpoints bear no marks of what was committed last
	cuts   int  // power cuts of the table's machine
	forget int  // losses of the ledger, or of half of it
	fickle bool // every session gives the same texts other labels
}

// run plays one history. It returns how many rows power cuts took meanwhile.
func (w *world) run(seed uint64, p peril) (lost int, err error) {
	h := newHistory(rand.New(rand.NewPCG(seed, 2)))
	m := newModel(seed, h.records)
	m.trust, m.blank, m.cuts, m.forget, m.fickle = p.trust, p.blank, p.cuts, p.forget, p.fickle
	if err := w.play(m); err != nil {
		return m.lost, err
	}
	return m.lost, h.check(m)
}

// Whatever crashes, gets lost, lands late or in part, is taken back by a power cut or races: every event of the log ends
// as one row, one counted duplicate or one dead letter, and every outcome is published once. Seeds that once failed are
// kept in testdata/seeds and played first.
func TestExactUnderEveryFaultOfTheModel(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	var kept []uint64
	for _, f := range strings.Fields(string(text)) {
		seed, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, seed)
	}
	list := kept
	for seed := range uint64(*seeds) {
		list = append(list, seed)
	}
	for _, c := range []struct {
		name  string
		share int // one of so many histories is played, so that all of it takes less than a minute
		peril peril
	}{
		{"crashes, lost answers, late and torn inserts, rivals", 1, peril{}},
		{"the same and power cuts that take back acknowledged parts", 4, peril{cuts: 2}},
		{"the same and the ledger, or half of it, lost", 8, peril{forget: 1}},
		{"crashes and rivals with a classifier that says something else in every session", 8, peril{fickle: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lost, events int
			list := list[:len(kept)+*seeds/c.share]
			for _, seed := range list {
				var n int
				var err error
				synctest.Test(t, func(*testing.T) { n, err = w.run(seed, c.peril) })
				if err != nil {
					t.Fatalf("seed %d: %v (keep it: add %d to testdata/seeds)", seed, err, seed)
				}
				lost += n
				events += len(newHistory(rand.New(rand.NewPCG(seed, 2))).records)
			}
			if (c.peril.cuts > 0) != (lost > 0) {
				t.Errorf("power cuts took %d rows: the model does not play them", lost)
			}
			t.Logf("%d histories, %d events; power cuts took back %d rows, all of which came again", len(list), events, lost)
			t.Attr("exact", fmt.Sprintf("model: %s | %d | %d | 0 | 0", c.name, len(list), events))
		})
	}
}

// The test above must be able to fail: without the read-back, and without the marks, histories lose rows.
func TestExactModelLosesRowsWithoutItsGuards(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		without string
		peril   peril
	}{
		{"the read-back", peril{trust: true}},
		{"the marks of what was committed last", peril{blank: true, cuts: 2}},
	} {
		bad := 0
		for seed := range uint64(200) {
			synctest.Test(t, func(*testing.T) {
				if _, err := w.run(seed, c.peril); err != nil {
					bad++
				}
			})
		}
		if bad == 0 {
			t.Errorf("200 histories without %s were all exact: the model does not test it", c.without)
		}
		t.Logf("%d of 200 histories are wrong without %s", bad, c.without)
	}
}
