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

var seeds = flag.Int("seeds", 2000, "how many histories of the protocol's model to play")

// world is what all histories share.
type world struct {
	classifier *classify.Classifier
	keyer      *privacy.Keyer
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
	return &world{c, k}
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
			product, id = "poison", "p"+strconv.FormatUint(seq, 10)
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
		return New(Config{Log: i, Store: i, Classifier: w.classifier, Keyer: w.keyer, Logger: zerolog.Nop(), BatchRows: 7, InsightMaxAge: 30 * 24 * time.Hour}).Run(ctx)
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
	}
	m.land(true) // the last late insert lands before, or never
	if err := start(0); err != nil {
		return err
	}
	return m.halt
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
		if n != 1 {
			return fmt.Errorf("outcome %s was published %d times", id, n)
		}
		if strings.HasPrefix(id, m.epoch+"-") {
			dead++
		} else {
			insights++
		}
	}
	want, judge := 0, New(Config{InsightMaxAge: 30 * 24 * time.Hour}) // the events of September raise none, those of October do
	for _, row := range m.rows {
		if judge.actionable(&row) {
			want++
		}
	}
	if dead != h.dead || insights != want {
		return fmt.Errorf("%d dead letters and %d insights, want %d and %d", dead, insights, h.dead, want)
	}
	return nil
}

func (w *world) run(seed uint64, trust bool) (err error) {
	h := newHistory(rand.New(rand.NewPCG(seed, 2)))
	m := newModel(seed, h.records)
	m.trust = trust
	if err := w.play(m); err != nil {
		return err
	}
	return h.check(m)
}

// Whatever crashes, gets lost, lands late or races: every event of the log ends as one row, one counted duplicate or one
// dead letter, and every outcome is published once. Seeds that once failed are kept in testdata/seeds and played first.
func TestProtocolIsExactUnderEveryFaultOfTheModel(t *testing.T) {
	w := newWorld(t)
	kept, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	var list []uint64
	for _, f := range strings.Fields(string(kept)) {
		seed, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, seed)
	}
	for seed := range uint64(*seeds) {
		list = append(list, seed)
	}
	for _, seed := range list {
		var err error
		synctest.Test(t, func(*testing.T) { err = w.run(seed, false) })
		if err != nil {
			t.Fatalf("seed %d: %v (keep it: add %d to testdata/seeds)", seed, err, seed)
		}
	}
}

// The test above must be able to fail: without the read-back, histories lose rows.
func TestWithoutTheReadBackTheModelLosesRows(t *testing.T) {
	w := newWorld(t)
	bad := 0
	for seed := range uint64(200) {
		synctest.Test(t, func(*testing.T) {
			if w.run(seed, true) != nil {
				bad++
			}
		})
	}
	if bad == 0 {
		t.Fatal("200 histories without the read-back were all exact: the model does not test it")
	}
	t.Logf("%d of 200 histories are wrong without the read-back", bad)
}
