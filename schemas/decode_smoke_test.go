package schemas

import (
	"testing"
	"time"
)

func BenchmarkDecodeStructured(b *testing.B) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	raw := []byte(`{"specversion":"1.0","id":"98123","source":"/zendesk/acme","type":"feedback.received.v1","time":"2026-11-20T08:31:07Z","subject":"c_7f3a","tenantid":"acme","correlationid":"case-441","datacontenttype":"application/json","data":{"channel":"support","submission_id":"98123","field_id":"body","field_type":"text","value_text":"Parcel arrived crushed and nobody answered for three days. I will buy elsewhere.","language":"en","customer_id":"c_7f3a","stage_hint":"after_sale","conversation_id":"t-441"}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, p := DecodeStructured(raw, now); p != nil {
			b.Fatal(p)
		}
	}
}
