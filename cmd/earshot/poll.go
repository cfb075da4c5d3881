package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/channels/poll"
	"github.com/earshot/earshot/ingest/stream"
)

type pollOptions struct {
	once bool
}

func pollCommand() command {
	return command{
		name: "poll", args: "FILE", summary: "fetch feedback from providers that do not push it",
		help: `Asks the providers of the sources in a JSON file for what is new, each at its interval, until it is stopped. How far each
source came is kept in the log, in the bucket ` + cursorBucket + `. Channels:
` + strings.Join(poll.Names(), ", ") + `.
  {"sources": [{"channel":"trustpilot", "name":"shop", "tenant":"acme", "account":"53bf…", "secret_file":"apikey"},
               {"channel":"github", "name":"sdk", "tenant":"acme", "account":"acme/sdk", "every":"10m"}]}
Further members: url (of a provider with an address of your own), key_id and issuer_id (App Store). Files are relative to
the sources' file, and must be readable by nobody else. Whoever may write that file decides what this machine asks: an
address within your own network is asked like any other, though no answer leads from one address to another.
Example: earshot poll sources.json`,
		flags: func(fs *flag.FlagSet) any {
			o := &pollOptions{}
			fs.BoolVar(&o.once, "once", false, "one round of each source, then end")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if len(args) != 1 {
				return usagef("takes one file, the sources")
			}
			sources, err := readPollSources(args[0])
			if err != nil {
				return fmt.Errorf("read the sources from %s: %w", args[0], err)
			}
			return runPoll(ctx, env, sources, opts.(*pollOptions).once)
		},
	}
}

// pollEntry is one source of the file.
type pollEntry struct {
	Channel  string `json:"channel"`
	Name     string `json:"name"`
	Tenant   string `json:"tenant"`
	Account  string `json:"account"`
	URL      string `json:"url"`
	Secret   string `json:"secret_file"`
	KeyID    string `json:"key_id"`
	IssuerID string `json:"issuer_id"`
	Every    string `json:"every"`
}

func readPollSources(path string) ([]poll.Source, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Sources []pollEntry `json:"sources"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if len(file.Sources) == 0 {
		return nil, errors.New("there are no sources in it")
	}
	var out []poll.Source
	var errs []error
	seen := map[string]bool{}
	for i, e := range file.Sources {
		s := poll.Source{Channel: e.Channel, Name: e.Name, Tenant: e.Tenant, Account: e.Account, BaseURL: e.URL}
		err := func() (err error) {
			if e.Every != "" {
				if s.Every, err = time.ParseDuration(e.Every); err != nil {
					return fmt.Errorf("every is %q, must be a duration such as 10m", e.Every)
				}
			}
			if e.Secret != "" {
				b, err := readPrivate(relativeTo(filepath.Dir(path), e.Secret), "the secret")
				if err != nil {
					return err
				}
				s.Credential = poll.NewCredential(b, e.KeyID, e.IssuerID)
			}
			if seen[e.Channel+"."+e.Name] {
				return errors.New("it is there twice")
			}
			seen[e.Channel+"."+e.Name] = true
			return s.Check()
		}()
		if err != nil {
			errs = append(errs, fmt.Errorf("source %d (%s/%s): %w", i+1, e.Channel, e.Name, err))
		}
		out = append(out, s)
	}
	return out, errors.Join(errs...)
}

// cursorBucket keeps how far each source came.
const cursorBucket = "earshot-cursors"

// cursors keeps them in the log.
type cursors struct{ kv jetstream.KeyValue }

// Load returns a cursor, nil for one that was never saved.
func (c cursors) Load(ctx context.Context, name string) ([]byte, error) {
	entry, err := c.kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return entry.Value(), nil
}

// Save replaces a cursor.
func (c cursors) Save(ctx context.Context, name string, b []byte) error {
	_, err := c.kv.Put(ctx, name, b)
	return err
}

func runPoll(ctx context.Context, env *environment, sources []poll.Source, once bool) (err error) {
	log := newLogger(&env.config, env.stderr).With().Str("component", "poll").Logger()
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	s, err := locate(ctx, env, need{nats: true}, log.Level(warnLevel), &opened)
	if err != nil {
		return err
	}
	nc, js, err := stream.Connect(s.natsURL, "earshot-poll", log)
	if err != nil {
		return err
	}
	opened.add("NATS connection", func(context.Context) error { nc.Close(); return nil })
	publisher, err := stream.NewPublisher(nc, stream.PublisherConfig{Shards: env.config.Shards})
	if err != nil {
		return err
	}
	opened.add("publisher", publisher.Close)
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: cursorBucket, Replicas: env.config.Replicas,
		Description: "how far each polled source came"})
	if err != nil {
		return fmt.Errorf("open the bucket of cursors: %w", err)
	}
	p := &poll.Poller{Log: publisher, Cursors: cursors{kv}, Shards: env.config.Shards, Now: time.Now}
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for i := range sources {
		wg.Go(func() {
			if err := pollSource(ctx, p, &sources[i], once, log); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("%s/%s: %w", sources[i].Channel, sources[i].Name, err))
			}
		})
	}
	wg.Wait()
	return failed
}

// longestPause bounds how long a source that fails is left alone.
const longestPause = time.Hour

// pollSource asks one source at its interval, less often while it fails. Only with once does a failure end it.
func pollSource(ctx context.Context, p *poll.Poller, s *poll.Source, once bool, log zerolog.Logger) error {
	log = log.With().Str("channel", s.Channel).Str("source", s.Name).Logger()
	pause := s.Every
	for {
		n, err := p.Round(ctx, s)
		if once || ctx.Err() != nil {
			if err == nil {
				log.Info().Int("events", n).Msg("polled")
			}
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err != nil {
			pause = min(2*pause, max(longestPause, s.Every))
			log.Error().Err(err).Dur("again_in", pause).Msg("the provider cannot be polled")
		} else {
			pause = s.Every
			log.Info().Int("events", n).Msg("polled")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
