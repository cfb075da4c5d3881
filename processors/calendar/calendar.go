// Package calendar knows when a tenant works: weekly hours in a time zone, holidays, days with hours of their own, and how
// fast the tenant means to answer.
//
// A calendar passes through it like this. [Parse] reads the file a person wrote and names every fault at once;
// [Calendar.Hours] works its hours out as moments in UTC, once, with every change of summer time; the store keeps them, and
// the views subtract. [Worked] and [Due] do the same sums in memory.
//
// It refuses to guess: a time zone it does not know, hours that overlap or a date that does not exist are faults, and a day
// that is not named is closed.
package calendar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Calendar is the calendar of one tenant.
type Calendar struct {
	Tenant   string
	Zone     *time.Location
	Always   bool // day and night: no hours were given
	Wall     bool // targets are judged by the wall clock, not by business time
	Targets  map[string]uint32
	Original json.RawMessage // as it was written

	week    [7][]span // by time.Weekday
	special map[string][]span
}

// span is opening hours of a day, in minutes since its midnight by the clock on the wall. An end beyond 1440 lies in the
// next day.
type span struct{ from, to int }

// Names of the targets, as they are in the file and in the store.
const (
	FirstResponse = "first_response"
	NextResponse  = "next_response"
	Resolution    = "resolution"
)

// file is what a person writes: calendars by tenant.
type file struct {
	Tenants map[string]json.RawMessage `json:"tenants"`
}

// entry is the calendar of one tenant in the file.
type entry struct {
	TimeZone string              `json:"time_zone"` // IANA name, such as Europe/Berlin
	Hours    map[string][]string `json:"hours"`     // by mon … sun, such as ["09:00-12:30","13:30-18:00"]; none at all: day and night
	Holidays []string            `json:"holidays"`  // dates on which it is closed, such as 2026-12-25
	Special  map[string][]string `json:"special"`   // hours of single dates, which count instead of those of the week
	Clock    string              `json:"clock"`     // by which targets are judged: business (the default) or wall
	Targets  targets             `json:"targets"`
	Channels map[string]targets  `json:"channels"` // targets of single channels
}

// targets are durations such as "4h"; empty: the default.
type targets struct {
	First      string `json:"first_response"`
	Next       string `json:"next_response"`
	Resolution string `json:"resolution"`
}

// days are the names of the days in the file, by time.Weekday.
var days = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Parse reads a file of calendars. The error names every fault with its place.
func Parse(text []byte) ([]Calendar, error) {
	var f file
	if err := strictly(text, &f); err != nil {
		return nil, fmt.Errorf("it is not a calendar file: %w; one looks like %s", err, Example)
	}
	if len(f.Tenants) == 0 {
		return nil, errors.New("it names no tenant; a calendar file looks like " + Example)
	}
	var out []Calendar
	var faults []error
	for _, tenant := range slices.Sorted(maps.Keys(f.Tenants)) {
		c, errs := parseTenant(tenant, f.Tenants[tenant])
		for _, err := range errs {
			faults = append(faults, fmt.Errorf("tenant %q: %w", tenant, err))
		}
		out = append(out, c)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// Example is a calendar file as short as one can be.
const Example = `{"tenants":{"acme":{"time_zone":"Europe/Berlin","hours":{"mon":["09:00-18:00"]},"holidays":["2026-12-25"],"targets":{"first_response":"4h"}}}}`

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows the object")
	}
	return nil
}

func parseTenant(tenant string, text json.RawMessage) (c Calendar, faults []error) {
	c = Calendar{Tenant: tenant, Targets: map[string]uint32{}, Original: text, special: map[string][]span{}}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	var e entry
	if err := strictly(text, &e); err != nil {
		return c, []error{err}
	}
	var err error
	if c.Zone, err = time.LoadLocation(e.TimeZone); err != nil || e.TimeZone == "Local" {
		fault("time_zone is %q, must be an IANA name such as Europe/Berlin or UTC", e.TimeZone)
	}
	c.Always = len(e.Hours) == 0
	if c.Always && len(e.Holidays)+len(e.Special) > 0 {
		fault("holidays and special days need hours of the week beside them")
	}
	open := false
	for _, name := range slices.Sorted(maps.Keys(e.Hours)) {
		day := slices.Index(days[:], name)
		if day < 0 {
			fault("hours: there is no day %q; days are mon, tue, wed, thu, fri, sat and sun", name)
			continue
		}
		if c.week[day], err = parseSpans(e.Hours[name]); err != nil {
			fault("hours of %s: %w", name, err)
		}
		open = open || len(c.week[day]) > 0
	}
	if !c.Always && !open && len(faults) == 0 {
		fault("no day of the week is open: nothing would ever be due")
	}
	for _, date := range e.Holidays {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			fault("holidays: %q is no date such as 2026-12-25", date)
		}
		c.special[date] = nil
	}
	for _, date := range slices.Sorted(maps.Keys(e.Special)) {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			fault("special: %q is no date such as 2026-12-24", date)
		}
		if _, twice := c.special[date]; twice {
			fault("special: %s is a holiday as well", date)
		}
		if c.special[date], err = parseSpans(e.Special[date]); err != nil {
			fault("special %s: %w", date, err)
		}
	}
	switch e.Clock {
	case "", "business":
	case "wall":
		c.Wall = true
	default:
		fault("clock is %q, must be business or wall", e.Clock)
	}
	faults = append(faults, c.setTargets("", e.Targets)...)
	for _, channel := range slices.Sorted(maps.Keys(e.Channels)) {
		if !slices.Contains(schemas.Channels(), channel) {
			fault("channels: there is no channel %q; there are %s", channel, strings.Join(schemas.Channels(), ", "))
			continue
		}
		faults = append(faults, c.setTargets("/"+channel, e.Channels[channel])...)
	}
	return c, faults
}

// longest is the longest target: a year.
const longest = 366 * 24 * time.Hour

func (c *Calendar) setTargets(suffix string, t targets) (faults []error) {
	for _, one := range [...]struct{ name, value string }{{FirstResponse, t.First}, {NextResponse, t.Next}, {Resolution, t.Resolution}} {
		if one.value == "" {
			continue
		}
		d, err := time.ParseDuration(one.value)
		if err != nil || d < time.Second || d > longest || d%time.Second != 0 {
			faults = append(faults, fmt.Errorf("targets%s: %s is %q, must be whole seconds up to a year, such as 15m, 4h or 72h", suffix, one.name, one.value))
			continue
		}
		c.Targets[one.name+suffix] = uint32(d / time.Second)
	}
	return faults
}

// parseSpans reads the hours of a day: in order, not overlapping. A span that ends at or before its beginning ends the
// next day.
func parseSpans(list []string) ([]span, error) {
	var out []span
	for _, s := range list {
		from, to, ok := strings.Cut(s, "-")
		a, errA := minutes(from)
		b, errB := minutes(to)
		if !ok || errA != nil || errB != nil || a == 24*60 {
			return nil, fmt.Errorf("%q is no span such as 09:00-18:00 or 22:00-02:00", s)
		}
		if b <= a {
			b += 24 * 60
		}
		if n := len(out); n > 0 && a < out[n-1].to {
			return nil, fmt.Errorf("%q begins before the span ahead of it ends", s)
		}
		out = append(out, span{a, b})
	}
	return out, nil
}

func minutes(clock string) (int, error) {
	h, m, ok := strings.Cut(clock, ":")
	hours, errH := strconv.ParseUint(h, 10, 8)
	mins, errM := strconv.ParseUint(m, 10, 8)
	if !ok || len(h) != 2 || len(m) != 2 || errH != nil || errM != nil || mins > 59 || hours*60+mins > 24*60 {
		return 0, fmt.Errorf("%q is no time of day", clock)
	}
	return int(hours*60 + mins), nil
}
