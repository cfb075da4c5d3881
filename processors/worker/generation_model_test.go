package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/schemas"
)

// generations is what a reclassification adds to the model: its record, and what the store says is live.
type generations struct {
	rec    schemas.Generations
	recSeq uint64
	live   uint32
	swaps  int
}

// waiting crashes a worker that has found its shard held for long: nobody else runs meanwhile who could release it.
func (i *instance) waiting() error {
	if cp := i.m.ledger.Checkpoint; cp == nil || cp.Moving == 0 {
		i.held = 0
		return nil
	}
	if i.held++; i.held > 40 {
		return i.crash()
	}
	return nil
}

// recordOf is the record as one process sees it.
type recordOf struct{ *instance }

func (i recordOf) Load(context.Context) (schemas.Generations, uint64, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if err := i.step(); err != nil {
		return schemas.Generations{}, 0, err
	}
	return cloned(i.m.rec), i.m.recSeq, nil
}

func (i recordOf) Save(_ context.Context, r schemas.Generations, expect uint64) (uint64, error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return 0, err
	}
	if m.recSeq != expect {
		return 0, schemas.ErrLost
	}
	fault := m.fault(3)
	switch fault {
	case 1:
		return 0, i.crash()
	case 2:
		return 0, errors.New("no answer; not stored")
	}
	m.seq++
	m.rec, m.recSeq = cloned(r), m.seq
	if fault == 3 {
		return 0, i.crash()
	}
	return m.seq, nil
}

func (i recordOf) Alive(context.Context, string) (bool, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	return i.m.faults > 0 && i.m.rng.IntN(4) == 0, nil
}

// cloned is a record that shares nothing with another, as one that was sent and received.
func cloned(r schemas.Generations) schemas.Generations {
	if r.Change != nil {
		c := *r.Change
		c.Places = append([]schemas.Place(nil), c.Places...)
		c.Labels = append([]schemas.Relabelled(nil), c.Labels...)
		if c.Plan != nil {
			p := *c.Plan
			p.Parts = append([]schemas.Part(nil), p.Parts...)
			c.Plan = &p
		}
		r.Change = &c
	}
	return r
}

func (i *instance) Rows(_ context.Context, r schemas.Range, most, _ int) (rows []schemas.Row, reached uint64, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, 0, err
	}
	for seq := r.Lo; seq <= min(r.Hi, uint64(len(m.records))); seq++ {
		row, ok := m.rows[at(r.Generation, seq)]
		if !ok {
			continue
		}
		if rows = append(rows, row); len(rows) == most && seq < r.Hi {
			return rows, seq, nil
		}
	}
	return rows, r.Hi, nil
}

func (i *instance) Places(_ context.Context, generation uint32) (out []schemas.Place, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, err
	}
	p := schemas.Place{Epoch: m.epoch}
	for _, row := range m.rows {
		if row.Generation == generation {
			p.Hi, p.Rows = max(p.Hi, row.Seq), p.Rows+1
		}
	}
	if p.Rows > 0 {
		out = append(out, p)
	}
	return out, nil
}

func (i *instance) Count(_ context.Context, generation uint32, _ string, _ int, upTo uint64) (rows, distinct uint64, err error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	n := uint64(len(i.m.in(schemas.Range{Generation: generation, Hi: upTo})))
	return n, n, i.step()
}

func (i *instance) Delete(_ context.Context, r schemas.Range) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	for _, row := range m.in(r) {
		delete(m.rows, at(row.Generation, row.Seq))
	}
	return nil
}

func (i *instance) Generations(context.Context) (out []uint32, err error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	seen := map[uint32]bool{}
	for _, row := range i.m.rows {
		seen[row.Generation] = true
	}
	for g := uint32(1); g < 100; g++ {
		if seen[g] {
			out = append(out, g)
		}
	}
	return out, i.step()
}

func (i *instance) Drop(_ context.Context, generation uint32) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	for place, row := range m.rows {
		if row.Generation == generation {
			delete(m.rows, place)
		}
	}
	for token := range m.tokens { // the table forgets the tokens with the partition
		if strings.HasPrefix(token, fmt.Sprintf("%s-0-%d-", m.epoch, generation)) {
			delete(m.tokens, token)
		}
	}
	return nil
}

func (i *instance) Note(context.Context, uint32, string, string) error {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	return i.step()
}

func (i *instance) Live(context.Context) (uint32, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	return max(i.m.live, 1), i.step()
}

func (i *instance) SetLive(_ context.Context, generation uint32) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	if m.fault(2) == 1 {
		return i.crash()
	}
	if m.live != generation {
		m.swaps++
	}
	m.live = generation
	return nil
}

// named is a classifier under another name: its generations are not taken up by one of the first name.
type named struct {
	Labeller
	name string
}

func (n named) Model() string { return n.name }

func (n named) Classify(in classify.Input) schemas.Labels {
	l := n.Labeller.Classify(in)
	l.Model, l.ChurnRisk = n.name, 0.25
	return l
}

// mover runs a reclassification, a rollback, a prune, or what a node does about a switch that was cut off. It returns what
// no history may lead to.
func (w *world) mover(m *model, faults, what int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	i := &instance{m: m, cancel: cancel}
	m.mu.Lock()
	if faults >= 0 {
		m.faults = faults
	}
	m.seq++
	owner := fmt.Sprint("owner-", m.seq)
	m.mu.Unlock()
	base := Config{Log: i, Store: i, Classifier: w.classifier, Keyer: w.keyer, Logger: zerolog.Nop(), BatchRows: 7, InsightMaxAge: 30 * 24 * time.Hour}
	r := NewReclassifier(ReclassifyConfig{
		Record: recordOf{i}, Table: i, Shards: []Log{i}, Owner: owner, Logger: zerolog.Nop(), BatchRows: 5, Alone: true,
		Labeller: named{w.classifier, fmt.Sprint("model-", what%2)},
		Settle:   func(ctx context.Context, _ int) error { return New(base).Settle(ctx) },
	})
	var err error
	switch what {
	case 0, 1, 2, 3:
		if _, err = r.Finish(ctx); err == nil {
			if err = r.Build(ctx); err == nil && what < 3 {
				err = r.Switch(ctx)
			}
		}
	case 4, 5:
		if err = r.Return(ctx); err == nil {
			err = r.Switch(ctx)
		}
	case 6:
		_, err = r.Prune(ctx, time.Now(), 0)
	case 7:
		err = r.Discard(ctx)
	default:
		_, err = r.Finish(ctx)
	}
	var halt *HaltError
	if errors.As(err, &halt) || err != nil && (strings.Contains(err.Error(), "reconcile") || faults == 0 && what > 7) {
		return fmt.Errorf("mover %d: %w", what, err)
	}
	return nil
}

// playGenerations runs workers and movers over the model, against each other, and then to a quiet end.
func (w *world) playGenerations(m *model) error {
	worker := func(faults int) error {
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
	any := func(faults int) error {
		m.mu.Lock()
		what := m.rng.IntN(15)
		m.mu.Unlock()
		if what < 9 {
			return w.mover(m, faults, what)
		}
		return worker(faults)
	}
	m.meddle = func() {
		if err := any(-1); err != nil {
			m.halt = err
		}
	}
	for range 8 {
		if err := any(4); err != nil {
			return err
		}
	}
	m.land(true)
	for _, last := range []func() error{
		func() error { return w.mover(m, 0, 8) }, // the node's
		func() error { return worker(0) },
	} {
		if err := last(); err != nil {
			return err
		}
	}
	return m.halt
}

// checkGenerations holds every generation that is kept against the history.
func (h *history) checkGenerations(m *model) error {
	live := max(m.live, 1)
	cp := m.ledger.Checkpoint
	if cp == nil || cp.Generation != live || cp.Moving != 0 || m.recSeq > 0 && m.rec.Live != live {
		return fmt.Errorf("generation %d is live, the checkpoint is %+v, the record %+v", live, cp, m.rec)
	}
	all := m.rows
	m.rows = map[uint64]schemas.Row{}
	for _, row := range all {
		switch {
		case row.Generation == live:
			m.rows[row.Seq] = row
		case row.Generation == m.rec.Previous:
			if seq, ok := h.stored[row.Event.ID]; !ok || seq != row.Seq {
				return fmt.Errorf("the generation that is kept has %s at %d", row.Event.ID, row.Seq)
			}
		}
	}
	return h.check(m)
}

// Whatever is built, switched, taken back, dropped and cut off while workers crash and race: the live generation has every
// event once, as the history says, and every outcome was published once, whatever generation its row was in by then.
func TestGenerationsAreExactUnderEveryFaultOfTheModel(t *testing.T) {
	w := newWorld(t)
	swaps := 0
	for seed := range uint64(*seeds) {
		var err error
		synctest.Test(t, func(*testing.T) {
			h := newHistory(rand.New(rand.NewPCG(seed, 3)))
			m := newModel(seed, h.records)
			if err = w.playGenerations(m); err == nil {
				err = h.checkGenerations(m)
			}
			swaps += m.swaps
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if swaps < *seeds {
		t.Errorf("%d switches in %d histories: the test proves little", swaps, *seeds)
	}
	t.Logf("%d switches in %d histories", swaps, *seeds)
}

// brittle is a classifier that panics on some texts and another one on the rest.
type brittle struct{ Labeller }

func (b brittle) Classify(in classify.Input) schemas.Labels {
	if strings.HasPrefix(in.Text, "Lovely") {
		panic("no such word")
	}
	return named{b.Labeller, "brittle"}.Classify(in)
}

// cutOffInsert is a table whose caller is killed when its first insert has landed.
type cutOffInsert struct{ *instance }

func (c cutOffInsert) Insert(ctx context.Context, rows []schemas.Row, token string) error {
	if err := c.instance.Insert(ctx, rows, token); err != nil {
		return err
	}
	return c.crash()
}

// An event is erased from the live generation while a build that holds it is cut off: the next run does not bring it back,
// and ends with what is there. Rows on which the classifier panics keep their labels, and are counted.
func TestWhatIsErasedWhileABuildIsCutOffStaysErased(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(rand.New(rand.NewPCG(9, 9)))
		m := newModel(9, h.records)
		ctx, cancel := context.WithCancel(context.Background())
		i := &instance{m: m, cancel: cancel}
		if err := New(Config{Log: i, Store: i, Classifier: w.classifier, Keyer: w.keyer, Logger: zerolog.Nop()}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		run := func(owner string, table func(*instance) Table) error {
			i := &instance{m: m, cancel: func() {}}
			r := NewReclassifier(ReclassifyConfig{Record: recordOf{i}, Table: table(i), Shards: []Log{i}, Owner: owner,
				Logger: zerolog.Nop(), Alone: true, Labeller: brittle{w.classifier}})
			if err := r.Build(context.Background()); err != nil {
				return err
			}
			return r.Switch(context.Background())
		}
		if err := run("first", func(i *instance) Table { return cutOffInsert{i} }); !errors.Is(err, errCrash) {
			t.Fatalf("the first run was not cut off: %v", err)
		}
		var erased uint64
		for place, row := range m.rows {
			if row.Generation == 1 && m.rows[at(2, row.Seq)].Event != nil {
				erased = row.Seq
				delete(m.rows, place)
				break
			}
		}
		if erased == 0 {
			t.Fatal("nothing of the second generation is there when the first run is cut off: the test proves nothing")
		}
		if err := run("second", func(i *instance) Table { return i }); err != nil {
			t.Fatal(err)
		}
		kept, relabelled := 0, 0
		for _, row := range m.rows {
			if row.Generation != 2 {
				continue
			}
			if other, ok := m.rows[at(1, row.Seq)]; !ok || other.ID != row.ID {
				t.Errorf("generation 2 has sequence %d, which generation 1 has not", row.Seq)
			}
			switch row.Labels.Model {
			case "brittle":
				relabelled++
			case w.classifier.Model():
				kept++
			}
		}
		if want := len(h.stored) - 1; m.live != 2 || kept+relabelled != want || kept == 0 || relabelled == 0 || m.double > 0 {
			t.Errorf("generation %d is live with %d rows kept and %d relabelled, want 2 with %d; %d doubled", m.live, kept, relabelled, want, m.double)
		}
	})
}
