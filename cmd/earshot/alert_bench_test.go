package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkAlertLatency measures from the POST of the event that crosses a line to the receiver's request, while a thousand
// events a second come in besides and the shipped rules are evaluated. Run it with -benchtime 60x on a quiet machine.
func BenchmarkAlertLatency(b *testing.B) {
	const rate, size = 1000, 100
	_, shipped, err := ruleText("")
	if err != nil {
		b.Fatal(err)
	}
	p := newPager(b)
	rules := string(shipped) + "\n  - alert: Line\n    detector: threshold\n    where: {words: [crosses the line]}\n    windows: [15m]\n"
	up := startUp(b, dataFolder(b), alertFiles(b, rules, p.receiver())...)
	stop, stopped := make(chan struct{}), make(chan struct{})
	sent := 0
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second * size / rate)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			var body bytes.Buffer
			for i := range size {
				text := praise
				if i%10 == 0 {
					text = complaint
				}
				body.WriteByte("[,"[min(i, 1)])
				fmt.Fprintf(&body, `{"specversion":"1.0","id":"%d-%d","source":"/test/load","type":"feedback.received.v1","time":%q,"tenantid":"load","data":{"channel":"app","value_text":%q,"customer_id":"c-%d-%d"}}`,
					sent, i, time.Now().UTC().Format(time.RFC3339Nano), text, sent, i)
			}
			body.WriteByte(']')
			if code, _, err := post(up.Gateway+"/v1/events", batchType, body.Bytes()); err == nil && code == http.StatusAccepted {
				sent += size
			}
		}
	}()
	time.Sleep(20 * time.Second) // until the load is an even one and windows have something to count
	began, before := time.Now(), sent
	var took []time.Duration
	for i := range b.N {
		tenant := fmt.Sprintf("line-%d", i)
		body := sayings(tenant, "This crosses the line.", 1, time.Now(), time.Second, false)
		asked := time.Now()
		up.send(body)
		for done := false; !done; time.Sleep(2 * time.Millisecond) {
			for _, g := range p.taken() {
				if g.tenant == tenant && g.rule == "Line" {
					took, done = append(took, g.at.Sub(asked)), true
				}
			}
			if time.Since(asked) > time.Minute {
				b.Fatalf("no page for %s within a minute", tenant)
			}
		}
		time.Sleep(time.Duration(i%10) * 97 * time.Millisecond) // not in step with the evaluation
	}
	load := float64(sent-before) / time.Since(began).Seconds()
	close(stop)
	<-stopped
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "p50-s")
	b.ReportMetric(took[min(len(took)-1, len(took)*95/100)].Seconds(), "p95-s")
	b.ReportMetric(took[len(took)-1].Seconds(), "max-s")
	b.ReportMetric(load, "events/s")
	b.ReportMetric(0, "ns/op")
}
