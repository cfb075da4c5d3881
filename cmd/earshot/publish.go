package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/ingest/gateway"
	"github.com/earshot/earshot/schemas"
)

type publishOptions struct {
	url      string
	batch    int
	parallel int
	tenant   string
	key      string // API key; "": none is sent
}

func publishCommand() command {
	return command{
		name: "publish", args: "FILE", summary: "send a file of events through the gateway",
		help: "Sends NDJSON, one event a line: a CloudEvent, or the short form {\"text\":…,\"rating\":…,\"channel\":…}. A short line\nwithout an id gets one made of its content and place, so that sending the file again stores nothing twice.\nLines that are refused are reported with their number; the others are sent.\nExample: earshot publish feedback.ndjson",
		flags: func(fs *flag.FlagSet) any {
			o := &publishOptions{}
			fs.StringVar(&o.url, "url", "", "gateway `URL`; default: that of the node running on the data folder")
			fs.IntVar(&o.batch, "batch", 500, "events of one request, 1 to 1000")
			fs.IntVar(&o.parallel, "parallel", 4, "requests under way at once")
			fs.StringVar(&o.tenant, "tenant", "", "tenant of short lines that name none; default: default")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			o := opts.(*publishOptions)
			if o.batch < 1 || o.batch > 1000 || o.parallel < 1 || o.parallel > 64 {
				return usagef("--batch takes 1 to 1000, --parallel 1 to 64")
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			if o.url == "" {
				if o.url, err = gatewayURL(env); err != nil {
					return err
				}
			}
			o.key = env.config.SendKey.Reveal()
			p := newPublication(o, name, env.stderr)
			if err := p.send(ctx, in); err != nil {
				return err
			}
			return p.report(env.stdout)
		},
	}
}

// gatewayURL finds the gateway of the node that runs on the data folder.
func gatewayURL(env *environment) (string, error) {
	dir, err := env.config.dataDir()
	if err != nil {
		return "", err
	}
	if a, err := readAddresses(dir); err == nil && a.Gateway != "" {
		return a.Gateway, nil
	}
	return "http://" + env.config.GatewayAddr, nil
}

// publication is one file on its way through the gateway.
type publication struct {
	o      *publishOptions
	name   string
	client *http.Client
	faults io.Writer
	began  time.Time

	accepted atomic.Int64
	refused  atomic.Int64
	mu       sync.Mutex // of faults
}

func newPublication(o *publishOptions, name string, faults io.Writer) *publication {
	return &publication{o: o, name: name, faults: faults, began: time.Now(), client: &http.Client{Timeout: time.Minute}}
}

// batchBytes is where a batch ends however few events it has: below the gateway's bound of 4 MiB.
const batchBytes = 3 << 20

// numbered is an event with the line it stands on.
type numbered struct {
	line int
	json []byte
}

// send reads the file and sends it batch after batch, a few at once.
func (p *publication) send(ctx context.Context, in io.Reader) error {
	progress := startProgress(p.faults, func() int64 { return p.accepted.Load() + p.refused.Load() })
	defer progress.stop()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.o.parallel)
	var batch []numbered
	size := 0
	flush := func() {
		if len(batch) == 0 {
			return
		}
		b := batch
		batch, size = nil, 0
		g.Go(func() error { return p.post(ctx, b) })
	}
	err := lines(in, p.name, func(n int, line []byte) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		event, err := p.event(n, line)
		if err != nil {
			p.refuse(n, err.Error())
			return nil
		}
		if len(batch) == p.o.batch || size+len(event) > batchBytes {
			flush()
		}
		batch, size = append(batch, numbered{n, event}), size+len(event)+1
		return nil
	})
	flush()
	sent := g.Wait()
	if sent != nil { // the reason; the reading only ended because of it
		return sent
	}
	return err
}

// event makes a CloudEvent of a line.
func (p *publication) event(n int, line []byte) ([]byte, error) {
	var probe struct {
		SpecVersion json.RawMessage `json:"specversion"`
		ID          *string         `json:"id"`
	}
	if err := json.Unmarshal(line, &probe); err != nil {
		return nil, fmt.Errorf("is not a JSON object: %w", err)
	}
	if probe.SpecVersion != nil {
		return bytes.Clone(line), nil
	}
	sum := sha256.Sum256(line)
	event, problems := gateway.FromForm(line, gateway.FormDefaults{
		ID: strconv.Itoa(n) + "-" + hex.EncodeToString(sum[:8]), Tenant: p.o.tenant, Now: time.Now(),
	})
	if len(problems) > 0 {
		return nil, problems
	}
	return event, nil
}

func (p *publication) refuse(line int, why string) {
	p.refused.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.faults, "%s, line %d: %s\n", p.name, line, why)
}

// longestWait is how long the gateway may tell a sender to wait before it asks again.
const longestWait = time.Minute

// errLimited says that the gateway wants to be asked again later.
type errLimited struct{ wait time.Duration }

func (e errLimited) Error() string {
	return "the gateway takes no more for now: the sender is over its rate"
}

// post sends one batch until it is answered for good. A batch with faulty events is sent again without them.
func (p *publication) post(ctx context.Context, batch []numbered) error {
	const longest = 10 * time.Second
	began, pause := time.Now(), 100*time.Millisecond
	for len(batch) > 0 {
		again, left, err := p.try(ctx, batch)
		var limited errLimited
		switch {
		case err != nil && !again:
			return err
		case err == nil:
			batch = left
			continue
		case errors.As(err, &limited): // all is well, only not yet
			began, pause = time.Now(), 100*time.Millisecond
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(max(pause, limited.wait)):
		}
		if pause = min(2*pause, longest); time.Since(began) > time.Hour {
			return err
		}
	}
	return nil
}

// try sends one batch once. left are the events still to be sent, without those that were refused; again says that err
// may pass.
func (p *publication) try(ctx context.Context, batch []numbered) (again bool, left []numbered, err error) {
	var body bytes.Buffer
	for i, e := range batch {
		body.WriteByte("[,"[min(i, 1)])
		body.Write(e.json)
	}
	body.WriteByte(']')
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(p.o.url, "/")+"/v1/events", &body)
	if err != nil {
		return false, nil, err
	}
	req.Header.Set("Content-Type", schemas.ContentTypeBatch)
	if p.o.key != "" {
		req.Header.Set("Authorization", "Bearer "+p.o.key)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return ctx.Err() == nil && !strings.Contains(err.Error(), "connection refused"), nil, fmt.Errorf("send to %s: %w; is the gateway running?", p.o.url, err)
	}
	defer resp.Body.Close()
	switch answer, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<20)); resp.StatusCode {
	case http.StatusAccepted:
		p.accepted.Add(int64(len(batch)))
		return false, nil, nil
	case http.StatusTooManyRequests:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0: it does not say
		return true, nil, errLimited{min(max(time.Duration(after)*time.Second, 0), longestWait)}
	case http.StatusServiceUnavailable:
		return true, nil, fmt.Errorf("the gateway answers %s", resp.Status)
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		left, err := p.without(batch, answer)
		return false, left, err
	default:
		return false, nil, fmt.Errorf("the gateway answers %s: %s", resp.Status, answer)
	}
}

// without reports the events that a problem document names and returns the others.
func (p *publication) without(batch []numbered, answer []byte) ([]numbered, error) {
	var doc struct {
		Problems []struct {
			Event *int `json:"event"`
			schemas.Problem
		} `json:"problems"`
	}
	if err := json.Unmarshal(answer, &doc); err != nil || len(doc.Problems) == 0 {
		return nil, fmt.Errorf("the gateway refuses lines %d–%d: %s", batch[0].line, batch[len(batch)-1].line, answer)
	}
	bad := map[int][]string{}
	for _, f := range doc.Problems {
		if f.Event != nil {
			bad[*f.Event] = append(bad[*f.Event], f.Problem.String())
		}
	}
	var left []numbered
	for i, e := range batch {
		if why := bad[i]; why != nil {
			p.refuse(e.line, strings.Join(why, "; "))
		} else {
			left = append(left, e)
		}
	}
	if len(left) == len(batch) {
		return nil, fmt.Errorf("the gateway refuses lines %d–%d: %s", batch[0].line, batch[len(batch)-1].line, answer)
	}
	return left, nil
}

// report prints the sum; refused lines make the command fail.
func (p *publication) report(w io.Writer) error {
	took := time.Since(p.began)
	accepted, refused := p.accepted.Load(), p.refused.Load()
	fmt.Fprintf(w, "accepted %d, refused %d, in %v (%.0f events/s)\n", accepted, refused, took.Round(time.Millisecond), float64(accepted)/took.Seconds())
	if refused > 0 {
		return errReported
	}
	return nil
}
