package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// live answers as long as the process can answer. It tests no dependency: a broker that is down is no reason to kill the
// gateway.
func (g *Gateway) live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}

// check is the outcome of one readiness check.
type check struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"` // ok or failed
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// ready says whether events sent now would be taken: 200, or 503 with the checks that fail. ?verbose lists all as JSON,
// the notices among them.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	checks := g.runChecks(r.Context(), g.cfg.Ready)
	status, lines := http.StatusOK, []string{}
	for _, c := range checks {
		if c.Error != "" {
			lines = append(lines, c.Name+": "+c.Error)
		}
	}
	if g.draining.Load() {
		lines = append(lines, "gateway: shutting down")
	}
	if len(lines) > 0 {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	if r.URL.Query().Has("verbose") {
		checks = append(checks, g.runChecks(r.Context(), g.cfg.Notices)...)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		word := map[bool]string{true: "ok", false: "not ready"}[status == http.StatusOK]
		json.NewEncoder(w).Encode(struct {
			Status   string  `json:"status"`
			Draining bool    `json:"draining"`
			Checks   []check `json:"checks"`
		}{word, g.draining.Load(), checks})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if len(lines) == 0 {
		lines = []string{"ok"}
	}
	io.WriteString(w, strings.Join(lines, "\n")+"\n")
}

func (g *Gateway) runChecks(ctx context.Context, checks map[string]func(context.Context) error) []check {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.ReadyTimeout)
	defer cancel()
	names := slices.Sorted(maps.Keys(checks))
	out := make([]check, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			start := g.cfg.Now()
			err := runCheck(ctx, checks[name])
			out[i] = check{Name: name, Status: "ok", Seconds: g.cfg.Now().Sub(start).Seconds()}
			if err != nil {
				out[i].Status, out[i].Error = "failed", err.Error()
			}
		})
	}
	wg.Wait()
	return out
}

// runCheck runs one check and stops waiting for it when ctx ends, even if the check itself does not.
func runCheck(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("the check panicked (%T)", v)
			}
		}()
		done <- f(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		deadline, _ := ctx.Deadline()
		return fmt.Errorf("no answer by %s", deadline.UTC().Format(time.RFC3339))
	}
}
