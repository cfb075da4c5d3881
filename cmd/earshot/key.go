package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/ingest/gateway"
	"github.com/earshot/earshot/ingest/keys"
)

// keysFile is the file of API keys in the data folder.
const keysFile = "keys.json"

type keyOptions struct {
	name, tenant, channels string
	rate                   float64
}

func keyCommand() command {
	return command{
		name: "key", args: "create|list|revoke ID|rotate-customers", summary: "make, show and end keys of the gateway and of customers",
		help: `Makes a key and shows it this once; only its hash is kept, in EARSHOT_KEYS_FILE. As soon as there is a first key the
gateway takes events with a key only: restart it then. Later keys, and their ends, count within a second.
A key can be for one tenant, for some channels, and for so many events a second. What is done to keys is written down
beside the file, in ` + filepath.Base(keys.AuditFile(keysFile)) + `. Webhooks have secrets of their own and need no key.
rotate-customers makes a new secret for the keys by which customers are known in the table. Restart the nodes, which read it
then, and run 'earshot reclassify': it brings all rows to it, and a customer stays the customer they were.
Example: earshot key create --name shop --tenant acme --channels email,survey --rate 50`,
		flags: func(fs *flag.FlagSet) any {
			o := &keyOptions{}
			fs.StringVar(&o.name, "name", "", "by which it is known later")
			fs.StringVar(&o.tenant, "tenant", "", "whose events it may send; default: any tenant's")
			fs.StringVar(&o.channels, "channels", "", "on which it may send, separated by commas; default: all")
			fs.Float64Var(&o.rate, "rate", 0, "events per second in the long run; 0: no limit of its own")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			return runKey(env, opts.(*keyOptions), args)
		},
	}
}

// keysPath is where the keys are; "" where nothing says so.
func keysPath(c *Config, dir string) string {
	if c.KeysFile != "" || dir == "" {
		return c.KeysFile
	}
	return filepath.Join(dir, keysFile)
}

func runKey(env *environment, o *keyOptions, args []string) error {
	// The flag package ends at the first word, so the flags may come after it.
	if len(args) > 1 && args[0] == "create" {
		fs := flag.NewFlagSet("earshot key create", flag.ContinueOnError)
		fs.SetOutput(env.stderr)
		again := keyCommand().flags(fs).(*keyOptions)
		if err := fs.Parse(args[1:]); err != nil {
			return usageError{err}
		}
		o, args = again, append(args[:1], fs.Args()...)
	}
	dir, err := env.config.makeDataDir()
	if err != nil {
		return err
	}
	path := keysPath(&env.config, dir)
	switch {
	case len(args) == 1 && args[0] == "create":
		k := keys.Key{Name: o.name, Tenant: o.tenant, Rate: o.rate}
		if o.channels != "" {
			k.Channels = strings.Split(o.channels, ",")
		}
		token, made, err := keys.Create(path, k, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(env.stderr, "key %s (%s); it is shown this once:\n", made.ID, made.Name)
		fmt.Fprintln(env.stdout, token)
	case len(args) == 1 && args[0] == "list":
		list, err := keys.List(path)
		if err != nil {
			return err
		}
		for _, k := range list {
			state := "good"
			if !k.Revoked.IsZero() {
				state = "revoked " + k.Revoked.Format(time.RFC3339)
			}
			fmt.Fprintf(env.stdout, "%s\t%s\ttenant %s\tchannels %s\trate %g\tcreated %s\t%s\n", k.ID, k.Name, first(k.Tenant, "any"),
				first(strings.Join(k.Channels, ","), "all"), k.Rate, k.Created.Format(time.RFC3339), state)
		}
	case len(args) == 2 && args[0] == "revoke":
		return keys.Revoke(path, args[1], time.Now())
	case len(args) == 1 && args[0] == "rotate-customers":
		version, file, err := rotateCustomerKey(&env.config, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "version %d of the customer key is in %s: copy it to every node, restart them, and run 'earshot reclassify'\n", version, file)
	default:
		return usagef("takes create, list, revoke with the id of a key, or rotate-customers")
	}
	return nil
}

// grants lets the gateway ask the ring, of which it knows nothing.
type grants struct{ *keys.Ring }

// Authenticate translates between the two.
func (g grants) Authenticate(key string, now time.Time) (gateway.Grant, error) {
	k, err := g.Check(key, now)
	if err != nil {
		return gateway.Grant{}, err
	}
	return gateway.Grant{ID: k.ID, Tenant: k.Tenant, Channels: k.Channels, EventsPerSecond: k.Rate}, nil
}

// openKeys reads the keys; nil when there are none, and nothing that names them: then everybody may send.
func openKeys(c *Config, dir string) (gateway.Keys, error) {
	path := keysPath(c, dir)
	if path == "" {
		return nil, nil
	}
	r, err := keys.Open(path, time.Now())
	if err != nil {
		return nil, fmt.Errorf("open the API keys: %w", err)
	}
	if r == nil {
		if c.KeysFile != "" { // whoever names a file wants keys: a gateway that is open by mistake is worse than none
			return nil, fmt.Errorf("open the API keys: EARSHOT_KEYS_FILE %s is not there; 'earshot key create' makes it", path)
		}
		return nil, nil
	}
	return grants{r}, nil
}
