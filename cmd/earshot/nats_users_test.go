package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/earshot/earshot/ingest/channels"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// natsWithUsers starts nats-server with the shipped files, and returns its URL and the seed of each adapter's key.
func natsWithUsers(t *testing.T) (url string, seeds map[string]nkeys.KeyPair) {
	t.Helper()
	dir := t.TempDir()
	conf := readText(t, "../../deploy/nats-server.conf")
	for from, to := range map[string]string{"# include ./nats-users.conf": "include ./nats-users.conf", `"/data"`: `"` + filepath.Join(dir, "js") + `"`,
		`listen: "0.0.0.0:4222"`: `listen: "127.0.0.1:-1"`, `http: "0.0.0.0:8222"`: "# no http"} {
		if !strings.Contains(conf, from) {
			t.Fatalf("nats-server.conf has no %s", from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	writeFile(t, filepath.Join(dir, "nats-server.conf"), conf)
	writeFile(t, filepath.Join(dir, "nats-users.conf"), readText(t, "../../deploy/nats-users.conf"))
	t.Setenv("NATS_PASSWORD", "unit-test-password")
	seeds = map[string]nkeys.KeyPair{}
	for _, name := range channels.Names() {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		seeds[name] = pair
		t.Setenv("NKEY_"+strings.ToUpper(name), public)
	}
	delete(seeds, "generic")
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs = true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return srv.ClientURL(), seeds
}

// refusals collects what the server refuses a connection.
type refusals struct {
	mu   sync.Mutex
	list []string
}

func (r *refusals) add(_ *nats.Conn, _ *nats.Subscription, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, strings.ToLower(err.Error()))
}

func (r *refusals) named(subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.list, func(s string) bool { return strings.Contains(s, `"`+strings.ToLower(subject)+`"`) })
}

func connectAs(t *testing.T, url, name string, pair nkeys.KeyPair) (*nats.Conn, *refusals) {
	t.Helper()
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &refusals{}
	nc, err := nats.Connect(url, nats.Nkey(public, pair.Sign), nats.CustomInboxPrefix("_INBOX_"+name), nats.ErrorHandler(r.add))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(nc.Close)
	return nc, r
}

// Every adapter reaches the log on its own channels and can do nothing else.
func TestAnAdapterMayPublishItsOwnChannelsAndNothingElse(t *testing.T) {
	url, seeds := natsWithUsers(t)
	admin, err := nats.Connect(strings.Replace(url, "nats://", "nats://earshot:unit-test-password@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Provision(t.Context(), js, stream.ProvisionConfig{Shards: 1}); err != nil {
		t.Fatal(err)
	}
	published := 0
	for name, pair := range seeds {
		nc, refused := connectAs(t, url, name, pair)
		mine, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		own := ownSubjects(t, name)
		for subject := range own {
			if _, err := mine.Publish(t.Context(), subject, []byte("{}")); err != nil {
				t.Errorf("%s may not publish %s: %v", name, subject, err)
			}
			published++
		}
		forbidden := []string{"plan.0", "checkpoint.0", "dead.0.parse_error", "insight.acme.support.praise",
			"$JS.API.STREAM.DELETE.FEEDBACK_0", "$JS.API.STREAM.MSG.DELETE.FEEDBACK_0", "$JS.API.STREAM.MSG.GET.FEEDBACK_0", "$JS.API.STREAM.LIST",
			"$JS.API.CONSUMER.CREATE.FEEDBACK_0", "$JS.ACK.FEEDBACK_0.x.1.1.1.1.1", "$KV.earshot-cursors.x", "$SYS.REQ.SERVER.PING", "anything", "feedback.in", "_INBOX.x"}
		for _, channel := range schemas.Channels() {
			e := schemas.Event{Tenant: "acme", Kind: schemas.FeedbackReceived, Source: "/x", ID: "1", Data: schemas.Data{Channel: channel}}
			for _, kind := range []schemas.Kind{schemas.FeedbackReceived, schemas.CustomerEraseRequested} {
				e.Kind = kind
				if subject := e.InSubject(); !own[subject] {
					// The refusal names the subject that the server's mapping makes of it.
					forbidden = append(forbidden, e.LogSubject(0))
					if err := nc.Publish(subject, []byte("{}")); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, subject := range forbidden {
			if strings.HasPrefix(subject, "feedback.0.") {
				continue // published above, under the name that adapters use
			}
			if err := nc.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
		listen := []string{">", "feedback.>", "feedback.in.>", "insight.>", "dead.>", "_INBOX.>", "_INBOX_*.>", "$SYS.>", "$JS.>", "_INBOX_other.x"}
		for _, subject := range listen {
			if _, err := nc.SubscribeSync(subject); err != nil && !errors.Is(err, nats.ErrPermissionViolation) {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, subject := range append(forbidden, listen...) {
			for i := 0; i < 300 && !refused.named(subject); i++ {
				time.Sleep(10 * time.Millisecond) // the refusal comes on another goroutine
			}
			if !refused.named(subject) {
				t.Errorf("%s was not refused %s", name, subject)
			}
		}
	}
	s, err := js.Stream(t.Context(), schemas.FeedbackStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(t.Context()); err != nil || info.State.Msgs != uint64(published) {
		t.Errorf("the log has %d messages, %d were allowed: %v", info.State.Msgs, published, err)
	}
	// Whoever has no key, or another one, does not get in at all.
	stranger, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := stranger.PublicKey()
	for claim, o := range map[string]nats.Option{"nobody": nats.Name("x"), "a stranger's key": nats.Nkey(public, stranger.Sign),
		"a wrong password": nats.UserInfo("earshot", "guess"), "an adapter's name without its key": nats.UserInfo("zendesk", "")} {
		if nc, err := nats.Connect(url, o, nats.MaxReconnects(0)); err == nil {
			nc.Close()
			t.Errorf("%s got in", claim)
		}
	}
}

// ownSubjects are the subjects of the events that the adapter's samples become.
func ownSubjects(t *testing.T, name string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../ingest/channels/testdata/samples/" + name + "/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, channel := range schemas.Channels() {
			if strings.Contains(string(b), fmt.Sprintf("\"channel\": %q", channel)) {
				e := schemas.Event{Tenant: "acme", Kind: schemas.FeedbackReceived, Source: "/x", ID: "1", Data: schemas.Data{Channel: channel}}
				own[e.InSubject()] = true
			}
		}
	}
	if len(own) == 0 {
		t.Errorf("the adapter %s has no golden event", name)
	}
	return own
}
