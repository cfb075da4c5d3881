package alerts

import (
	"context"
	"math"
	"time"
)

// history is what is kept of the past of one channel in one cell.
type history struct {
	series Series
	fitted *Baseline
}

// baseline is what is usual in the channel; nil of one that was never seen.
func (h *history) baseline() *Baseline {
	if h == nil {
		return nil
	}
	if h.fitted == nil {
		h.fitted = Fit(h.series)
	}
	return h.fitted
}

// known says whether the history is long enough, which is quicker to say than what is usual.
func (h *history) known() bool { return len(h.series.Total) >= HoursOfWeek && !h.baseline().Cold() }

// add puts the counts of one hour, growing the series up to it with empty hours.
func (h *history) add(w *row) {
	i := int(time.Unix(w.Hour, 0).Sub(h.series.Start) / time.Hour)
	if i < 0 {
		return // before the source's first hour: it cannot be
	}
	h.extend(i + 1)
	h.series.Total[i], h.series.Negative[i] = float64(w.Total), float64(w.Negatives)
	h.series.Into.Add(float64(w.Total), w.Seconds, w.Variance)
	h.fitted = nil
}

// extend grows the series to so many hours, with empty ones.
func (h *history) extend(hours int) {
	if n := hours - len(h.series.Total); n > 0 {
		h.series.Total = append(h.series.Total, make([]float64, n)...)
		h.series.Negative = append(h.series.Negative, make([]float64, n)...)
		h.fitted = nil
	}
}

// past is the past of a cell by channel. Channels are told apart also where the rule does not, because they differ in how
// much is negative in them: otherwise more feedback from the worse one would look like worse feedback, and one that was
// connected today like a spike.
type past map[string]*history

// usual is what is expected of a reading, and the reading without the channels that are not known for long enough; nil: none
// is. Channels are taken to swing together, which is the cautious assumption.
func (p past) usual(r Reading) (*Usual, Reading) {
	known := Reading{From: r.From, To: r.To, Channels: map[string]Spoke{}}
	var u *Usual
	var spoke, negative, rho, dispersion, surge float64
	for channel, h := range p {
		c := h.baseline().Usual(r.From, r.To)
		if c == nil {
			continue
		}
		if u == nil {
			u = &Usual{}
		}
		n := r.Channels[channel]
		known.add(channel, n)
		u.Negative += c.Negative
		u.Total += c.Total
		dispersion += math.Sqrt(c.Dispersion) * c.Negative
		surge += math.Sqrt(c.Surge) * c.Total
		spoke += float64(n.Total)
		negative += float64(n.Total) * c.Share
		rho += float64(n.Total) * c.Rho
	}
	if u == nil || spoke == 0 {
		return u, known
	}
	u.Dispersion, u.Surge = sq(dispersion/u.Negative), sq(surge/u.Total)
	u.Share, u.Rho = negative/spoke, rho/spoke
	return u, known
}

// negatives are the hourly negatives of all channels that are known for long enough, up to the latest hour that is over.
func (p past) negatives() Series {
	var sum Series
	for _, h := range p {
		if h.baseline().Cold() {
			continue
		}
		s := &h.series
		if sum.Start.IsZero() || s.Start.Before(sum.Start) {
			missing := 0
			if !sum.Start.IsZero() {
				missing = int(sum.Start.Sub(s.Start) / time.Hour)
			}
			sum.Start, sum.Negative = s.Start, append(make([]float64, missing), sum.Negative...)
		}
		at := int(s.Start.Sub(sum.Start) / time.Hour)
		for i, n := range s.Negative {
			if at+i >= len(sum.Negative) {
				sum.Negative = append(sum.Negative, 0)
			}
			sum.Negative[at+i] += n
		}
	}
	return sum
}

func sq(x float64) float64 { return x * x }

// connection is a channel of a tenant.
type connection struct{ tenant, channel string }

// connect notes when each channel was first heard of.
func connect(ctx context.Context, store Store, sources map[connection]time.Time, from, to time.Time) error {
	return ask(ctx, store, "alert_sources", between(nil, from, to), func(w *row) {
		key, first := connection{w.Tenant, w.Connected}, time.Unix(w.FirstHour, 0).UTC()
		if old, ok := sources[key]; !ok || first.Before(old) {
			sources[key] = first
		}
	})
}

// known is the past of a cell. A channel that never spoke in it before has a past of silence, as long as it is connected.
func (e *Evaluator) known(scope string, c *counted) past {
	if e.past[scope] == nil {
		return nil
	}
	p := e.past[scope][c.key]
	for channel := range c.reading.Channels {
		start, ok := e.sources[connection{c.cell["tenant"], channel}]
		if p[channel] != nil || !ok || !start.Before(e.pastTo) {
			continue
		}
		if p == nil {
			p = past{}
			e.past[scope][c.key] = p
		}
		p[channel] = &history{series: Series{Start: start}}
		p[channel].extend(int(e.pastTo.Sub(start) / time.Hour))
	}
	return p
}
