package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/processors/alerts"
)

// timeOrDay reads a time, or a day as its begin in UTC.
func timeOrDay(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%q: wants a time such as 2026-11-01T08:00:00Z, or a day such as 2026-11-01", s)
	}
	return t.UTC(), nil
}

// printReplay prints when a rule would have fired, and why it did not at other times.
func printReplay(out io.Writer, rule *alerts.Rule, r *alerts.Replayed, first, last time.Time) error {
	if len(r.Alerts) > 0 {
		w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "raised\tlasted\tcell\tobserved\texpected\twho spoke\twithin\tby chance\tmost speak of")
		for _, a := range r.Alerts {
			lasted := "to the end"
			if a.Resolved() {
				lasted = a.ResolvedAt.Sub(a.RaisedAt).Round(time.Second).String()
			}
			expected, chance := fmt.Sprintf("at least %g", a.Limit), "-"
			if rule.Seasonal() {
				expected = fmt.Sprintf("%.3g", a.Expected)
			}
			if a.Probability < 1 {
				chance = fmt.Sprintf("%.1e", a.Probability)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%g\t%s\t%d\t%v\t%s\t%s\n", a.RaisedAt.Format(time.RFC3339), lasted, cellText(a.Cell), a.Observed, expected, a.Total,
				time.Duration(a.Window), chance, a.TopTheme)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%s would have fired %d times between %s and %s, %.2g times a week\n", rule.Name, len(r.Alerts), first.Format(time.RFC3339), last.Format(time.RFC3339),
		float64(len(r.Alerts))*float64(7*24*time.Hour)/float64(last.Sub(first)))
	switch {
	case r.Said == 0 && r.Last.IsZero():
		fmt.Fprintln(out, "nothing is stored that alerts count")
	case r.Said == 0:
		fmt.Fprintf(out, "nothing that the rule counts was said then; what is stored reaches from %s to %s\n", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	default:
		fmt.Fprintf(out, "customers spoke %d times in %d cells; what was found at each look:", r.Said, r.Cells)
		reasons := make([]string, 0, len(r.Reasons))
		for reason, n := range r.Reasons {
			reasons = append(reasons, fmt.Sprintf(" %s %d", reason, n))
		}
		slices.Sort(reasons)
		for _, reason := range reasons {
			fmt.Fprint(out, reason)
		}
		fmt.Fprintln(out)
	}
	var err error
	switch {
	case !rule.Seasonal() || r.Said == 0:
	case r.KnownFrom.IsZero():
		_, err = fmt.Fprintln(out, "no cell was known for a week, without which nothing is unusual: begin later, or import what came before")
	case r.KnownFrom.After(first.Add(24 * time.Hour)):
		_, err = fmt.Fprintf(out, "before %s no cell was known for a week, and nothing could fire\n", r.KnownFrom.Format(time.RFC3339))
	}
	return err
}
