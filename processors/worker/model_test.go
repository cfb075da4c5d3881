package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/schemas"
)

// The model is both stores in memory, with everything they are known to do to a caller: answers that get lost, inserts
// that land late or only in part of what they must write, tokens that outlive their rows, crashes between any two steps,
// and rival workers that run while another is held up. It is what the protocol is checked against thousands of times;
// the real stores are in the tests beside it.

// errCrash ends a worker as kill -9 would: whatever it was about to do next does not happen.
var errCrash = errors.New("crash")

// model is the world: the log, the ledger and the table.
type model struct {
	mu  sync.Mutex
	rng *rand.Rand

	epoch   string
	records []schemas.Record

	seq      uint64 // of OUTCOMES
	ledger   schemas.Ledger
	outcomes map[string]int // by id, how often

	rows   map[uint64]schemas.Row // by sequence; a second row of a sequence counts in doubled
	double int
	tokens map[string]bool // the deduplication log of the table
	late   map[string][]schemas.Row

	faults   int // how many faults may still happen
	trust    bool
	meddle   func() // runs another worker to its end, from inside a call of the first
	inMeddle bool
	halt     error // of a rival
}

func newModel(seed uint64, records []schemas.Record) *model {
	return &model{
		rng: rand.New(rand.NewPCG(seed, 1)), epoch: "e1", records: records, outcomes: map[string]int{},
		rows: map[uint64]schemas.Row{}, tokens: map[string]bool{}, late: map[string][]schemas.Row{},
	}
}

// fault says whether this call goes wrong, and how: 0 is well.
func (m *model) fault(kinds int) int {
	if m.faults == 0 || m.rng.IntN(3) > 0 {
		return 0
	}
	m.faults--
	return 1 + m.rng.IntN(kinds)
}

// instance is one worker's view of the model.
type instance struct {
	m      *model
	dead   bool
	cancel context.CancelFunc // called when there is nothing left to read
}

// step begins a call: a dead process makes none, and another worker may run before it happens.
func (i *instance) step() error {
	m := i.m
	if i.dead {
		return errCrash
	}
	m.land(m.rng.IntN(4) == 0)
	if m.meddle != nil && !m.inMeddle && m.faults > 0 && m.rng.IntN(12) == 0 {
		m.faults--
		m.inMeddle = true
		m.mu.Unlock()
		m.meddle()
		m.mu.Lock()
		m.inMeddle = false
	}
	return nil
}

// crash ends the process.
func (i *instance) crash() error {
	i.dead = true
	i.cancel()
	return errCrash
}

// land lets inserts that were still under way reach the table.
func (m *model) land(now bool) {
	if !now {
		return
	}
	for token, rows := range m.late {
		delete(m.late, token)
		m.write(token, rows)
	}
}

// write is what the table does with an insert: drop it if its token is known, else keep all of it.
func (m *model) write(token string, rows []schemas.Row) {
	if m.tokens[token] {
		return
	}
	m.tokens[token] = true
	for _, r := range rows {
		if _, ok := m.rows[r.Seq]; ok {
			m.double++
		}
		m.rows[r.Seq] = r
	}
}

// Epoch is part of Log.
func (i *instance) Epoch() string { return i.m.epoch }

// Read is part of Log. Where batches end depends on the place alone, so that a seed is the same run every time.
func (i *instance) Read(ctx context.Context, after uint64, most, _ int, _, _ time.Duration) ([]schemas.Record, error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || i.dead {
		return nil, errCrash
	}
	if after >= uint64(len(m.records)) {
		i.cancel()
		return nil, nil
	}
	n := 1 + int((after*2654435761)%7)
	return m.records[after:min(after+uint64(min(n, most)), uint64(len(m.records)))], nil
}

// Load is part of Log.
func (i *instance) Load(context.Context) (schemas.Ledger, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if err := i.step(); err != nil {
		return schemas.Ledger{}, err
	}
	return i.m.ledger, nil
}

// SavePlan is part of Log.
func (i *instance) SavePlan(_ context.Context, p schemas.Plan, expect uint64) (uint64, error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return 0, err
	}
	if m.ledger.PlanSeq != expect {
		return 0, schemas.ErrLost
	}
	switch m.fault(3) {
	case 1:
		return 0, i.crash()
	case 2:
		return 0, errors.New("no answer; not stored")
	case 3:
		m.savePlan(p)
		return 0, i.crash()
	}
	return m.savePlan(p), nil
}

func (m *model) savePlan(p schemas.Plan) uint64 {
	m.seq++
	m.ledger.Plan, m.ledger.PlanSeq = &p, m.seq
	return m.seq
}

// Commit is part of Log: outcomes go out in pieces of three, each with the checkpoint.
func (i *instance) Commit(_ context.Context, cp schemas.Checkpoint, expect uint64, outcomes []schemas.Outcome, done int) (uint64, error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if err := i.step(); err != nil {
			return 0, err
		}
		if m.ledger.CheckpointSeq != expect {
			return 0, schemas.ErrLost
		}
		fault := m.fault(2)
		if fault == 1 {
			return 0, i.crash()
		}
		end := min(done+3, len(outcomes))
		for _, o := range outcomes[done:end] {
			m.outcomes[o.ID]++
		}
		piece := cp
		if done = end; done < len(outcomes) {
			piece.Outcomes = done
		}
		m.seq++
		m.ledger.Checkpoint, m.ledger.CheckpointSeq = &piece, m.seq
		expect = m.seq
		if fault == 2 {
			return 0, i.crash()
		}
		if done == len(outcomes) {
			return expect, nil
		}
	}
}

// refusal is an error that no retry cures.
type refusal struct{}

func (refusal) Error() string   { return "the table refuses a row" }
func (refusal) Permanent() bool { return true }

// Insert is part of Store.
func (i *instance) Insert(_ context.Context, rows []schemas.Row, token string) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	if poisoned(rows) {
		return refusal{}
	}
	switch m.fault(6) {
	case 1:
		return i.crash()
	case 2:
		return errors.New("connection refused")
	case 3: // the answer is lost, the rows are in
		m.write(token, rows)
		return errors.New("connection reset")
	case 4: // killed between the deduplication log and the rename: the token is known, the rows are gone
		m.tokens[token] = true
		return errors.New("connection reset")
	case 5: // still running when the caller gives up
		m.late[token] = rows
		return errors.New("timeout")
	case 6:
		m.write(token, rows)
		return i.crash()
	}
	m.write(token, rows)
	return nil
}

func poisoned(rows []schemas.Row) bool {
	return slices.ContainsFunc(rows, func(r schemas.Row) bool { return r.Event.Data.ProductID == "poison" })
}

// Probe is part of Store.
func (i *instance) Probe(_ context.Context, rows []schemas.Row) error {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	if poisoned(rows) {
		return refusal{}
	}
	return nil
}

// Kill is part of Store.
func (i *instance) Kill(_ context.Context, token string) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	if rows, ok := m.late[token]; ok { // it ends one way or the other before Kill returns
		delete(m.late, token)
		if m.rng.IntN(2) == 0 {
			m.write(token, rows)
		}
	}
	return nil
}

// ReadBack is part of Store.
func (i *instance) ReadBack(_ context.Context, r schemas.Range) (n, digest uint64, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return 0, 0, err
	}
	if m.trust { // the switch that shows what the read-back is for: believe that everything sent is there
		if p := m.ledger.Plan; p != nil {
			for _, part := range p.Parts {
				if part.Month == r.Month {
					return part.Rows, part.Digest, nil
				}
			}
		}
		return 0, 0, nil
	}
	switch m.fault(2) {
	case 1:
		return 0, 0, i.crash()
	case 2:
		return 0, 0, errors.New("unreachable")
	}
	for _, row := range m.in(r) {
		n++
		digest += row.Digest
	}
	return n, digest, nil
}

func (m *model) in(r schemas.Range) (out []schemas.Row) {
	for _, row := range m.rows {
		if row.Seq >= r.Lo && row.Seq <= r.Hi && (r.Month == 0 || month(&row) == r.Month) {
			out = append(out, row)
		}
	}
	return out
}

// Seqs is part of Store.
func (i *instance) Seqs(_ context.Context, r schemas.Range) (out []uint64, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, err
	}
	for _, row := range m.in(r) {
		out = append(out, row.Seq)
	}
	return out, nil
}

// Known is part of Store; the model's sets are always complete, so it is not asked.
func (i *instance) Known(context.Context, uint32, string, int, uint64, []schemas.EventID) (map[schemas.EventID]struct{}, error) {
	return nil, fmt.Errorf("asked for known events although the set is complete")
}

// Recent is part of Store.
func (i *instance) Recent(_ context.Context, _ uint32, _ string, _ int, before uint64, _ int) (out []schemas.EventID, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, err
	}
	for seq := before - 1; seq > 0; seq-- {
		if row, ok := m.rows[seq]; ok {
			out = append(out, row.ID)
		}
	}
	return out, nil
}
