package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/themes"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// themesAction is one of the things 'earshot themes' does.
type themesAction struct {
	name, args, summary string
	run                 func(ctx context.Context, env *environment, args []string) error
}

func themesActions() []themesAction {
	return []themesAction{
		{"discover", "--tenant T [--dry-run]", "look for themes in what the customers said", runThemesDiscover},
		{"list", "--tenant T [--all]", "show them, the emergent first", runThemesList},
		{"name", "--tenant T ID NAME", "give one a name", changeTheme("name", 2, func(b *themes.Book, a []string, known func(string) bool) (*themes.Book, error) {
			return b.Rename(a[0], a[1], known)
		})},
		{"merge", "--tenant T ID INTO", "texts that had the first get the second", changeTheme("merge", 2, func(b *themes.Book, a []string, known func(string) bool) (*themes.Book, error) {
			return b.Merge(a[0], a[1], known)
		})},
		{"hide", "--tenant T ID", "texts get it no more", changeTheme("hide", 1, func(b *themes.Book, a []string, known func(string) bool) (*themes.Book, error) {
			return b.Hide(a[0], true, known)
		})},
		{"show", "--tenant T ID", "texts get it again", changeTheme("show", 1, func(b *themes.Book, a []string, known func(string) bool) (*themes.Book, error) {
			return b.Hide(a[0], false, known)
		})},
	}
}

func themesCommand() command {
	var help strings.Builder
	help.WriteString("Looks after the themes that were discovered beside the seeded taxonomy. What it does is named first:\n")
	for _, a := range themesActions() {
		fmt.Fprintf(&help, "  %-46s %s\n", "earshot themes "+a.name+" "+a.args, a.summary)
	}
	help.WriteString("A node looks for themes by itself every EARSHOT_THEMES_EVERY. New events get them half a minute later, stored ones with\nthe next 'earshot reclassify'. Themes of the taxonomy can be renamed, merged and hidden too, by their ids.\nExample: earshot themes list --tenant acme")
	return command{
		name: "themes", args: "discover|…", summary: "find, name, merge and hide what customers speak of",
		help: help.String(),
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if len(args) == 0 {
				return usagef("wants to know what to do; 'earshot themes -h' lists it")
			}
			for _, a := range themesActions() {
				if a.name == args[0] {
					return a.run(ctx, env, args[1:])
				}
			}
			return usagef("cannot %q; 'earshot themes -h' lists what it can", args[0])
		},
	}
}

// withStore opens the store for one action and closes it.
func withStore(ctx context.Context, env *environment, do func(*clickhouse.Store) error) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	return do(store)
}

func runThemesDiscover(ctx context.Context, env *environment, args []string) error {
	fs := flag.NewFlagSet("earshot themes discover", flag.ContinueOnError)
	var d discovery
	tenant := fs.String("tenant", "", "whose customers; needed")
	until := fs.String("until", "", "end of the last period: a date, a time or an age; empty: now")
	fs.DurationVar(&d.History, "history", 90*24*time.Hour, "how far back texts are read")
	fs.DurationVar(&d.Recent, "recent", themes.DefaultRecent, "length of the last period")
	fs.DurationVar(&d.Before, "before", themes.DefaultBefore, "length of the period before it")
	fs.IntVar(&d.Customers, "customers", themes.DefaultCustomers, "fewest different customers of a theme")
	fs.BoolVar(&d.DryRun, "dry-run", false, "say what would come of it and write nothing")
	args, err := alertFlags(env, fs, args)
	if err != nil {
		return err
	}
	if *tenant == "" || len(args) > 0 || d.Recent <= 0 || d.Before <= 0 || d.History <= 0 || d.Customers < 2 {
		return usagef("themes discover wants --tenant, periods that are not empty, and at least 2 customers")
	}
	d.Until = time.Now().UTC()
	if *until != "" {
		if d.Until, err = parseMoment(*until, d.Until); err != nil {
			return usageError{err}
		}
	}
	return withStore(ctx, env, func(store *clickhouse.Store) error {
		before, after, err := discover(ctx, store, *tenant, d)
		if err != nil {
			return err
		}
		isNew := func(t *themes.Theme) bool { return before.Find(t.ID) == nil }
		if err := printThemes(env.stdout, after, isNew); err != nil {
			return err
		}
		added := len(after.Themes) - len(before.Themes)
		_, err = fmt.Fprintf(env.stdout, "%d themes, %d of them new; version %d\n", len(after.Themes), added, after.Version)
		return err
	})
}

func runThemesList(ctx context.Context, env *environment, args []string) error {
	fs := flag.NewFlagSet("earshot themes list", flag.ContinueOnError)
	tenant := fs.String("tenant", "", "whose customers; needed")
	all := fs.Bool("all", false, "hidden and merged ones too")
	asJSON := fs.Bool("json", false, "print one JSON object a theme")
	args, err := alertFlags(env, fs, args)
	if err != nil {
		return err
	}
	if *tenant == "" || len(args) > 0 {
		return usagef("themes list wants --tenant and nothing else")
	}
	return withStore(ctx, env, func(store *clickhouse.Store) error {
		stored, err := store.Themes(ctx)
		if err != nil {
			return err
		}
		b := stored[*tenant]
		if !*all {
			b.Themes = slices.DeleteFunc(b.Themes, func(t themes.Theme) bool { return t.Hidden || t.Into != "" })
		}
		if *asJSON {
			enc := json.NewEncoder(env.stdout)
			for i := range b.Themes {
				if err := enc.Encode(themeLine(&b.Themes[i])); err != nil {
					return err
				}
			}
			return nil
		}
		return printThemes(env.stdout, themes.NewBook(b.Version, b.Themes), func(*themes.Theme) bool { return false })
	})
}

// themeLine is a theme as scripts get it.
func themeLine(t *themes.Theme) any {
	return struct {
		ID         string   `json:"id"`
		Name       string   `json:"name"`
		Element    string   `json:"element,omitempty"`
		State      string   `json:"state"`
		Into       string   `json:"into,omitempty"`
		Phrases    []string `json:"phrases"`
		Customers  int      `json:"customers"`
		Recent     int      `json:"recent"`
		Before     int      `json:"before"`
		GrowthLow  float64  `json:"growth_low"`
		Chance     float64  `json:"chance"`
		LogOdds    float64  `json:"log_odds"`
		FoundUntil string   `json:"found_until,omitempty"`
	}{t.ID, t.Name, string(t.Element), themeState(t), t.Into, t.Phrases, t.Found.Customers, t.Found.Recent, t.Found.Before,
		t.Found.GrowthLow, t.Found.Chance, t.Found.LogOdds, momentText(t.Found.Until)}
}

func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func themeState(t *themes.Theme) string {
	switch {
	case t.Hidden:
		return "hidden"
	case t.Into != "":
		return "merged"
	case t.Found.Emergent:
		return "emergent"
	case len(t.Phrases) == 0:
		return "seeded"
	}
	return "steady"
}

// printThemes prints a table, the emergent first, then by customers.
func printThemes(w io.Writer, b *themes.Book, isNew func(*themes.Theme) bool) error {
	list := slices.Clone(b.Themes)
	slices.SortStableFunc(list, func(x, y themes.Theme) int {
		if x.Found.Emergent != y.Found.Emergent {
			if x.Found.Emergent {
				return -1
			}
			return 1
		}
		return y.Found.Customers - x.Found.Customers
	})
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "id\tname\tstate\tcustomers\trecent\tbefore\tgrowth at least\tchance\tphrases")
	for i := range list {
		x := &list[i]
		state := themeState(x)
		if isNew(x) {
			state += ", new"
		}
		if x.Into != "" {
			state += " into " + x.Into
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%.1f\t%.2g\t%s\n", x.ID, x.Name, state, x.Found.Customers, x.Found.Recent, x.Found.Before,
			x.Found.GrowthLow, x.Found.Chance, strings.Join(x.Phrases, ", "))
	}
	return t.Flush()
}

// changeTheme makes an action that changes one theme.
func changeTheme(name string, n int, change func(b *themes.Book, args []string, known func(string) bool) (*themes.Book, error)) func(context.Context, *environment, []string) error {
	return func(ctx context.Context, env *environment, args []string) error {
		fs := flag.NewFlagSet("earshot themes "+name, flag.ContinueOnError)
		tenant := fs.String("tenant", "", "whose customers; needed")
		args, err := alertFlags(env, fs, args)
		if err != nil {
			return err
		}
		if *tenant == "" || len(args) != n {
			return usagef("themes %s wants --tenant and %d arguments; quote a name of several words", name, n)
		}
		seeded, err := seededThemes()
		if err != nil {
			return err
		}
		return withStore(ctx, env, func(store *clickhouse.Store) error {
			stored, err := store.Themes(ctx)
			if err != nil {
				return err
			}
			was := stored[*tenant]
			next, err := change(themes.NewBook(was.Version, was.Themes), args, func(id string) bool { return seeded[id] })
			if err != nil {
				return err
			}
			if err := store.SaveThemes(ctx, *tenant, next.ThemeBook); err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.stdout, "version %d; new events get it within a minute, stored ones with 'earshot reclassify'\n", next.Version)
			return err
		})
	}
}

// seededThemes are the ids of the shipped taxonomy.
func seededThemes() (map[string]bool, error) {
	c, err := classify.LoadRules()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, t := range c.Themes() {
		out[t.ID] = true
	}
	return out, nil
}
