package alerts

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const nabStep = 5 * time.Minute

// nabSeries is one labelled series of counts.
type nabSeries struct {
	name    string
	start   time.Time
	counts  []float64
	windows []nabWindow
}

type nabWindow struct{ from, to, label time.Time }

func readNAB(t *testing.T) []*nabSeries {
	t.Helper()
	f, err := os.Open("testdata/nab/counts.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []*nabSeries
	byName := map[string]*nabSeries{}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		s := &nabSeries{name: fields[0]}
		if s.start, err = time.Parse(time.RFC3339, fields[1]); err != nil {
			t.Fatal(err)
		}
		for _, v := range fields[2:] {
			n, _ := strconv.ParseFloat(v, 64) // "-", missing, is 0
			s.counts = append(s.counts, n)
		}
		out, byName[s.name] = append(out, s), s
	}
	text, err := os.ReadFile("testdata/nab/windows.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		var w nabWindow
		for i, at := range []*time.Time{&w.from, &w.to, &w.label} {
			if *at, err = time.Parse("2006-01-02T15:04:05", strings.Replace(f[1+i], " ", "T", 1)); err != nil {
				t.Fatal(err)
			}
		}
		byName[f[0]].windows = append(byName[f[0]].windows, w)
	}
	return out
}

// at is the time when the count of a step is complete.
func (s *nabSeries) at(step int) time.Time { return s.start.Add(time.Duration(step+1) * nabStep) }

// hours are full hours of the clock, and the step at which each ends.
func (s *nabSeries) hours() (start time.Time, counts []float64, ends []int) {
	start = s.start.Truncate(time.Hour).Add(time.Hour)
	for i := int(start.Sub(s.start) / nabStep); i+12 <= len(s.counts); i += 12 {
		n := 0.0
		for _, c := range s.counts[i : i+12] {
			n += c
		}
		counts, ends = append(counts, n), append(ends, i+11)
	}
	return start, counts, ends
}

// volumeWindows leave out what is shorter than an hour: real volume comes in bursts of minutes, and with a window of 15
// minutes there were twice as many alerts for two windows more.
var volumeWindows = []time.Duration{time.Hour, 6 * time.Hour}

// volumeSpikes looks every five minutes; the baseline is learned anew each day.
func volumeSpikes(s *nabSeries) []time.Time {
	start, hours, _ := s.hours()
	var out []time.Time
	var b *Baseline
	day := -1
	for i := range s.counts {
		at := s.at(i)
		if d := int(at.Sub(start) / (24 * time.Hour)); d != day {
			day = d
			past := hours[:min(d*24, len(hours))]
			b = Fit(Series{Start: start, Total: past, Negative: make([]float64, len(past))})
		}
		for _, w := range volumeWindows {
			n := 0.0
			for k := i; k >= 0 && k > i-int(w/nabStep); k-- {
				n += s.counts[k]
			}
			v := VolumeSpike(b.Usual(at.Add(-w), at), Reading{From: at.Add(-w), To: at, Total: int(n)}, Floors{5, 3}, Alpha(0.05, 10, len(volumeWindows), w))
			if v.Level == Alarm {
				out = append(out, at)
				break
			}
		}
	}
	return out
}

func nabByHour(limit func(history []float64, now float64) bool) func(*nabSeries) []time.Time {
	return func(s *nabSeries) []time.Time {
		_, hours, ends := s.hours()
		var out []time.Time
		for h := HoursOfWeek; h < len(hours); h++ {
			if limit(hours[:h], hours[h]) {
				out = append(out, s.at(ends[h]))
			}
		}
		return out
	}
}

// On real counts with labelled windows the volume detector is no worse than those it replaces. Alarms less than six hours
// apart are one alert; the first week only teaches.
func TestVolumeDetectorsOnLabelledTweetCounts(t *testing.T) {
	series := readNAB(t)
	var table strings.Builder
	fmt.Fprintf(&table, "%-14s %7s %10s %8s %9s %14s\n", "detector", "alerts", "precision", "recall", "F1", "median delay")
	f1 := map[string]float64{}
	for _, d := range []struct {
		name   string
		detect func(*nabSeries) []time.Time
	}{{"volume_spike", volumeSpikes}, {"mean+2SD", nabByHour(twoSD)}, {"Sentry", nabByHour(sentry)}, {"MAD 3.5", nabByHour(mad)}} {
		alerts, good, found, windows := 0, 0, 0, 0
		var delays []time.Duration
		for _, s := range series {
			first := map[int]bool{}
			var last time.Time
			for _, at := range d.detect(s) {
				k := slices.IndexFunc(s.windows, func(w nabWindow) bool { return !at.Before(w.from) && !at.After(w.to) })
				if k >= 0 && !first[k] {
					first[k] = true
					delays = append(delays, at.Sub(s.windows[k].label))
				}
				if at.Sub(last) > 6*time.Hour {
					alerts++
					if k >= 0 {
						good++
					}
				}
				last = at
			}
			found += len(first)
			for _, w := range s.windows {
				if w.to.Sub(s.start) > MinHistory {
					windows++
				}
			}
		}
		slices.Sort(delays)
		p, r := float64(good)/float64(max(alerts, 1)), float64(found)/float64(windows)
		f1[d.name] = 2 * p * r / (p + r)
		delay := "-"
		if len(delays) > 0 {
			delay = delays[len(delays)/2].String()
		}
		fmt.Fprintf(&table, "%-14s %7d %10.2f %8.2f %9.2f %14s\n", d.name, alerts, p, r, f1[d.name], delay)
	}
	t.Log("\n" + table.String())
	for name, f := range f1 {
		if f > f1["volume_spike"] {
			t.Errorf("%s has F1 %.2f, volume_spike %.2f", name, f, f1["volume_spike"])
		}
	}
}
