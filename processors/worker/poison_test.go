package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// noKeys panics on every event that names a customer, and on no other: it has no secret.
func noKeys(c *worker.Config) { c.Keyer = new(privacy.Keyer) }

// publishAs publishes one event; without a customer it is harmless to a worker with noKeys.
func (s *stores) publishAs(id, customer string) []byte {
	s.t.Helper()
	data := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/w","type":"feedback.received.v1","time":"2026-10-11T08:00:00Z","tenantid":"t","data":{"channel":"support","customer_id":%q,"value_text":"Nobody answered."}}`, id, customer)
	s.must(s.publisher.Publish(s.ctx, []schemas.Message{{
		Subject: "feedback.0.t.support.feedback.received",
		Header:  map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}, Data: data,
	}}))
	s.published++
	return data
}

// An event that a step panics on is a dead letter with its bytes and the reason; its neighbours are stored, in order. When
// the fault is mended and the process started anew, the event can be sent again and is new.
func TestExactPanicCostsOneEvent(t *testing.T) {
	s := openStores(t)
	const events = 1000
	poison := []int{0, 333, 334, 999} // the first, two in a row, the last
	var want []uint64
	var last []byte
	for i := range events {
		customer := ""
		if slices.Contains(poison, i) {
			customer = "somebody"
		} else {
			want = append(want, uint64(i+1))
		}
		last = s.publishAs(fmt.Sprint("e", i), customer)
	}
	stop := s.start(noKeys)
	s.want(uint64(events-len(poison)), 0, uint64(len(poison)))
	s.must(stop())
	rows, err := s.store.Stored(s.ctx, schemas.Range{Epoch: s.settled().Epoch, Generation: 1, Lo: 1, Hi: events})
	s.must(err)
	got := make([]uint64, len(rows))
	for i, r := range rows {
		got[i] = r.Seq
	}
	lost, doubled := 0, len(got)-len(slices.Compact(slices.Clone(got)))
	for _, seq := range want {
		if _, stored := slices.BinarySearch(got, seq); !stored {
			lost++
		}
	}
	t.Attr("exact", fmt.Sprintf("a step panics on an event | %d | %d | %d | %d", len(poison), len(got), lost, doubled))
	if !slices.Equal(got, want) {
		t.Errorf("the rows are not those of the other events: %d lost, %d doubled", lost, doubled)
	}
	st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
	s.must(err)
	m, err := st.GetLastMsgForSubject(s.ctx, schemas.DeadSubject(0, schemas.ReasonPanic))
	s.must(err)
	if string(m.Data) != string(last) || m.Header.Get(schemas.HeaderSequence) != fmt.Sprint(events) || !strings.Contains(m.Header.Get(schemas.HeaderDetail), "privacy") {
		t.Errorf("the dead letter is %s %q, want the event's own bytes, its sequence and where it panicked", m.Header, m.Data)
	}
	s.publishAs("e333", "somebody")
	s.publishAs("e1", "")
	s.start(nil)
	s.want(uint64(events-len(poison)+1), 1, uint64(len(poison)))
}

// What panicked is not stored, so it is not known: sent again, to the same worker, it is new.
func TestExactPoisonSentAgainIsNotADuplicate(t *testing.T) {
	s := openStores(t)
	s.start(noKeys)
	s.publishAs("x", "somebody")
	s.want(0, 0, 1)
	s.publishAs("x", "")
	s.want(1, 0, 1)
}
