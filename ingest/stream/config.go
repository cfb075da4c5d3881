package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Defaults of [ProvisionConfig].
const (
	DefaultFeedbackAge    = 30 * 24 * time.Hour
	DefaultOutcomesAge    = 7 * 24 * time.Hour
	DefaultInsightsAge    = 30 * 24 * time.Hour
	DefaultDeadLettersAge = 30 * 24 * time.Hour
)

// MaxHeaderBytes is what the headers of an event may take beside its [schemas.MaxEventBytes]. A CloudEvent in binary
// mode keeps all attributes there: a dozen of at most 255 characters, percent-encoded at worst, fit twice.
const MaxHeaderBytes = 16 << 10

// MaxMessageBytes is the largest message a FEEDBACK stream stores, headers included.
const MaxMessageBytes = schemas.MaxEventBytes + MaxHeaderBytes

// duplicateWindow is how long the server remembers message ids that an adapter chose to send. It is a courtesy to
// adapters that publish singly; the pipeline does not rely on it.
const duplicateWindow = 2 * time.Minute

// ProvisionConfig says which streams there shall be and how long they keep what they hold.
type ProvisionConfig struct {
	Shards   int // number of FEEDBACK streams, from 1; fixed for the life of an installation
	Replicas int // copies of each stream on a cluster: 1, 3 or 5; 0: 1

	FeedbackAge    time.Duration // how long the log keeps events; 0: [DefaultFeedbackAge]; must exceed the longest outage of the store
	FeedbackBytes  int64         // bytes one shard may hold before it refuses new events; 0: as much as the server allows
	OutcomesAge    time.Duration // how long OUTCOMES keeps insights and dead letters; plans and checkpoints stay; 0: [DefaultOutcomesAge]
	InsightsAge    time.Duration // of INSIGHTS; 0: [DefaultInsightsAge]
	DeadLettersAge time.Duration // of DEADLETTERS; 0: [DefaultDeadLettersAge]
}

func (c ProvisionConfig) withDefaults() ProvisionConfig {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	for _, d := range []struct {
		age *time.Duration
		def time.Duration
	}{
		{&c.FeedbackAge, DefaultFeedbackAge},
		{&c.OutcomesAge, DefaultOutcomesAge},
		{&c.InsightsAge, DefaultInsightsAge},
		{&c.DeadLettersAge, DefaultDeadLettersAge},
	} {
		if *d.age == 0 {
			*d.age = d.def
		}
	}
	if c.FeedbackBytes == 0 {
		c.FeedbackBytes = -1
	}
	return c
}

// Validate reports every fault of the configuration at once.
func (c ProvisionConfig) Validate() error {
	var errs []error
	if c.Shards < 1 || c.Shards > 1<<16 {
		errs = append(errs, fmt.Errorf("shards %d: give 1 … 65536", c.Shards))
	}
	if c.Replicas < 0 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("replicas %d: give 1 … 5", c.Replicas))
	}
	for name, age := range map[string]time.Duration{"feedback": c.FeedbackAge, "outcomes": c.OutcomesAge,
		"insights": c.InsightsAge, "dead letters": c.DeadLettersAge} {
		if age < 0 || age > 0 && age < time.Minute {
			errs = append(errs, fmt.Errorf("age of %s %s: give at least 1m, or 0 for the default", name, age))
		}
	}
	if c.FeedbackBytes < 0 {
		errs = append(errs, fmt.Errorf("bytes of a shard %d: give a positive number, or 0 for no limit", c.FeedbackBytes))
	}
	return errors.Join(errs...)
}
