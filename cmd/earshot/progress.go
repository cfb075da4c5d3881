package main

import (
	"fmt"
	"io"
	"time"
)

// progress prints how far a long command has come: one line rewritten on a terminal, a line every few seconds elsewhere.
type progress struct {
	end  chan struct{}
	done chan struct{}
}

// startProgress prints the count that now returns, and its rate, until stop.
func startProgress(w io.Writer, now func() int64) *progress {
	p := &progress{make(chan struct{}), make(chan struct{})}
	every, format := 3*time.Second, "%d events, %.0f/s\n"
	terminal := isTerminal(w)
	if terminal {
		every, format = 200*time.Millisecond, "\r%d events, %.0f/s   "
	}
	began := time.Now()
	go func() {
		defer close(p.done)
		t := time.NewTicker(every)
		defer t.Stop()
		show := func() { n := now(); fmt.Fprintf(w, format, n, float64(n)/time.Since(began).Seconds()) }
		for {
			select {
			case <-t.C:
				show()
			case <-p.end:
				show()
				if terminal {
					fmt.Fprintln(w)
				}
				return
			}
		}
	}()
	return p
}

// stop prints the last state and ends.
func (p *progress) stop() {
	close(p.end)
	<-p.done
}
