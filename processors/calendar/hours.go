package calendar

import (
	"encoding/binary"
	"hash/fnv"
	"sort"
	"time"
)

// Hours is one time for which a calendar is open, in UTC, without its end.
type Hours struct {
	Opens, Closes time.Time
	Before        time.Duration // open time of the calendar before Opens
}

// Horizon are the years whose hours are worked out, the last left out. What happened before has no business time; a
// calendar is to be set again before its end.
const (
	FirstYear = 2015
	LastYear  = 2046
)

// Hours works out the opening hours between the first of January of two years, in order, those that touch joined. A
// calendar that is always open has none.
//
// A time of day that is skipped when summer time begins stands for the moment of the change; one that comes twice when
// it ends, for the first of the two. So spans that touch on the wall touch in UTC, and no hour is lost or counted twice.
func (c *Calendar) Hours(first, last int) []Hours {
	if c.Always {
		return nil
	}
	var out []Hours
	end := time.Date(last, 1, 1, 0, 0, 0, 0, time.UTC)
	// One day more on either side: the year begins at another moment in the zone, and a span may begin the day before.
	for day := time.Date(first, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -1); !day.After(end); day = day.AddDate(0, 0, 1) {
		spans, special := c.special[day.Format(time.DateOnly)]
		if !special {
			spans = c.week[day.Weekday()]
		}
		for _, s := range spans {
			h := Hours{Opens: moment(day, s.from, c.Zone), Closes: moment(day, s.to, c.Zone)}
			if n := len(out); n > 0 && !h.Opens.After(out[n-1].Closes) {
				if h.Closes.After(out[n-1].Closes) {
					out[n-1].Closes = h.Closes
				}
				continue
			}
			if h.Closes.After(h.Opens) {
				out = append(out, h)
			}
		}
	}
	before := time.Duration(0)
	for i := range out {
		out[i].Before = before
		before += out[i].Closes.Sub(out[i].Opens)
	}
	return out
}

// moment is when the clock on the wall shows so many minutes after the midnight of a day. day is that midnight, as if the
// zone were UTC.
func moment(day time.Time, minutes int, zone *time.Location) time.Time {
	wall := day.Add(time.Duration(minutes) * time.Minute)
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	// The offsets a day before and after are those on the two sides of a change, if there is one.
	before, after := offset(wall.Add(-24*time.Hour)), offset(wall.Add(24*time.Hour))
	early, late := wall.Add(-before), wall.Add(-after)
	if late.Before(early) {
		early, late, before, after = late, early, after, before
	}
	switch {
	case offset(early) == before:
		return early.UTC()
	case offset(late) == after:
		return late.UTC()
	}
	begins, _ := late.In(zone).ZoneBounds() // skipped: the moment of the change lies between the two
	if begins.Before(early) || begins.IsZero() {
		_, begins = early.In(zone).ZoneBounds()
	}
	return begins.UTC()
}

// Revision names hours by what they are: equal hours have the same, and none have 0.
func Revision(hours []Hours) uint64 {
	if len(hours) == 0 {
		return 0
	}
	h := fnv.New64a()
	var b [16]byte
	for _, x := range hours {
		binary.BigEndian.PutUint64(b[:8], uint64(x.Opens.Unix()))
		binary.BigEndian.PutUint64(b[8:], uint64(x.Closes.Unix()))
		h.Write(b[:])
	}
	return max(h.Sum64(), 1)
}

// Worked is the open time of the hours before a moment.
func Worked(hours []Hours, at time.Time) time.Duration {
	i := sort.Search(len(hours), func(i int) bool { return hours[i].Opens.After(at) }) - 1
	if i < 0 {
		return 0
	}
	return hours[i].Before + min(at.Sub(hours[i].Opens), hours[i].Closes.Sub(hours[i].Opens))
}

// Due is when an open time has passed since a moment: at the end of a span rather than at the beginning of the next. It
// is the zero time where the hours end before.
func Due(hours []Hours, since time.Time, allowed time.Duration) time.Time {
	need := Worked(hours, since) + allowed
	i := sort.Search(len(hours), func(i int) bool { return hours[i].Before >= need }) - 1
	if i < 0 || hours[i].Opens.Add(need-hours[i].Before).After(hours[i].Closes) {
		return time.Time{}
	}
	return hours[i].Opens.Add(need - hours[i].Before)
}
