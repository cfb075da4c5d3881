package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/themes"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// library is the themes of all tenants as they were last read from the store. Workers look into it for every event; what
// is read anew counts from the next event on.
type library struct {
	books atomic.Pointer[map[string]*themes.Book]
}

// openLibrary reads the themes for the first time.
func openLibrary(ctx context.Context, store *clickhouse.Store) (*library, error) {
	l := &library{}
	return l, l.read(ctx, store)
}

// read reads the themes anew. The book of a tenant whose version is the same stays.
func (l *library) read(ctx context.Context, store *clickhouse.Store) error {
	stored, err := store.Themes(ctx)
	if err != nil {
		return err
	}
	next := make(map[string]*themes.Book, len(stored))
	for tenant, b := range stored {
		next[tenant] = themes.NewBook(b.Version, b.Themes)
	}
	l.books.Store(&next)
	return nil
}

func (l *library) now() map[string]*themes.Book { return *l.books.Load() }

// with gives a labeller the tenants' themes.
func (l *library) with(by worker.Classifier) worker.Classifier {
	if a, ok := by.(worker.Adapted); ok {
		a.Themes = l.now
		return a
	}
	return by
}

// themed gives a labeller the tenants' themes as they are now; they stay so for a command's life.
func themed(ctx context.Context, store *clickhouse.Store, by worker.Labeller) (worker.Labeller, error) {
	a, ok := by.(worker.Adapted)
	if !ok {
		return by, nil
	}
	l, err := openLibrary(ctx, store)
	if err != nil {
		return nil, err
	}
	a.Themes = l.now
	return a, nil
}

// How a node keeps to the themes.
const (
	rereadThemes = 30 * time.Second // how soon a worker knows what a command changed
	lookForWork  = time.Hour        // how often it is looked whether a discovery is due
)

// keepThemes reads the themes again and again, and discovers new ones where that is due.
func (p *processing) keepThemes(ctx context.Context, store *clickhouse.Store, l *library) {
	log := p.n.log.With().Str("component", "themes").Logger()
	reread, due := time.NewTicker(rereadThemes), time.NewTicker(lookForWork)
	defer reread.Stop()
	defer due.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-reread.C:
			err = l.read(ctx, store)
		case now := <-due.C:
			if every := p.n.env.config.ThemesEvery; every > 0 {
				err = discoverDue(ctx, store, l, now, every, log)
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Warn().Err(err).Msg("looking after the themes; it is tried again")
		}
	}
}

// discoverDue discovers the themes of the tenants whose last discovery is some time ago.
func discoverDue(ctx context.Context, store *clickhouse.Store, l *library, now time.Time, every time.Duration, log zerolog.Logger) error {
	tenants, err := store.Speaking(ctx, now.Add(-every))
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		var last time.Time
		if b := l.now()[tenant]; b != nil {
			for i := range b.Themes {
				if f := b.Themes[i].Found; f.Until.After(last) {
					last = f.Until
				}
			}
		}
		if now.Sub(last) < every {
			continue
		}
		_, after, err := discover(ctx, store, tenant, discovery{Until: now})
		if errors.Is(err, schemas.ErrLost) {
			continue // another node, or a person, was at it
		}
		if err != nil {
			return err
		}
		log.Info().Str("tenant", tenant).Int("themes", len(after.Themes)).Msg("themes were looked for")
	}
	return l.read(ctx, store)
}

// discovery is how a command, or a node, looks for themes.
type discovery struct {
	Until          time.Time     // now, unless history is looked at
	History        time.Duration // how far back texts are read; default 90 days
	Recent, Before time.Duration // see [themes.Options]
	Customers      int
	DryRun         bool // nothing is written
}

// mostTexts is how many texts a discovery reads at most, the newest.
const mostTexts = 100_000

// discover looks for the themes of a tenant and writes the new version. It returns the book before and after.
func discover(ctx context.Context, store *clickhouse.Store, tenant string, d discovery) (before, after *themes.Book, err error) {
	if d.History == 0 {
		d.History = 90 * 24 * time.Hour
	}
	stored, err := store.Themes(ctx)
	if err != nil {
		return nil, nil, err
	}
	before = themes.NewBook(stored[tenant].Version, stored[tenant].Themes)
	var texts []themes.Text
	err = store.Said(ctx, tenant, d.Until.Add(-d.History), d.Until, mostTexts, func(t schemas.Said) { texts = append(texts, t) })
	if err != nil {
		return nil, nil, err
	}
	if len(texts) == 0 {
		return nil, nil, fmt.Errorf("the customers of %q have said nothing in the %v before %s", tenant, d.History, d.Until.UTC().Format(time.RFC3339))
	}
	known, err := knownPhrases()
	if err != nil {
		return nil, nil, err
	}
	quotes, err := privacy.NewMasker()
	if err != nil {
		return nil, nil, err
	}
	after = themes.Discover(texts, before, themes.Options{Until: d.Until, Recent: d.Recent, Before: d.Before, Customers: d.Customers, Redact: quotes.Quote, Known: known})
	if d.DryRun {
		return before, after, nil
	}
	return before, after, store.SaveThemes(ctx, tenant, after.ThemeBook)
}

// knownPhrases says what is no discovery: a phrase that is a theme of the taxonomy, and a word that stands for one of its
// aspects.
func knownPhrases() (func(string) bool, error) {
	c, err := classify.LoadRules()
	if err != nil {
		return nil, err
	}
	return func(phrase string) bool {
		// A word of Chinese has one or two characters.
		word := !strings.Contains(phrase, " ") && (phrase[0] < utf8.RuneSelf || utf8.RuneCountInString(phrase) <= 2)
		ms := c.Classify(classify.Input{Text: phrase}).Mentions
		return slices.ContainsFunc(ms, func(m schemas.Mention) bool { return word || m.Theme != "" })
	}, nil
}
