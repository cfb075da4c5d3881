package alerts

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Detector names how a rule finds what is unusual.
type Detector string

// The detectors a rule may name.
const (
	DetectNegativeSpike Detector = "negative_spike" // [NegativeSpike]
	DetectVolumeSpike   Detector = "volume_spike"   // [VolumeSpike]
	DetectEscalating    Detector = "escalating"     // [EscalatingLimit] on hourly negatives
	DetectRobust        Detector = "robust"         // [RobustZ] on hourly negatives, against the same hour of other days
	DetectThreshold     Detector = "threshold"      // [Threshold] on customers in the window that match
	DetectSLA           Detector = "sla"            // [Threshold] on customers who wait longer than the target
	DetectQuery         Detector = "query"          // [Threshold] on a column of a named query
)

// Detectors lists the detectors.
func Detectors() []Detector {
	return []Detector{DetectNegativeSpike, DetectVolumeSpike, DetectEscalating, DetectRobust, DetectThreshold, DetectSLA, DetectQuery}
}

// Dimensions lists what a rule may tell cells apart by, and what its scope may be narrowed by. The first is always there.
func Dimensions() []string {
	return []string{"tenant", "channel", "product", "element", "facet", "theme"}
}

// mentioned are the dimensions that a text has one of for each thing it speaks of.
var mentioned = []string{"element", "facet", "theme"}

// Rule says what to look for and whom it concerns.
type Rule struct {
	Name     string   // letters, digits, underscores; names the alert
	Detector Detector // required
	By       []string // dimensions that make a cell, see [Dimensions]; "tenant" is always one
	Where    Scope    // what counts at all

	Windows       []time.Duration // how far back is counted, the shortest first; detectors on hours use one hour
	For           time.Duration   // how long the reading must stay unusual before anybody is called; 0: at once
	KeepFiringFor time.Duration   // how long it must be calm before the alert is over; default 15m

	LateAfter          time.Duration // what arrives longer after it happened (midnight sharp: after that day) calls nobody; default 1h
	FalseAlarmsPerWeek float64       // budget of the spikes, over all cells of the rule together; default 1
	Floors             Floors        // least customers, and least factor over the expected
	Limit              float64       // of threshold, sla and query: customers, or the column's value; default 1
	Z                  float64       // of robust; default 3.5
	Target             time.Duration // of sla: how long a customer may wait
	Query, Column      string        // of query: the named query, and the column that is held against the limit
	Params             map[string]string

	Severity    schemas.Severity // default warning
	Labels      map[string]string
	Annotations map[string]string
	Inhibits    []string // rules whose alerts are not delivered while this one fires in the same place
}

// Scope narrows what counts. Empty lists narrow nothing; one of each list must match.
type Scope struct {
	Tenant, Channel, Product, Element, Facet, Theme, Intent, Urgency []string
	Words                                                            []string // parts of the text, case ignored
}

// Defaults of [Rule].
const (
	DefaultKeepFiringFor = 15 * time.Minute
	DefaultLateAfter     = time.Hour
	DefaultFalseAlarms   = 1
	DefaultCustomers     = 5
	DefaultFactor        = 1.5
	DefaultZ             = 3.5
	maxWindow            = 24 * time.Hour
)

//go:embed rules.yaml
var shipped []byte

// ShippedRules is the text of the rules that apply where no others are given.
func ShippedRules() []byte { return slices.Clone(shipped) }

// Mentions says whether the rule counts mentions, of which a text may have several, instead of texts.
func (r *Rule) Mentions() bool {
	return slices.ContainsFunc(r.By, func(d string) bool { return slices.Contains(mentioned, d) }) ||
		len(r.Where.Element)+len(r.Where.Facet)+len(r.Where.Theme) > 0
}

// Seasonal says whether the detector needs the counts of past weeks.
func (r *Rule) Seasonal() bool {
	return slices.Contains([]Detector{DetectNegativeSpike, DetectVolumeSpike, DetectEscalating, DetectRobust}, r.Detector)
}

// asksNow says whether the detector asks how things are, not what was said in a window.
func (r *Rule) asksNow() bool { return r.Detector == DetectSLA || r.Detector == DetectQuery }

// verdict applies the rule's detector to one reading of one cell, among so many. known is the cell's past by channel. open says
// that the cell has an open alert: then what is usual is worked out however few spoke.
func (r *Rule) verdict(known past, reading Reading, cells int, open bool) Verdict {
	window := reading.To.Sub(reading.From)
	if !r.Seasonal() {
		return Threshold(float64(atLeast(reading.Total, reading.Unnamed)), r.Limit, window, r.reason())
	}
	if v, few := r.few(reading, window); few && !open {
		return v // what is usual need not be worked out
	}
	u, reading := known.usual(reading)
	alpha := Alpha(r.FalseAlarmsPerWeek, cells, len(r.Windows), window)
	switch {
	case r.Detector == DetectVolumeSpike:
		return VolumeSpike(u, reading, r.Floors, alpha)
	case r.Detector == DetectNegativeSpike || u == nil: // nil is a cold start for all of them
		return NegativeSpike(u, reading, r.Floors, alpha)
	}
	s := known.negatives()
	switch r.Detector {
	case DetectEscalating:
		week := s.Negative[max(0, len(s.Negative)-HoursOfWeek):]
		mean, _ := moments(week)
		return above(float64(reading.Negative), EscalatingLimit(week), mean, r.Floors, Escalating)
	default:
		var same []float64
		end := s.Start.Add(time.Duration(len(s.Negative)) * time.Hour)
		for at := len(s.Negative) - 24 + int(reading.From.Sub(end)/time.Hour); at >= 0; at -= 24 {
			if at < len(s.Negative) {
				same = append(same, s.Negative[at])
			}
		}
		m := median(append(same, 0)[:max(len(same), 1)])
		v := above(RobustZ(float64(reading.Negative), same), r.Z, 0, Floors{}, Outlier)
		v.Observed, v.Expected, v.Limit = float64(reading.Negative), m, 0
		if atLeast(reading.Negative, reading.Nameless) < r.Floors.Customers {
			v.Level, v.Reason = Calm, BelowFloor
		}
		return v
	}
}

// few is the verdict on a reading that too few customers stand behind to be an alarm whatever is usual.
func (r *Rule) few(reading Reading, window time.Duration) (Verdict, bool) {
	n, unnamed := reading.Negative, reading.Nameless
	if r.Detector == DetectVolumeSpike {
		n, unnamed = reading.Total, reading.Unnamed
	}
	if atLeast(n, unnamed) >= r.Floors.Customers {
		return Verdict{}, false
	}
	return Verdict{Window: window, Observed: float64(n), Total: reading.Total, Probability: 1, Reason: BelowFloor}, true
}

func (r *Rule) reason() Reason {
	if r.Detector == DetectSLA {
		return Breach
	}
	return OverThreshold
}

// Fault is one thing that is wrong in a file of rules.
type Fault struct {
	File string
	Line int
	Text string // what is wrong and what is allowed
}

// Error names the place and the fault.
func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Faults are all faults of a file.
type Faults []Fault

// Error is one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}
