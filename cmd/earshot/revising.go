package main

import (
	"context"
	"time"

	"github.com/earshot/earshot/processors/revise"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// reviseEvery is how often a node looks for changed and deleted feedback: about how long a figure counts both versions.
const reviseEvery = 5 * time.Second

// reviseOnChange lets changes and deletions take effect until ctx ends.
func reviseOnChange(ctx context.Context, n *node, store *clickhouse.Store) {
	log := n.log.With().Str("component", "revisions").Logger()
	r, failing, foreign := revise.New(store), false, 0
	for ctx.Err() == nil {
		marked, err := r.Step(ctx, time.Now())
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			log.Error().Err(err).Msg("changed and deleted feedback waits to take effect: trying again")
		case marked > 0:
			log.Info().Int("rows", marked).Msg("changed or deleted feedback counts no longer")
		}
		if n := r.Foreign(); n > foreign {
			log.Warn().Int("events", n).Msg("changes or deletions have no effect: the events that they name are of another source or channel")
		}
		foreign = r.Foreign()
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(reviseEvery):
		}
	}
}
