package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkBatch is a batch of 500 events from body to answer, without the network and the log.
func BenchmarkBatch(b *testing.B) {
	const n = 500
	events := make([]string, n)
	for i := range events {
		events[i] = event(fmt.Sprint(i), "crushed.", "crushed and nobody answered for three days. I will buy elsewhere.", `"c1"`, fmt.Sprintf(`"c_%d","language":"en","conversation_id":"t-441"`, i))
	}
	body := []byte("[" + strings.Join(events, ",") + "]")
	h := newHouse(b, nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/events", io.NopCloser(bytes.NewReader(body)))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", batched)
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		if w.Code != 202 {
			b.Fatal(w.Body)
		}
		h.log.msgs = h.log.msgs[:0]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}
