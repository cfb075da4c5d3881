package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// Keys of the metadata by which a stream is known as ours, beside [schemas.EpochKey].
const (
	SchemaKey = "earshot-schema" // version of how the stream is laid out
	ShardsKey = "earshot-shards" // of a FEEDBACK stream: how many shards it was made as one of
)

// SchemaVersion is the layout this program makes and understands.
const SchemaVersion = 1

// Topology is what there is after [Provision].
type Topology struct {
	Shards  int
	Epochs  []string // of each shard's stream
	Created []string // names of the streams that were not there before
	Changed []string // names of the streams whose limits were changed
}

// Provision makes the streams that are missing and holds those that exist against what is wanted. Running it again, or in
// several processes at once, changes nothing more. A limit that was raised is raised; whatever else differs is refused
// with an error that joins every difference found, and nothing at all is changed then.
func Provision(ctx context.Context, js jetstream.JetStream, cfg ProvisionConfig) (*Topology, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("provision streams: %w", err)
	}
	cfg = cfg.withDefaults()
	existing, err := listStreams(ctx, js)
	if err != nil {
		return nil, err
	}
	wanted := wantedStreams(cfg)
	var errs []error
	errs = append(errs, checkShards(existing, cfg.Shards))
	for _, w := range wanted {
		if have, ok := existing[w.Name]; ok {
			_, err := merge(have, w)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("provision streams: %w", err)
	}
	top := &Topology{Shards: cfg.Shards}
	for _, w := range wanted {
		epoch, err := ensure(ctx, js, existing, w, top)
		if err != nil {
			return nil, fmt.Errorf("provision stream %s: %w", w.Name, err)
		}
		if strings.HasPrefix(w.Name, schemas.FeedbackStreamPrefix) {
			top.Epochs = append(top.Epochs, epoch)
		}
	}
	return top, nil
}

// ensure makes or adapts one stream and returns its epoch.
func ensure(ctx context.Context, js jetstream.JetStream, existing map[string]jetstream.StreamConfig, w jetstream.StreamConfig, top *Topology) (string, error) {
	have, ok := existing[w.Name]
	if !ok {
		w.Metadata[schemas.EpochKey] = rand.Text()
		s, err := js.CreateStream(ctx, w)
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			// Another process made it in this very moment, with an epoch of its own, which counts.
			s, err := js.Stream(ctx, w.Name)
			if err != nil {
				return "", err
			}
			have = s.CachedInfo().Config
		case err != nil:
			return "", err
		default:
			top.Created = append(top.Created, w.Name)
			have = s.CachedInfo().Config
		}
	}
	next, err := merge(have, w)
	if err != nil {
		return "", err
	}
	if next != nil {
		if _, err := js.UpdateStream(ctx, *next); err != nil {
			return "", err
		}
		top.Changed = append(top.Changed, w.Name)
	}
	return have.Metadata[schemas.EpochKey], nil
}

func listStreams(ctx context.Context, js jetstream.JetStream) (map[string]jetstream.StreamConfig, error) {
	out := map[string]jetstream.StreamConfig{}
	l := js.ListStreams(ctx)
	for info := range l.Info() {
		out[info.Config.Name] = info.Config
	}
	if err := l.Err(); err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	return out, nil
}

// checkShards makes sure that no other number of shards was ever in use: keys would move between shards, and a re-sent
// event would no longer meet its first copy.
func checkShards(existing map[string]jetstream.StreamConfig, shards int) error {
	const advice = "set EARSHOT_SHARDS back; to change the number, start on an empty broker and replay the log into it"
	for name, have := range existing {
		n, ok := strings.CutPrefix(name, schemas.FeedbackStreamPrefix)
		if !ok {
			continue
		}
		if i, err := strconv.Atoi(n); err == nil && i >= shards {
			return fmt.Errorf("stream %s exists, but only %d shards are wanted: %s", name, shards, advice)
		}
		if made := have.Metadata[ShardsKey]; made != "" && made != strconv.Itoa(shards) {
			return fmt.Errorf("stream %s: metadata %s: found %s, wanted %d: %s", name, ShardsKey, made, shards, advice)
		}
	}
	return nil
}

// wantedStreams lists the streams in the order in which they must be made: a source before what is sourced from it.
func wantedStreams(cfg ProvisionConfig) []jetstream.StreamConfig {
	base := func(name, description string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name:         name,
			Description:  description,
			Retention:    jetstream.LimitsPolicy,
			Discard:      jetstream.DiscardNew, // refuse rather than drop what is stored
			MaxConsumers: -1,
			MaxMsgs:      -1,
			MaxBytes:     -1,
			MaxMsgSize:   -1,
			Storage:      jetstream.FileStorage,
			Replicas:     cfg.Replicas,
			Duplicates:   duplicateWindow,
			Metadata:     map[string]string{SchemaKey: strconv.Itoa(SchemaVersion)},
		}
	}
	var out []jetstream.StreamConfig
	for i := range cfg.Shards {
		s := base(schemas.FeedbackStream(i), fmt.Sprintf("Earshot's log of events, shard %d of %d", i, cfg.Shards))
		s.Subjects = schemas.FeedbackSubjects(i)
		s.MaxAge, s.MaxBytes, s.MaxMsgSize = cfg.FeedbackAge, cfg.FeedbackBytes, MaxMessageBytes
		s.Duplicates = min(duplicateWindow, s.MaxAge)
		s.AllowAtomicPublish, s.AllowDirect = true, true
		s.Metadata[ShardsKey] = strconv.Itoa(cfg.Shards)
		out = append(out, s)
	}
	o := base(schemas.OutcomesStream, "Earshot's ledger: plans, checkpoints, insights, dead letters")
	o.Subjects = []string{schemas.PlanSubjects, schemas.CheckpointPrefix + "*", schemas.InsightSubjects, schemas.DeadSubjects}
	o.MaxAge = cfg.OutcomesAge
	o.Duplicates = min(duplicateWindow, o.MaxAge)
	o.AllowAtomicPublish, o.AllowMsgTTL, o.AllowRollup = true, true, true
	out = append(out, o)
	for _, s := range []struct {
		name, description, subjects string
		cfg                         jetstream.StreamConfig
	}{
		{name: schemas.InsightsStream, description: "Feedback that needs a person's attention", subjects: schemas.InsightSubjects,
			cfg: jetstream.StreamConfig{MaxAge: cfg.InsightsAge}},
		{name: schemas.DeadLettersStream, description: "Events that could not be processed, with the reason", subjects: schemas.DeadSubjects,
			cfg: jetstream.StreamConfig{MaxAge: cfg.DeadLettersAge}},
	} {
		c := base(s.name, s.description)
		c.MaxAge = s.cfg.MaxAge
		c.Duplicates = min(duplicateWindow, c.MaxAge)
		c.AllowDirect = true
		if cfg.Replicas == 1 {
			// What is copied from OUTCOMES is on disk there. A sync of its own for each message would hold up the log's, and
			// what a power cut takes is copied again: the source's sequence is kept in the copies. Clusters do not allow it.
			c.PersistMode = jetstream.AsyncPersistMode
		}
		c.Sources = []*jetstream.StreamSource{{Name: schemas.OutcomesStream, FilterSubject: s.subjects}}
		out = append(out, c)
	}
	d := base(schemas.DispositionsStream, "What was decided about each dead letter: replayed or discarded")
	d.Subjects = []string{schemas.DispositionSubjects}
	d.MaxAge = cfg.DeadLettersAge + cfg.OutcomesAge // no letter outlives what was decided about it, even one that was copied late
	d.Duplicates = min(duplicateWindow, d.MaxAge)
	d.AllowAtomicPublish = true
	return append(out, d)
}
