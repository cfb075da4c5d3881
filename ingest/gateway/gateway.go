package gateway

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/earshot/earshot/schemas"
)

// Bounds of one connection. A client that needs longer to send its headers or its body is cut off, so that slow ones
// cannot hold all connections.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
)

// Gateway takes feedback over HTTP. It is safe for concurrent use.
type Gateway struct {
	cfg      Config
	metrics  *metrics
	clients  *clients
	inFlight atomic.Int64 // bytes of bodies being worked on
	draining atomic.Bool
	failing  atomic.Bool       // the last publish failed
	header   map[string]string // of every message; never written to
	routes   map[string]route
	metricsH http.Handler

	refusals *rate.Limiter // of log lines about requests that are not proven
	quotas   quotas
	page     *answerPage
	visitors *clients // who opens and sends answer pages, of whom there are many more than senders
}

// route is what one path offers: a handler for each method, and the name under which it is counted.
type route struct {
	name   string
	method map[string]http.HandlerFunc
}

// New checks the configuration and registers the metrics.
func New(cfg Config) (*Gateway, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg:     cfg,
		clients: newClients(cfg.EventsPerSecond, cfg.Burst),
		header:  map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent},

		refusals: rate.NewLimiter(1, 1),
		quotas:   quotas{bucket: map[string]*quota{}},
		visitors: newClients(visitsPerSecond, visitsAtOnce),
	}
	if g.metrics, err = newMetrics(cfg.Registerer, &g.inFlight); err != nil {
		return nil, fmt.Errorf("register gateway metrics: %w", err)
	}
	post := func(name string, h http.HandlerFunc) route {
		return route{name, map[string]http.HandlerFunc{http.MethodPost: h}}
	}
	get := func(name string, h http.HandlerFunc) route {
		return route{name, map[string]http.HandlerFunc{http.MethodGet: h, http.MethodHead: h}}
	}
	g.routes = map[string]route{
		"/v1/events":   post("events", g.admit(g.events)),
		"/v1/feedback": post("feedback", g.admit(g.feedback)),
		"/livez":       get("health", g.live),
		"/healthz":     get("health", g.live),
		"/-/healthy":   get("health", g.live),
		"/readyz":      get("health", g.ready),
		"/-/ready":     get("health", g.ready),
	}
	g.routes[casePrefix] = post("cases", g.admit(g.caseStep))
	if len(cfg.AnswerKey) > 0 {
		if g.page, err = newAnswerPage(); err != nil {
			return nil, err
		}
		g.routes[answerPrefix] = route{"answers", map[string]http.HandlerFunc{http.MethodGet: g.showAnswer, http.MethodHead: g.showAnswer,
			http.MethodPost: g.takeAnswer}}
	}
	if cfg.Hooks != nil {
		g.routes[hookPrefix] = route{"hooks", map[string]http.HandlerFunc{http.MethodPost: g.hook, http.MethodPut: g.hook,
			http.MethodGet: g.hook, http.MethodHead: g.hook}}
	}
	if cfg.Gatherer != nil {
		h := promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{})
		g.routes["/metrics"] = get("metrics", h.ServeHTTP)
	}
	return g, nil
}

// Handler returns all routes of the gateway. A panic in one of them becomes a 500 and the process lives.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serve) }

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	for _, prefix := range [...]string{hookPrefix, casePrefix, answerPrefix} {
		if strings.HasPrefix(path, prefix) {
			path = prefix
		}
	}
	rt, known := g.routes[path]
	if !known {
		rt.name = "other"
	}
	start := g.cfg.Now()
	sw := &statusWriter{ResponseWriter: w}
	g.metrics.inFlight.Inc()
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The panic's value could hold what a customer wrote, so only its type is logged.
			g.cfg.Logger.Error().Str("route", rt.name).Str("panic", fmt.Sprintf("%T", v)).Bytes("stack", debug.Stack()).
				Msg("a request made the gateway panic; it goes on")
			if sw.status == 0 {
				writeProblem(sw, problem{Type: typeInternal, Status: http.StatusInternalServerError,
					Detail: "the gateway failed on this request; whether its events were stored is not known, sending them again is safe"})
			}
		}
		g.metrics.inFlight.Dec()
		g.metrics.duration.WithLabelValues(rt.name).Observe(g.cfg.Now().Sub(start).Seconds())
		g.metrics.requests.WithLabelValues(rt.name, strconv.Itoa(sw.code())).Inc()
	}()
	h := sw.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // nothing here is a page
	h.Set("Cache-Control", "no-store")
	switch handle := rt.method[r.Method]; {
	case !known:
		writeProblem(sw, problem{Type: typeNotFound, Status: http.StatusNotFound,
			Detail: "there is no such page; events go to POST /v1/events or POST /v1/feedback"})
	case handle == nil:
		allowed := make([]string, 0, 2)
		for m := range rt.method {
			allowed = append(allowed, m)
		}
		slices.Sort(allowed)
		h.Set("Allow", strings.Join(allowed, ", "))
		writeProblem(sw, problem{Type: typeMethod, Status: http.StatusMethodNotAllowed,
			Detail: "this page takes " + strings.Join(allowed, " and ")})
	default:
		handle(sw, r)
	}
}

// statusWriter remembers the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController and MaxBytesReader reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Serve answers on the listener until ctx ends; then it takes no new connections, says so on /readyz, lets the requests
// under way finish for at most DrainTimeout, and returns nil. It closes the listener.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           g.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       keepConn,
		ConnState:         connState,
		ErrorLog:          stdlog.New(errorLog{g.cfg.Logger}, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(limitConnections(l, g.cfg.MaxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve gateway on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	g.draining.Store(true)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.DrainTimeout)
	defer cancel()
	err := srv.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("drain gateway: requests were still under way after %s and were cut off; their clients will send again", g.cfg.DrainTimeout)
		srv.Close()
	}
	<-failed
	return err
}

// errorLog takes what net/http says about broken connections. It is outside clients' doing, so it is kept for debugging.
type errorLog struct{ logger zerolog.Logger }

func (e errorLog) Write(b []byte) (int, error) {
	e.logger.Debug().Str("from", "net/http").Msg(strings.TrimSpace(string(b)))
	return len(b), nil
}
