package alerts

import (
	"math"
	"slices"
	"time"
)

// Reason says in one word why a detector decided as it did. It is stored, counted and shown.
type Reason string

// The reasons. The first group is calm, the second is not.
const (
	AsUsual     Reason = "usual"        // within what is expected
	ColdStart   Reason = "cold_start"   // the source is known for less than a week
	BelowFloor  Reason = "below_floor"  // fewer customers than anybody should be called for
	VolumeOnly  Reason = "volume_only"  // more feedback, but no worse than usual
	ShareOnly   Reason = "share_only"   // worse than usual, but no more negatives than on any other day
	NothingSeen Reason = "nothing_seen" // an empty window

	CountAndShare Reason = "count_and_share" // more negatives than usual, and a larger share
	Surge         Reason = "surge"           // more feedback than usual, good or bad
	Escalating    Reason = "escalating"      // above the escalation limit
	Outlier       Reason = "outlier"         // far from the median
	OverThreshold Reason = "over_threshold"  // above a fixed number
	Breach        Reason = "sla_breach"      // waiting longer than promised
)

// Level is how far a reading is from usual.
type Level int

// Levels. A reading that is not calm keeps an alert open but raises none: the gap between the two is the hysteresis.
const (
	Calm   Level = iota // as usual
	Uneasy              // would not happen by chance in a hundred windows
	Alarm               // crosses the line of the rule
)

// Reading is what was counted in one window of one cell.
type Reading struct {
	From, To time.Time // the window; To is the time of the reading
	Total    int       // different customers who spoke
	Negative int       // different customers who said something negative
	Unnamed  int       // of those who spoke, customers who are not known
	Nameless int       // of those who said something negative
	Channels map[string]Spoke
}

// Spoke is how many different customers spoke in one channel, where they spoke last, and said something negative.
type Spoke struct{ Total, Negative, Unnamed, Nameless int }

// add adds what was counted in one channel.
func (r *Reading) add(channel string, n Spoke) {
	c := r.Channels[channel]
	r.Channels[channel] = Spoke{c.Total + n.Total, c.Negative + n.Negative, c.Unnamed + n.Unnamed, c.Nameless + n.Nameless}
	r.Total, r.Negative, r.Unnamed, r.Nameless = r.Total+n.Total, r.Negative+n.Negative, r.Unnamed+n.Unnamed, r.Nameless+n.Nameless
}

// unnamedForOne is how many messages without a name are worth one customer where it is asked whether enough customers stand
// behind an alarm: one person may send a few, and a channel in which nobody gives a name still has a voice.
const unnamedForOne = 3

// atLeast is how many different customers of n there are, so many of whom are not known.
func atLeast(n, unnamed int) int { return n - unnamed + (unnamed+unnamedForOne-1)/unnamedForOne }

// Floors are the least numbers anybody is called for, whatever the probability.
type Floors struct {
	Customers int     // different customers with something negative, three without a name for one; default 5
	Factor    float64 // times what is expected; default 1.5
}

// Verdict is what a detector says of a reading.
type Verdict struct {
	Level       Level
	Reason      Reason
	Window      time.Duration
	Observed    float64 // customers, or what the rule measures
	Expected    float64 // the same, as usual
	Limit       float64 // what Observed had to reach; 0: not a fixed number
	Probability float64 // of such a reading by chance; 1 where the detector knows none
	Total       int     // customers who spoke in the window
}

// Levels of the two tests of a negative spike. The share has to reach alpha, and this where few cells make alpha large, so
// that a surge of feedback that happens to be a little worse calls nobody. The count only has to make it unlikely that they
// merely praise less than usual.
const (
	shareGuard = 1e-4
	countGuard = 0.03
)

// unease is the probability below which a reading is [Uneasy].
const unease = 0.01

// NegativeSpike finds a larger share of negatives than usual that is also more of them than usual. The share must reach
// alpha, the count a far weaker level: a surge of feedback fails in its share, an hour with less praise in its count. Shares
// are beta-binomial, counts negative binomial; both allow for what the baseline does not know.
// What is usual is nil where too little is known.
func NegativeSpike(u *Usual, r Reading, f Floors, alpha float64) Verdict {
	v := Verdict{Window: r.To.Sub(r.From), Observed: float64(r.Negative), Total: r.Total, Probability: 1}
	if u == nil {
		v.Reason = ColdStart
		return v
	}
	v.Expected = u.Negative
	if r.Negative == 0 {
		v.Reason = NothingSeen
		return v
	}
	count := CountTail(r.Negative, u.Negative, u.Dispersion)
	share := ShareTail(r.Negative, max(r.Total, r.Negative), u.Share, u.Rho)
	v.Probability = share
	switch {
	case math.Min(count, share) > unease:
		v.Reason = AsUsual
	case atLeast(r.Negative, r.Nameless) < f.Customers || v.Observed < f.Factor*v.Expected:
		v.Reason = BelowFloor
	case share > unease:
		v.Reason = VolumeOnly
	case count > countGuard:
		v.Reason = ShareOnly
	default:
		v.Reason, v.Level = CountAndShare, Uneasy
		if share <= math.Min(alpha, shareGuard) {
			v.Level = Alarm
		}
	}
	return v
}

// VolumeSpike finds more feedback than usual, good or bad. What is usual is nil where too little is known.
func VolumeSpike(u *Usual, r Reading, f Floors, alpha float64) Verdict {
	v := Verdict{Window: r.To.Sub(r.From), Observed: float64(r.Total), Total: r.Total, Probability: 1}
	if u == nil {
		v.Reason = ColdStart
		return v
	}
	v.Expected = u.Total
	if v.Observed < f.Factor*v.Expected || atLeast(r.Total, r.Unnamed) < f.Customers {
		v.Reason = BelowFloor
		return v
	}
	v.Probability = CountTail(r.Total, u.Total, u.Surge)
	switch {
	case v.Probability > unease:
		v.Reason = AsUsual
	default:
		v.Reason, v.Level = Surge, Uneasy
		if v.Probability <= alpha {
			v.Level = Alarm
		}
	}
	return v
}

// Threshold finds a number of customers of at least limit, with no notion of usual. It is what a rule about single events
// uses, with a limit of 1.
func Threshold(observed, limit float64, window time.Duration, reason Reason) Verdict {
	v := Verdict{Window: window, Observed: observed, Limit: limit, Probability: 1, Reason: AsUsual, Total: int(observed)}
	if observed >= limit && observed > 0 {
		v.Level, v.Reason = Alarm, reason
	}
	return v
}

// EscalatingLimit is the hourly limit of Sentry's escalating issues, computed from the hours of the week before (its
// documentation, "Escalating Issues Algorithm"): the larger of a spike limit, mean + min(max((mean + 5·sd)/mean, 5), 8)·mean,
// and a bursty limit, max · min(max(2, 5·e^(−0.65·cv)), 5). With less than a week it is ten times the largest hour.
func EscalatingLimit(hours []float64) float64 {
	if len(hours) == 0 {
		return math.Inf(1)
	}
	largest := slices.Max(hours)
	if len(hours) < HoursOfWeek {
		return 10 * largest
	}
	mean, sd := moments(hours)
	if mean == 0 {
		return 1
	}
	spike := mean + clamp((mean+5*sd)/mean, 5, 8)*mean
	bursty := largest * math.Min(math.Max(2, 5*math.Exp(-0.65*sd/mean)), 5)
	return math.Max(spike, bursty)
}

// RobustZ is how many standard deviations x lies above the median of comparable values, the deviation estimated by
// 1.4826 times the median absolute deviation (consistent for a normal distribution). Without any deviation it is infinite
// above the median and 0 elsewhere.
func RobustZ(x float64, comparable []float64) float64 {
	if len(comparable) == 0 {
		return 0
	}
	m := median(comparable)
	dev := make([]float64, len(comparable))
	for i, c := range comparable {
		dev[i] = math.Abs(c - m)
	}
	switch mad := median(dev); {
	case mad > 0:
		return (x - m) / (1.4826 * mad)
	case x > m:
		return math.Inf(1)
	}
	return 0
}

// above makes a verdict of an hourly count and the limit it is held against; half the limit keeps an alert open.
func above(observed, limit, expected float64, f Floors, reason Reason) Verdict {
	v := Verdict{Window: time.Hour, Observed: observed, Limit: limit, Expected: expected, Probability: 1, Reason: AsUsual}
	switch {
	case observed > limit && observed < float64(f.Customers):
		v.Reason = BelowFloor
	case observed > limit:
		v.Level, v.Reason = Alarm, reason
	case observed > limit/2 && observed >= float64(f.Customers):
		v.Level = Uneasy
	}
	return v
}

func moments(xs []float64) (mean, sd float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	for _, x := range xs {
		sd += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sd / float64(len(xs)))
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 1 {
		return s[n/2]
	} else {
		return (s[n/2-1] + s[n/2]) / 2
	}
}

// looksPerWindow is how many independent looks one sliding window is worth that is looked at all the time; measured in the
// simulation, where the levels of [Alpha] keep the number of false alarms below the budget.
const looksPerWindow = 2

// leastCells is how many cells the budget is divided by at least: who watches one channel would not want to be called for
// nothing as often as who watches a hundred.
const leastCells = 10

// Alpha is the probability a reading must fall below, so that all cells, windows and moments together raise at most
// perWeek alerts a week by chance (Bonferroni: the budget is divided by the number of looks).
func Alpha(perWeek float64, cells, windows int, window time.Duration) float64 {
	looks := float64(7*24*time.Hour) / float64(window) * looksPerWindow
	return perWeek / (float64(max(cells, leastCells)*max(windows, 1)) * looks)
}
