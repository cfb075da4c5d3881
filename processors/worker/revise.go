package worker

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/schemas"
)

// Asked is one text whose labels a [Reviser] may replace.
type Asked struct {
	Tenant  string
	Input   classify.Input
	Labels  *schemas.Labels // as the first classifier gave them
	Revised bool            // set by the reviser where it changed Labels
}

// Reviser is asked again about texts, many at once, after the first classifier. It chooses itself which it has an opinion
// on. It cannot fail: what it does not answer in its time keeps the labels it has.
type Reviser interface {
	// Name names it for people and for the record of a generation.
	Name() string
	// Revise replaces labels in place. Equal questions may get other answers another time: what is stored counts.
	Revise(ctx context.Context, asked []Asked)
}

// revise has the rows' labels looked at again, and the rows that changed measured and sealed again. A reviser that panics
// leaves the rows as they are.
func revise(ctx context.Context, by Classifier, rows []schemas.Row, log zerolog.Logger) {
	a, ok := by.(Adapted)
	if !ok || a.Second == nil || len(rows) == 0 {
		return
	}
	asked, labels := make([]Asked, len(rows)), make([]schemas.Labels, len(rows))
	for i := range rows {
		labels[i] = bare(rows[i].Labels)
		asked[i] = Asked{Tenant: rows[i].Event.Tenant, Input: input(rows[i].Event), Labels: &labels[i]}
	}
	if d := guard(&schemas.Record{}, func() *dead { a.Second.Revise(ctx, asked); return nil }); d != nil {
		log.Error().Str("panic", d.detail).Msg("the second classifier failed: the labels of the first stand")
		return
	}
	for i := range asked {
		if asked[i].Revised {
			model := rows[i].Labels.Model
			rows[i].Labels = labels[i]
			a.mark(&rows[i])
			// The name of the version of themes is in the first model's name already.
			rows[i].Labels.Model = labels[i].Model + "/" + model
			finish(&rows[i])
		}
	}
}

// bare are labels without the mentions of nothing but a theme: those are made again from the labels as they turn out.
func bare(l schemas.Labels) schemas.Labels {
	kept := make([]schemas.Mention, 0, len(l.Mentions))
	for _, m := range l.Mentions {
		if m.Element != "" {
			kept = append(kept, m)
		}
	}
	if l.Mentions = kept; len(kept) == 0 {
		l.Mentions = nil
	}
	return l
}
