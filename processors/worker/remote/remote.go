package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// Config is what a [Client] needs.
type Config struct {
	URL   string  // of the model; needed
	Key   string  // sent as a bearer token; empty: none
	Below float32 // texts whose polarity has a lower probability are sent; default 0.7

	Batch    int           // most texts of a request; default 32
	Parallel int           // requests under way at once; default 4
	Timeout  time.Duration // of one request; default 2 s
	Budget   time.Duration // of one call of [Client.Revise]; default 5 s; negative: none
	Failures int           // in a row, after which nobody is asked for a while; default 5
	Cooldown time.Duration // how long that is; default 30 s

	Derive   func(classify.Input, *schemas.Labels) // sets what follows from labels that were replaced; needed
	Registry prometheus.Registerer                 // nil: nothing is counted
	Logger   zerolog.Logger
}

// Defaults of [Config].
const (
	DefaultBelow    = 0.7
	DefaultBatch    = 32
	DefaultParallel = 4
	DefaultTimeout  = 2 * time.Second
	DefaultBudget   = 5 * time.Second
	DefaultFailures = 5
	DefaultCooldown = 30 * time.Second
)

// longestText is the longest text that is sent, in bytes. Longer ones keep the linear labels.
const longestText = 16 << 10

// Client asks one model. It is safe for concurrent use. It is a [worker.Reviser].
type Client struct {
	cfg   Config
	name  string
	http  *http.Client
	stop  breaker
	count *prometheus.CounterVec
}

// New returns a client; nothing is sent before [Client.Revise].
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the address of the classifier must begin with http:// or https:// and name a host")
	}
	cfg.Below = defaulted(cfg.Below, DefaultBelow)
	cfg.Batch = defaulted(cfg.Batch, DefaultBatch)
	cfg.Parallel = defaulted(cfg.Parallel, DefaultParallel)
	cfg.Timeout = defaulted(cfg.Timeout, DefaultTimeout)
	cfg.Budget = defaulted(cfg.Budget, DefaultBudget)
	cfg.Failures = defaulted(cfg.Failures, DefaultFailures)
	cfg.Cooldown = defaulted(cfg.Cooldown, DefaultCooldown)
	c := &Client{cfg: cfg, name: u.Host + u.EscapedPath(), stop: breaker{failures: cfg.Failures, cooldown: cfg.Cooldown},
		http: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: cfg.Parallel, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // texts go where they were meant to go
		},
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "earshot_second_classifier_texts_total",
			Help: "Texts that the first classifier was unsure of, by what became of them: revised, unanswered, failed, not_sent."}, []string{"outcome"}),
	}
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(c.count); err != nil {
			return nil, fmt.Errorf("register the metrics of the classifier: %w", err)
		}
	}
	return c, nil
}

func defaulted[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Name is host and path of the model's address, without what may be secret of it.
func (c *Client) Name() string { return c.name }

// Revise asks about those texts that the first classifier is unsure of and puts the answers in the place of its labels. It
// returns within the budget.
func (c *Client) Revise(ctx context.Context, asked []worker.Asked) {
	within := ctx
	if c.cfg.Budget > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, c.cfg.Budget)
		defer cancel()
	}
	var unsure []*worker.Asked
	for i := range asked {
		if c.unsure(&asked[i]) {
			unsure = append(unsure, &asked[i])
		}
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, c.cfg.Parallel)
	for some := range slices.Chunk(unsure, c.cfg.Batch) {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			c.ask(ctx, within, some)
		})
	}
	all.Wait()
}

// unsure says whether a text is to be sent: a customer's, readable, and not clear to the first classifier.
func (c *Client) unsure(a *worker.Asked) bool {
	in, l := &a.Input, a.Labels
	return l.Confidence < c.cfg.Below && l.Quality == schemas.QualityOK && in.Text != "" && len(in.Text) <= longestText &&
		(in.ActorKind == "" || in.ActorKind == "customer") && in.Kind != schemas.AgentResponded
}

// ask sends one request within the budget, where ctx is for as long as the worker is there, and takes its answer.
func (c *Client) ask(ctx, within context.Context, some []*worker.Asked) {
	if within.Err() != nil || !c.stop.allow(time.Now()) {
		c.counted("not_sent", len(some))
		return
	}
	settled := false
	defer func() { // whatever happens, the breaker hears of the request
		if !settled {
			c.stop.spare()
		}
	}()
	began := time.Now()
	a, err := c.send(within, some)
	switch {
	// The worker ends, or our time is up for a request that had little of it: the model may be well. One that took half of the
	// budget and more without an answer would hold every batch up.
	case err != nil && (ctx.Err() != nil || within.Err() != nil && time.Since(began) < c.cfg.Budget/2):
		c.counted("failed", len(some))
		return
	case err != nil:
		settled = true
		c.counted("failed", len(some))
		if c.stop.done(false, time.Now()) {
			c.cfg.Logger.Warn().Err(err).Dur("for", c.cfg.Cooldown).Msg("the second classifier keeps failing: nobody is asked for a while, the labels of the first stand")
		} else {
			c.cfg.Logger.Debug().Err(err).Msg("the second classifier failed: the labels of the first stand")
		}
		return
	}
	settled = true
	c.stop.done(true, time.Now())
	for i := range a.Labels {
		l := &a.Labels[i]
		to := some[*l.ID]
		l.apply(&to.Input, to.Labels)
		to.Labels.Model = a.Model
		c.cfg.Derive(to.Input, to.Labels)
		to.Revised = true
	}
	c.counted("revised", len(a.Labels))
	c.counted("unanswered", len(some)-len(a.Labels))
}

func (c *Client) counted(outcome string, n int) { c.count.WithLabelValues(outcome).Add(float64(n)) }

// send is one request.
func (c *Client) send(ctx context.Context, some []*worker.Asked) (*answer, error) {
	q := question{Version: 1, Texts: make([]text, len(some))}
	for i, a := range some {
		q.Texts[i] = asText(i, a)
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, bareError(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: it answers %s", c.name, resp.Status)
	}
	a, err := readAnswer(resp.Body, len(some))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, err)
	}
	return a, nil
}

// bareError leaves out the address that the client puts into its errors, which may hold a password.
func bareError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
