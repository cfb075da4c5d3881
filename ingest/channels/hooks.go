package channels

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Source is one account of a channel that may push.
type Source struct {
	Channel     string
	Name        string // in the address: /v1/hooks/<channel>/<name>
	Tenant      string
	Auth        string        // "": the channel's own scheme; token, basic or standardwebhooks: that one instead
	Secrets     []Secret      // any of them proves a request; several while one replaces the other
	VerifyToken Secret        // of WhatsApp's handshake
	Tolerance   time.Duration // 0: [Tolerance]
	Mapping     *Mapping      // of a generic source
}

// Hooks takes what providers push. It is safe for concurrent use.
type Hooks struct {
	sources map[string]*Source
	replays *replays
}

// Received is what a request brought.
type Received struct {
	Events []schemas.Event
	Reply  *Reply // what the provider wants to read; nil: anything
}

// ErrMethod says that the request is neither a delivery nor a handshake.
var ErrMethod = errors.New("the method is not one that this source is called with")

// NewHooks checks the sources and names all faults at once.
func NewHooks(sources []Source) (*Hooks, error) {
	h := &Hooks{sources: map[string]*Source{}, replays: &replays{seen: map[[32]byte]replay{}}}
	var errs []error
	for i := range sources {
		s := sources[i]
		where := fmt.Sprintf("source %d (%s/%s)", i+1, s.Channel, s.Name)
		fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(where+": "+format, args...)) }
		c, ok := table[s.Channel]
		if !ok {
			fault("there is no channel %q; there are %s", s.Channel, strings.Join(Names(), ", "))
			continue
		}
		if s.Name == "" || s.Name != schemas.Token(s.Name) {
			fault("the name must be of letters, digits, - and _")
		}
		if s.Tenant == "" {
			fault("there is no tenant")
		}
		if !slices.Contains([]string{"", "token", "basic", "standardwebhooks"}, s.Auth) {
			fault("auth is %q, must be token, basic or standardwebhooks, or left out for the channel's own", s.Auth)
		}
		if len(s.Secrets) == 0 || slices.ContainsFunc(s.Secrets, Secret.Empty) {
			fault("there is no secret, or an empty one; a source that anybody can write to is not opened")
		}
		if c.adapt == nil && s.Mapping == nil {
			fault("a generic source needs a mapping")
		}
		if s.Mapping != nil && s.Mapping.Fields["tenant"] != "" {
			fault("its mapping takes the tenant from what is sent; a source is of one tenant")
		}
		if s.Tolerance < 0 {
			fault("tolerance is %v, must not be negative", s.Tolerance)
		}
		key := s.Channel + "/" + s.Name
		if h.sources[key] != nil {
			fault("it is there twice")
		}
		if s.Tolerance == 0 {
			s.Tolerance = Tolerance
		}
		h.sources[key] = &s
	}
	return h, errors.Join(errs...)
}

// Receive judges a request to the source's address. Its error is [ErrSignature] when it is not proven to be the provider's
// or there is no such source, [ErrMethod] or [ErrPayload]. Nothing was stored then, and whoever sends may be told so.
func (h *Hooks) Receive(channel, name string, r *Request, now time.Time) (*Received, error) {
	s := h.sources[channel+"/"+name]
	if s == nil {
		return nil, unproven("there is no such source")
	}
	c := table[channel]
	if c.handshake != nil && !c.proven {
		if reply := c.handshake(r, s); reply != nil {
			return &Received{Reply: reply}, nil
		}
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return nil, ErrMethod
	}
	scheme := schemes[first(s.Auth, c.scheme)]
	if err := scheme.Verify(r, s.Secrets, now, s.Tolerance); err != nil {
		return nil, err
	}
	if scheme.unsignedBody() {
		form, err := parseForm(r.Header.Get("Content-Type"), r.Body)
		if err != nil {
			return nil, unproven("the body is not a form")
		}
		// The fields, not the bytes: a repetition may draw the lines between them elsewhere.
		if err := h.replays.check(channel+"/"+name+"\x00"+r.single(scheme.Header), []byte(form.Encode()), now, s.Tolerance); err != nil {
			return nil, err
		}
	}
	if c.handshake != nil && c.proven {
		if reply := c.handshake(r, s); reply != nil {
			return &Received{Reply: reply}, nil
		}
	}
	adapt := c.adapt
	if adapt == nil {
		adapt = s.Mapping.Adapter()
	}
	events, err := adapt(&Delivery{Channel: channel, Source: name, Tenant: s.Tenant, Header: r.Header, Body: r.Body, Received: now})
	if err != nil {
		return nil, err
	}
	for i := range events {
		if events[i].Tenant != s.Tenant { // a mapping may set another
			return nil, fmt.Errorf("%w: event %d is of another tenant than the source", ErrPayload, i)
		}
	}
	return &Received{Events: events, Reply: c.success}, nil
}

// replays remembers signatures that do not cover the body: each proves one body, so that whoever has seen one cannot put
// other words under it. The same body again is a provider that sends again.
type replays struct {
	mu    sync.Mutex
	seen  map[[32]byte]replay
	swept time.Time
}

type replay struct {
	body [32]byte
	end  time.Time
}

// maxReplays bounds the memory. When so many are remembered new ones are refused; they will be sent again.
const maxReplays = 100_000

func (s *replays) check(signature string, body []byte, now time.Time, tolerance time.Duration) error {
	key, sum := sha256.Sum256([]byte(signature)), sha256.Sum256(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) > time.Minute || len(s.seen) >= maxReplays {
		for k, r := range s.seen {
			if now.After(r.end) {
				delete(s.seen, k)
			}
		}
		s.swept = now
	}
	before, known := s.seen[key]
	switch {
	case known && before.body != sum:
		return unproven("its token was used for another body")
	case known:
		return nil
	case len(s.seen) >= maxReplays:
		return unproven("too many requests within the tolerance to remember their tokens")
	}
	s.seen[key] = replay{sum, now.Add(2 * tolerance)}
	return nil
}
