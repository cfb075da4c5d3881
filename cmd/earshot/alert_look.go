package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
	earshotsql "github.com/earshot/earshot/schemas/sql"
)

// journalOf opens the state of the alerts for a command that only looks or changes a line of it.
func journalOf(ctx context.Context, env *environment, opened *closers) (*stream.Journal, error) {
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	s, err := locate(ctx, env, need{nats: true}, log, opened)
	if err != nil {
		return nil, err
	}
	nc, js, err := stream.Connect(s.natsURL, "earshot-alert", log)
	if err != nil {
		return nil, err
	}
	opened.add("NATS connection", func(context.Context) error { nc.Close(); return nil })
	return stream.OpenJournal(js, nc, schemas.AlertJournal), nil
}

func runAlertSimulate(ctx context.Context, env *environment, args []string) (err error) {
	fs := flag.NewFlagSet("earshot alert simulate", flag.ContinueOnError)
	name := fs.String("rule", "", "name of the `RULE`")
	file := fs.String("rules", env.config.AlertRules, "`FILE` of rules; empty: the shipped ones")
	from := fs.String("from", "", "first `TIME`, such as 2026-11-01 or 2026-11-01T08:00:00Z; default: a week before the last")
	to := fs.String("to", "", "last `TIME`; default: now")
	step := fs.Duration("step", time.Minute, "how far apart to look")
	switch args, err := alertFlags(env, fs, args); {
	case err != nil:
		return err
	case len(args) > 0:
		return usagef("does not take %q", strings.Join(args, " "))
	case *step < time.Second:
		return usagef("--step %v: wants at least 1s", *step)
	}
	place, text, err := ruleText(*file)
	if err != nil {
		return err
	}
	rules, err := alerts.ParseRules(place, text)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rules, func(r alerts.Rule) bool { return r.Name == *name })
	if i < 0 {
		var names []string
		for _, r := range rules {
			names = append(names, r.Name)
		}
		return usagef("--rule %q: choose one of %s", *name, strings.Join(names, ", "))
	}
	last := time.Now().UTC()
	if *to != "" {
		if last, err = timeOrDay(*to); err != nil {
			return usagef("--to: %w", err)
		}
	}
	first := last.AddDate(0, 0, -7)
	if *from != "" {
		if first, err = timeOrDay(*from); err != nil {
			return usagef("--from: %w", err)
		}
	}
	if !first.Before(last) {
		return usagef("--from must be before --to")
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	quotes, err := privacy.NewMasker()
	if err != nil {
		return err
	}
	found, err := alerts.Replay(ctx, store, &rules[i], first, last, *step, quotes.Quote)
	if err != nil {
		return err
	}
	return printReplay(env.stdout, &rules[i], found, first, last)
}

// cellText is a cell as one word, its dimensions in alphabetical order.
func cellText(cell map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(cell)) {
		if cell[k] != "" {
			parts = append(parts, k+"="+cell[k])
		}
	}
	return strings.Join(parts, ",")
}

func runAlertList(ctx context.Context, env *environment, args []string) (err error) {
	fs := flag.NewFlagSet("earshot alert list", flag.ContinueOnError)
	all := fs.Bool("all", false, "show those that are over too, from the table")
	switch args, err := alertFlags(env, fs, args); {
	case err != nil:
		return err
	case len(args) > 0:
		return usagef("does not take %q", strings.Join(args, " "))
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	if *all {
		q, err := earshotsql.Find("alerts_latest")
		if err != nil {
			return err
		}
		store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
		if err != nil {
			return err
		}
		return store.Named(ctx, q, nil, "", env.stdout)
	}
	j, err := journalOf(ctx, env, &opened)
	if err != nil {
		return err
	}
	s, _, err := alerts.Read(ctx, j)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(env.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "id\traised\tseverity\trule\tcell\tobserved\texpected\tstate")
	open := slices.SortedFunc(maps.Values(s.Alerts), func(a, b *alerts.Open) int { return a.RaisedAt.Compare(b.RaisedAt) })
	for _, a := range open {
		state := "open"
		switch {
		case a.Resolved():
			state = "over, being delivered"
		case a.AckedBy != "":
			state = "looked after by " + a.AckedBy
		case !a.Paged:
			state = "held back"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%g\t%.3g\t%s\n", a.ID[:8], a.RaisedAt.Format(time.RFC3339), a.Severity, a.Rule, cellText(a.Cell), a.Observed, a.Expected, state)
	}
	for _, m := range s.Mutes {
		fmt.Fprintf(w, "%s\tuntil %s\tmute\t\t%s\t\t\tby %s %s\n", m.ID, m.Until.Format(time.RFC3339), cellText(m.Match), m.By, m.Comment)
	}
	return w.Flush()
}

func runAlertAck(ctx context.Context, env *environment, args []string) (err error) {
	fs := flag.NewFlagSet("earshot alert ack", flag.ContinueOnError)
	by := fs.String("by", userName(), "who looks after it")
	args, err = alertFlags(env, fs, args)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return usagef("takes the id of one alert, or at least four characters of its beginning; 'earshot alert list' shows them")
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	j, err := journalOf(ctx, env, &opened)
	if err != nil {
		return err
	}
	return alerts.Edit(ctx, j, func(s *alerts.State) error { return s.Ack(args[0], *by, time.Now().UTC()) })
}

func runAlertMute(ctx context.Context, env *environment, args []string) (err error) {
	fs := flag.NewFlagSet("earshot alert mute", flag.ContinueOnError)
	long := fs.Duration("for", time.Hour, "how long")
	by := fs.String("by", userName(), "who mutes")
	comment := fs.String("comment", "", "why")
	end := fs.String("end", "", "end the mute with this `ID` instead")
	args, err = alertFlags(env, fs, args)
	if err != nil {
		return err
	}
	match := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return usagef("%q: wants name=value, such as channel=app, alertname=NegativeSpike or severity=warning", a)
		}
		if value == "" { // what an alert lacks is empty too: it would hold back everything
			return usagef("%q: wants a value: an empty one would mute every alert without %s", a, name)
		}
		match[name] = value
	}
	if len(match) > 0 {
		names, err := muteNames(env)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(match)) {
			if !slices.Contains(names, name) {
				return usagef("%q: no alert has it: use one of %s", name, strings.Join(names, ", "))
			}
		}
	}
	if (*end == "") == (len(match) == 0) || *long <= 0 {
		return usagef("takes what to mute as name=value, or --end with the id of a mute")
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	j, err := journalOf(ctx, env, &opened)
	if err != nil {
		return err
	}
	id := strings.ToLower(rand.Text()[:8])
	err = alerts.Edit(ctx, j, func(s *alerts.State) error {
		if *end == "" {
			s.Mutes = append(s.Mutes, alerts.Mute{ID: id, Match: match, Until: time.Now().UTC().Add(*long).Truncate(time.Second), By: *by, Comment: *comment})
			return nil
		}
		n := len(s.Mutes)
		if s.Mutes = slices.DeleteFunc(s.Mutes, func(m alerts.Mute) bool { return m.ID == *end }); len(s.Mutes) == n {
			return fmt.Errorf("there is no mute %q: 'earshot alert list' shows them", *end)
		}
		return nil
	})
	if err == nil && *end == "" {
		_, err = fmt.Fprintf(env.stdout, "muted until %s; 'earshot alert mute --end %s' ends it\n", time.Now().UTC().Add(*long).Format(time.RFC3339), id)
	}
	return err
}

// muteNames lists what a mute may match: what every alert has, the dimensions, and the labels of the rules.
func muteNames(env *environment) ([]string, error) {
	file, text, err := ruleText(env.config.AlertRules)
	if err != nil {
		return nil, err
	}
	rules, err := alerts.ParseRules(file, text)
	if err != nil {
		return nil, err
	}
	names := append([]string{"alertname", "severity"}, alerts.Dimensions()...)
	for _, r := range rules {
		for _, label := range slices.Sorted(maps.Keys(r.Labels)) {
			if !slices.Contains(names, label) {
				names = append(names, label)
			}
		}
	}
	return names, nil
}

// userName is the name of whoever runs the command, as far as the system knows it.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
