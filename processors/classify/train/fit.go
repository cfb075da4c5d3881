package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Options of a fit. The defaults of [DefaultOptions] were picked on development rows.
type Options struct {
	Epochs                int     // passes over the rows
	Rate                  float64 // step size of AdaGrad
	Decay                 float64 // pull of each learned weight towards zero, or towards the prior
	Pull                  float64 // pull of each dense weight towards its prior
	Drop                  float64 // share of learned features left out of a step
	Seed                  uint64  // of the first of the runs
	Runs                  int     // fits with other seeds whose weights are averaged
	TopicDecay, TopicPull float64 // the same for the topic heads
	Balance               float64 // 0: rows as they are; 1: every class weighs the same
}

// DefaultOptions are what the shipped model was trained with.
func DefaultOptions() Options {
	return Options{Epochs: 5, Rate: 0.05, Decay: 5e-6, Pull: 1e-4, Drop: 0.3, Seed: 1, Runs: 4, Balance: 0.5, TopicDecay: 2e-3, TopicPull: 0.05}
}

// check says what of the options no model can be fitted with.
func (o *Options) check() error {
	var errs []error
	within := func(name string, x, lo, hi float64) {
		if !(x >= lo && x <= hi) { // NaN is within nothing
			errs = append(errs, fmt.Errorf("train: %s is %v, want %v to %v", name, x, lo, hi))
		}
	}
	within("epochs", float64(o.Epochs), 1, 1000)
	within("runs", float64(o.Runs), 1, 1000)
	within("rate", o.Rate, 1e-6, 10)
	within("decay", o.Decay, 0, 1)
	within("topic-decay", o.TopicDecay, 0, 1)
	within("pull", o.Pull, 0, 1)
	within("topic-pull", o.TopicPull, 0, 1)
	within("drop", o.Drop, 0, 0.99)
	within("balance", o.Balance, 0, 1)
	return errors.Join(errs...)
}

// row is one labelled text as numbers.
type row struct {
	dense  []int32
	groups [2][]uint32 // features that are averaged together: words, runs of letters
	label  int
	weight float64

	several bool // more than one sentence
}

// linear is a multinomial logistic regression: dense weights, and a table of learned ones.
type linear struct {
	classes int
	dense   [][]float64 // [class][feature]
	table   []float32   // [place*classes + class]
}

func newLinear(classes, dense, places int) *linear {
	m := &linear{classes: classes, table: make([]float32, places*classes)}
	for range classes {
		m.dense = append(m.dense, make([]float64, dense))
	}
	return m
}

const unit = 1 << 12 // of the dense features

func (m *linear) logits(z []float64, r *row, kept *[2][]uint32) {
	for k := range z {
		var d float64
		for i, w := range m.dense[k] {
			d += w * float64(r.dense[i])
		}
		z[k] = d / unit
	}
	for _, ids := range kept {
		if len(ids) == 0 {
			continue
		}
		scale := 1 / math.Sqrt(float64(len(ids)))
		for _, id := range ids {
			w := m.table[int(id)*m.classes:]
			for k := range z {
				z[k] += scale * float64(w[k])
			}
		}
	}
}

func softmax(z []float64) {
	top := z[0]
	for _, x := range z {
		top = max(top, x)
	}
	sum := 0.0
	for k := range z {
		z[k] = math.Exp(z[k] - top)
		sum += z[k]
	}
	for k := range z {
		z[k] /= sum
	}
}

// balance multiplies the weights of rows so that rare classes count more.
func balance(rows []row, classes int, by float64) {
	sums := make([]float64, classes)
	total := 0.0
	for i := range rows {
		sums[rows[i].label] += rows[i].weight
		total += rows[i].weight
	}
	for i := range rows {
		rows[i].weight *= math.Pow(total/float64(classes)/sums[rows[i].label], by)
	}
}

// fit runs AdaGrad on the cross entropy from the model given, towards which decay pulls. Equal rows and options give an
// equal model.
func (m *linear) fit(rows []row, o Options) {
	sum := make([]float32, len(m.table))
	sumDense := make([][]float64, m.classes)
	for k := range sumDense {
		sumDense[k] = make([]float64, len(m.dense[k]))
	}
	runs := max(1, o.Runs)
	for i := range runs {
		n := &linear{classes: m.classes, table: slices.Clone(m.table)}
		for _, w := range m.dense {
			n.dense = append(n.dense, slices.Clone(w))
		}
		run := o
		run.Seed += uint64(i)
		n.once(rows, run)
		for j, w := range n.table {
			sum[j] += w / float32(runs)
		}
		for k := range n.dense {
			for j, w := range n.dense[k] {
				sumDense[k][j] += w / float64(runs)
			}
		}
	}
	m.table, m.dense = sum, sumDense
}

// once is one run of [linear.fit].
func (m *linear) once(rows []row, o Options) {
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	prior := append([]float32(nil), m.table...)
	grad := make([]float32, len(m.table))
	gradDense := make([][]float64, m.classes)
	for k := range gradDense {
		gradDense[k] = make([]float64, len(m.dense[k]))
	}
	priorDense := make([][]float64, m.classes)
	for k := range priorDense {
		priorDense[k] = append([]float64(nil), m.dense[k]...)
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	z, g := make([]float64, m.classes), make([]float64, m.classes)
	var kept [2][]uint32
	rate, decay := float32(o.Rate), float32(o.Decay)
	for range o.Epochs {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, at := range order {
			r := &rows[at]
			for q, ids := range r.groups {
				kept[q] = kept[q][:0]
				for _, id := range ids {
					if rng.Float64() >= o.Drop {
						kept[q] = append(kept[q], id)
					}
				}
			}
			m.logits(z, r, &kept)
			softmax(z)
			for k := range z {
				g[k] = z[k] * r.weight
			}
			g[r.label] -= r.weight
			for k := range z {
				for i, x := range r.dense {
					if x == 0 {
						continue
					}
					d := g[k]*float64(x)/unit + o.Pull*(m.dense[k][i]-priorDense[k][i])
					gradDense[k][i] += d * d
					m.dense[k][i] -= o.Rate * d / math.Sqrt(1e-4+gradDense[k][i])
				}
			}
			for _, ids := range kept {
				if len(ids) == 0 {
					continue
				}
				scale := 1 / math.Sqrt(float64(len(ids)))
				for _, id := range ids {
					base := int(id) * m.classes
					for k := range g {
						d := float32(g[k]*scale) + decay*(m.table[base+k]-prior[base+k])
						grad[base+k] += d * d
						m.table[base+k] -= rate * d / float32(math.Sqrt(float64(1e-2+grad[base+k])))
					}
				}
			}
		}
	}
}

// temperature returns what the log odds must be divided by so that the rows are likeliest.
func (m *linear) temperature(rows []row) float64 {
	all := make([]answer, len(rows))
	for i := range rows {
		all[i] = m.answer(&rows[i])
	}
	return likeliest(all)
}

// likeliest returns what the log odds of answers must be divided by so that the right classes are likeliest, found by
// bisection of the slope; 1 where there are none.
func likeliest(all []answer) float64 {
	slope := func(t float64) float64 { // of the likelihood by 1/t
		s := 0.0
		for _, a := range all {
			p := slices.Clone(a.z)
			for k := range p {
				p[k] /= t
			}
			softmax(p)
			mean := 0.0
			for k := range p {
				mean += p[k] * a.z[k]
			}
			s += a.weight * (a.z[a.label] - mean)
		}
		return s
	}
	lo, hi := 0.3, 5.0
	if len(all) == 0 {
		return 1
	}
	for range 25 {
		if mid := math.Sqrt(lo * hi); slope(mid) > 0 { // likelier with sharper odds
			hi = mid
		} else {
			lo = mid
		}
	}
	return math.Sqrt(lo * hi)
}
