package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/schemas"
)

// The model is both stores in memory, with everything they are known to do to a caller: answers that get lost, inserts
// that land late or in part, tokens that outlive their rows and rows that outlive their tokens, power cuts that take back
// any of the newest writes whatever their order, crashes between any two steps, and rival workers that run while another
// is held up. It is what the protocol is checked against thousands of times;
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
	bodies   map[string]string

	rows   map[uint64]schemas.Row // by place; a second row of a place counts in doubled
	double int
	tokens map[string]bool // the deduplication log of the table
	late   map[string][]schemas.Row
	recent []write // what a power cut may take back
	sent   map[uint64]schemas.Row

	cuts int // how many power cuts may still happen
	lost int // how many rows they took

	forget int  // how often the ledger may still be lost
	forgot bool // it was

	fickle   bool   // every session labels otherwise
	sessions uint64 // so far

	faults   int // how many faults may still happen
	trust    bool
	blank    bool   // checkpoints lose their marks
	meddle   func() // runs another worker to its end, from inside a call of the first
	inMeddle bool
	halt     error // of a rival

	generations // what a reclassification adds to the world
}

func newModel(seed uint64, records []schemas.Record) *model {
	return &model{
		rng: rand.New(rand.NewPCG(seed, 1)), epoch: "e1", records: records, outcomes: map[string]int{}, bodies: map[string]string{},
		rows: map[uint64]schemas.Row{}, tokens: map[string]bool{}, late: map[string][]schemas.Row{}, sent: map[uint64]schemas.Row{},
	}
}

// write is one part and its token, as they reach the disk: the names of both may be lost in a power cut, each by itself.
type write struct {
	token string
	rows  []schemas.Row
	at    time.Time
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
	held   int                // times in a row that it found its shard held
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

// crash ends the process, and now and then the machine. It does not while a rival is held up between its plan and its
// insert: nothing but the token keeps such a rival's insert from doubling rows, and a power cut can take the token.
func (i *instance) crash() error {
	i.dead = true
	i.cancel()
	if i.m.cuts > 0 && !i.m.inMeddle && i.m.rng.IntN(3) == 0 {
		i.m.cuts--
		i.m.powerCut()
	}
	return errCrash
}

// powerCut takes back any of the newest parts and tokens, in no order. The ledger is synced write by write and stays.
func (m *model) powerCut() {
	clear(m.late)
	for _, w := range m.recent {
		if time.Since(w.at) > 30*time.Second {
			continue
		}
		if m.rng.IntN(2) == 0 {
			delete(m.tokens, w.token)
		}
		if m.rng.IntN(2) == 0 {
			continue
		}
		for _, r := range w.rows {
			if have, ok := m.rows[at(r.Generation, r.Seq)]; ok && have.Digest == r.Digest {
				delete(m.rows, at(r.Generation, r.Seq))
				m.lost++
			}
		}
	}
	m.recent = nil
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

// at is the place of a row: in generation 1 its sequence.
func at(generation uint32, seq uint64) uint64 { return uint64(generation-1)<<40 | seq }

// write is what the table does with an insert: drop it if its token is known, else keep all of it.
func (m *model) write(token string, rows []schemas.Row) {
	if m.tokens[token] {
		return
	}
	m.tokens[token] = true
	m.recent = append(m.recent, write{token, rows, time.Now()})
	for _, r := range rows {
		if _, ok := m.rows[at(r.Generation, r.Seq)]; ok {
			m.double++
		}
		m.rows[at(r.Generation, r.Seq)] = r
	}
}

// loseLedger deletes what an operator's purge, or a stream restored without it, would: plan, checkpoint or both.
func (m *model) loseLedger() {
	had := m.ledger
	switch m.rng.IntN(3) {
	case 0:
		m.ledger = schemas.Ledger{}
	case 1:
		m.ledger.Plan, m.ledger.PlanSeq = nil, 0
	case 2:
		m.ledger.Checkpoint, m.ledger.CheckpointSeq = nil, 0
	}
	m.forgot = m.forgot || had.Plan != nil
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

// First is part of Log.
func (i *instance) First(context.Context) (uint64, error) { return 1, nil }

// Load is part of Log.
func (i *instance) Load(context.Context) (schemas.Ledger, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	if err := i.step(); err != nil {
		return schemas.Ledger{}, err
	}
	if err := i.waiting(); err != nil {
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
			m.bodies[o.ID] = string(o.Data)
		}
		piece := cp
		if done = end; done < len(outcomes) {
			piece.Outcomes = done
		}
		if m.blank {
			piece.Recent = nil
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
	for _, r := range rows {
		m.sent[at(r.Generation, r.Seq)] = r
	}
	switch m.fault(7) {
	case 1:
		return i.crash()
	case 7: // cut off between two blocks: some rows are in, the rest is not
		m.write(token, rows[:m.rng.IntN(len(rows)+1)])
		return errors.New("connection reset")
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

// in lists the rows of a range. trust is the switch that shows what the read-back is for: believe that everything that
// was sent is there.
func (m *model) in(r schemas.Range) (out []schemas.Row) {
	from := m.rows
	if m.trust {
		from = m.sent
	}
	for _, row := range from {
		if row.Generation == r.Generation && row.Seq >= r.Lo && row.Seq <= r.Hi && (r.Month == 0 || month(&row) == r.Month) {
			out = append(out, row)
		}
	}
	return out
}

// Stored is part of Store.
func (i *instance) Stored(_ context.Context, r schemas.Range) (out []schemas.Stored, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, err
	}
	for _, row := range m.in(r) {
		out = append(out, schemas.Stored{Seq: row.Seq, ID: row.ID, Month: month(&row), Digest: row.Digest})
	}
	return out, nil
}

// MaxSeq is part of Store.
func (i *instance) MaxSeq(_ context.Context, r schemas.Range) (last uint64, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return 0, err
	}
	for _, row := range m.in(r) {
		last = max(last, row.Seq)
	}
	return last, nil
}

// KillAll is part of Store.
func (i *instance) KillAll(_ context.Context, prefix string) error {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return err
	}
	for token, rows := range m.late {
		if strings.HasPrefix(token, prefix) {
			delete(m.late, token)
			if m.rng.IntN(2) == 0 {
				m.write(token, rows)
			}
		}
	}
	return nil
}

// Known is part of Store; the model's sets are always complete, so it is not asked.
func (i *instance) Known(context.Context, uint32, string, int, uint64, []schemas.EventID) (map[schemas.EventID]struct{}, error) {
	return nil, fmt.Errorf("asked for known events although the set is complete")
}

// Recent is part of Store.
func (i *instance) Recent(_ context.Context, generation uint32, _ string, _ int, before uint64, _ int) (out []schemas.EventID, err error) {
	m := i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := i.step(); err != nil {
		return nil, err
	}
	for seq := before - 1; seq > 0; seq-- {
		if row, ok := m.rows[at(generation, seq)]; ok {
			out = append(out, row.ID)
		}
	}
	return out, nil
}
