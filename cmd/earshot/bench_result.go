package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// benchResult is a whole measurement.
type benchResult struct {
	Events        int          `json:"events"`
	Rounds        int          `json:"rounds"`
	BytesPerEvent float64      `json:"bytes_per_event"`
	Cores         int          `json:"cores"`
	Runs          []*benchRun  `json:"runs"`
	Ratios        []benchRatio `json:"ratios"`
	Faults        []string     `json:"faults,omitempty"` // why the measurement fails
}

// benchRun is one run of one contender. What a platform does not tell is 0.
type benchRun struct {
	Contender   string  `json:"contender"`
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"events_per_second"`
	CPUPerEvent float64 `json:"cpu_us_per_event"`    // of the contender's process alone
	PeakBytes   int64   `json:"peak_bytes"`          // of the contender's process alone
	ServerCPU   float64 `json:"server_us_per_event"` // of NATS and ClickHouse, which share the measuring process
	Foreign     float64 `json:"foreign_cpu"`         // share of the machine that neither contender nor servers took, 0 … 1
	Counted     uint64  `json:"counted"`             // events the servers account for
	Distinct    uint64  `json:"distinct,omitempty"`  // identities in the table, of a contender that writes one
	Content     uint64  `json:"content,omitempty"`   // sum over the rows of a hash of what is in them
}

// writes says whether the contender leaves rows behind.
func (m *benchRun) writes() bool { return m.Contender == analytic || m.Contender == naive }

// benchRatio compares two contenders: the median over the rounds of the ratio of their speeds in the same round. A round
// in which others took more than [quiet] of the machine from either of the two does not count, unless all are like that.
type benchRatio struct {
	Name   string    `json:"name"`
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
	Busy   []bool    `json:"busy"` // of each round, whether others took too much of the machine
	Floor  float64   `json:"floor"`
	Gate   bool      `json:"gate"` // whether staying below the floor fails the measurement
	OK     bool      `json:"ok"`
}

// floors are what the ratios should reach. Only the last is a gate: the first two depend on how many of the machine's
// cores the servers leave over.
var floors = []struct {
	over, under string
	floor       float64
	gate        bool
}{
	{null, limit, 0.70, false},
	{analytic, limit, 0.45, false},
	{analytic, naive, 2, true},
}

// judge fills in the ratios and the faults.
func (r *benchResult) judge() {
	r.Ratios, r.Faults = nil, nil
	var content uint64
	for i, m := range r.Runs {
		round := i/len(contenders) + 1
		if m.Counted != uint64(r.Events) {
			r.fault("%s counts %d of %d events in round %d", m.Contender, m.Counted, r.Events, round)
		}
		if !m.writes() {
			continue
		}
		if m.Distinct != uint64(r.Events) {
			r.fault("%s stored %d different events of %d in round %d", m.Contender, m.Distinct, r.Events, round)
		}
		if content == 0 {
			content = m.Content
		}
		if m.Content != content {
			r.fault("the rows of %s in round %d are not those of the others", m.Contender, round)
		}
	}
	for _, f := range floors {
		x := benchRatio{Name: f.over + " ÷ " + f.under, Floor: f.floor, Gate: f.gate}
		over, under := r.of(f.over), r.of(f.under)
		for i := range over {
			x.Rounds = append(x.Rounds, over[i].PerSecond/under[i].PerSecond)
			x.Busy = append(x.Busy, max(over[i].Foreign, under[i].Foreign) > quiet)
		}
		x.Median = median(x.counting())
		if x.OK = x.Median >= x.Floor; !x.OK && x.Gate {
			r.fault("%s is %.2f, at least %g is wanted", x.Name, x.Median, x.Floor)
		}
		r.Ratios = append(r.Ratios, x)
	}
}

// counting are the rounds that count.
func (x *benchRatio) counting() []float64 {
	var out []float64
	for i, v := range x.Rounds {
		if !x.Busy[i] {
			out = append(out, v)
		}
	}
	if out == nil {
		return x.Rounds
	}
	return out
}

func (r *benchResult) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// of lists a contender's runs in the order of the rounds.
func (r *benchResult) of(name string) []*benchRun {
	var out []*benchRun
	for _, m := range r.Runs {
		if m.Contender == name {
			out = append(out, m)
		}
	}
	return out
}

// print writes the result for people.
func (r *benchResult) print(w io.Writer) error {
	fmt.Fprintf(w, "%s events of %.0f bytes, %d rounds, %d cores\n\n", grouped(r.Events), r.BytesPerEvent, r.Rounds, r.Cores)
	t := table{left: []int{0, 2}}
	t.row("contender", "events/s", "min–max", "CPU µs/event", "of servers", "peak RSS", "foreign CPU", "verified")
	for _, name := range contenders {
		runs := r.of(name)
		speed := pick(runs, func(m *benchRun) float64 { return m.PerSecond })
		t.row(name, grouped(int(median(speed))), grouped(int(slices.Min(speed)))+"–"+grouped(int(slices.Max(speed))),
			known(median(pick(runs, func(m *benchRun) float64 { return m.CPUPerEvent })), "%.1f"),
			known(median(pick(runs, func(m *benchRun) float64 { return m.ServerCPU })), "%.1f"),
			known(slices.Max(pick(runs, func(m *benchRun) float64 { return float64(m.PeakBytes) / (1 << 20) })), "%.0f MiB"),
			fmt.Sprintf("%.0f %%", 100*median(pick(runs, func(m *benchRun) float64 { return m.Foreign }))),
			grouped(int(slices.Min(pick(runs, func(m *benchRun) float64 { return float64(m.Counted) })))))
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = table{left: []int{0, 2, 4}}
	t.row("ratio", "median", "rounds", "floor", "")
	for _, x := range r.Ratios {
		rounds := make([]string, len(x.Rounds))
		for i, v := range x.Rounds {
			if rounds[i] = fmt.Sprintf("%.2f", v); x.Busy[i] {
				rounds[i] = "(" + rounds[i] + ")"
			}
		}
		verdict := "ok"
		if !x.OK {
			verdict = "below"
		}
		t.row(x.Name, fmt.Sprintf("%.2f", x.Median), strings.Join(rounds, " "), fmt.Sprintf("%.2f", x.Floor), verdict)
	}
	if err := t.print(w); err != nil {
		return err
	}
	busy := 0
	for _, m := range r.Runs {
		if m.Foreign > quiet {
			busy++
		}
	}
	if busy > 0 {
		fmt.Fprintf(w, "\nIn %d of %d runs other programs took more than %.0f %% of the machine. Ratios in brackets are of such runs and count\nonly where there are no others; processor time suffers less.\n", busy, len(r.Runs), 100*quiet)
	}
	return nil
}

// quiet is how much of the machine others may take before a run says more about them.
const quiet = 0.1

// table lines its cells up by columns, three blanks apart.
type table struct {
	left []int // columns that are set left; the others are set right
	rows [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			blanks := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if slices.Contains(t.left, i) {
				line.WriteString(cell + blanks + "   ")
			} else {
				line.WriteString(blanks + cell + "   ")
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func pick(runs []*benchRun, get func(*benchRun) float64) []float64 {
	out := make([]float64, len(runs))
	for i, m := range runs {
		out[i] = get(m)
	}
	return out
}

// median of an even number of values is the mean of the middle two.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// known prints a figure that not every platform tells.
func known(x float64, format string) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf(format, x)
}

// grouped prints a number with its thousands set apart.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
