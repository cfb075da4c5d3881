package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
	_ "time/tzdata" // calendars must not depend on what a container happens to hold

	"github.com/earshot/earshot/processors/calendar"
	"github.com/earshot/earshot/sinks/clickhouse"
)

func calendarCommand() command {
	return command{
		name: "calendar", args: "set|check FILE, or show", summary: "business hours, holidays and response targets",
		help: `Says when each tenant works and how fast it means to answer. 'set' stores the calendars of a file, and from then on the
figures count by them, old cases too; 'check' only finds faults; 'show' prints those that count. A tenant without one works
day and night and means to answer within 4 hours and to resolve within 72. A file looks like this; days that are not named
are closed, a span such as 22:00-02:00 ends the next day, clock is business or wall, channels may have targets of their own:
  {"tenants": {"acme": {
    "time_zone": "Europe/Berlin",
    "hours": {"mon": ["09:00-12:30", "13:30-18:00"], "tue": ["09:00-18:00"], "sat": ["10:00-14:00"]},
    "holidays": ["2026-12-25", "2026-12-26"],
    "special": {"2026-12-24": ["09:00-12:00"]},
    "clock": "business",
    "targets": {"first_response": "4h", "next_response": "8h", "resolution": "72h"},
    "channels": {"chat": {"first_response": "15m"}}}}}
Example: earshot calendar set calendar.json`,
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			switch {
			case len(args) == 2 && (args[0] == "set" || args[0] == "check"):
				return runCalendar(ctx, env, args[1], args[0] == "set")
			case len(args) == 1 && args[0] == "show":
				return showCalendars(ctx, env)
			}
			return usagef("takes set FILE, check FILE, or show")
		},
	}
}

// readInput reads a file, or standard input for "-".
func readInput(env *environment, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(env.stdin)
	}
	return os.ReadFile(name)
}

func runCalendar(ctx context.Context, env *environment, name string, set bool) (err error) {
	text, err := readInput(env, name)
	if err != nil {
		return err
	}
	list, err := calendar.Parse(text)
	if err != nil {
		return fmt.Errorf("the calendars in %s have faults:\n%w", name, err)
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	var store *clickhouse.Store
	if set {
		if store, _, err = locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened); err != nil {
			return err
		}
	}
	for i := range list {
		c := stored(&list[i])
		if set {
			if err := store.SetCalendar(ctx, c); err != nil {
				return err
			}
		}
		fmt.Fprintf(env.stdout, "%s: %s, %s\n", c.Tenant, c.Zone, hoursOf(c, time.Now()))
	}
	return nil
}

// stored is a calendar as the store takes it.
func stored(c *calendar.Calendar) *clickhouse.Calendar {
	hours := c.Hours(calendar.FirstYear, calendar.LastYear)
	out := &clickhouse.Calendar{Tenant: c.Tenant, Zone: c.Zone.String(), Wall: c.Wall, Targets: c.Targets, Definition: string(c.Original),
		Revision: calendar.Revision(hours), Hours: make([]clickhouse.OpenHours, len(hours))}
	for i, h := range hours {
		out.Hours[i] = clickhouse.OpenHours{Opens: h.Opens, Closes: h.Closes, Before: h.Before}
	}
	return out
}

// hoursOf says what a person can check at a glance: the hours of the coming seven days.
func hoursOf(c *clickhouse.Calendar, now time.Time) string {
	if len(c.Hours) == 0 {
		return "day and night"
	}
	var sum time.Duration
	next := ""
	for _, h := range c.Hours {
		if h.Opens.After(now) && h.Opens.Before(now.AddDate(0, 0, 7)) {
			sum += h.Closes.Sub(h.Opens)
			if next == "" {
				next = h.Opens.Format(time.RFC3339)
			}
		}
	}
	return fmt.Sprintf("%.1f hours in the next seven days, opens next at %s", sum.Hours(), first(next, "no time of the week"))
}

func showCalendars(ctx context.Context, env *environment) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(env.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "tenant\ttime zone\tclock\tset at\tas it was written")
	if err := store.Query(ctx, "SELECT tenant, argMax(time_zone, change), argMax(clock, change), argMax(at, change), argMax(definition, change) FROM calendars GROUP BY tenant ORDER BY tenant",
		nil, "TSVRaw", w); err != nil {
		return err
	}
	return w.Flush()
}
