package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestAllFaultsOfTheConfigurationAreNamedAtOnce(t *testing.T) {
	for name, value := range map[string]string{
		"EARSHOT_SHARDS": "0", "EARSHOT_LINGER": "fast", "EARSHOT_NATS_URL": "http://nats", "EARSHOT_GATEWAY_ADR": "x",
		"EARSHOT_REPLICAS": "2", "EARSHOT_ENGINE_ADDR": "8123", "EARSHOT_BATCH_ROWS": "many", "EARSHOT_LOG_LEVEL": "loud",
	} {
		t.Setenv(name, value)
	}
	_, err := LoadConfig()
	if err == nil {
		t.Fatal("eight faults were accepted")
	}
	for _, want := range []string{
		"EARSHOT_SHARDS: found 0, wanted 1 to 64",
		`EARSHOT_LINGER: found "fast", wanted a duration`,
		"EARSHOT_NATS_URL: ", "nats://",
		"EARSHOT_GATEWAY_ADR: there is no such variable; the nearest is EARSHOT_GATEWAY_ADDR",
		"EARSHOT_REPLICAS: found 2, wanted 1, 3 or 5",
		"EARSHOT_ENGINE_ADDR: found 8123, wanted host:port",
		`EARSHOT_BATCH_ROWS: found "many", wanted a whole number`,
		"EARSHOT_LOG_LEVEL: found loud, wanted debug, info, warn or error",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from:\n%v", want, err)
		}
	}
}

// A variable that is documented but not read would be ignored without a word.
func TestEveryVariableIsRead(t *testing.T) {
	for _, v := range new(Config).variables() {
		t.Run(v.Name, func(t *testing.T) {
			t.Setenv(v.Name, "nonsense")
			config, err := LoadConfig()
			read := strings.Contains(fmt.Sprint(err), v.Name+":")
			for _, now := range config.variables() {
				read = read || now.Name == v.Name && (now.Value == "nonsense" || now.Value == Secret{"nonsense"}.String())
			}
			if !read {
				t.Errorf("%s=nonsense was not noticed", v.Name)
			}
		})
	}
}

// A memory of identities that does not outlast the batches under way would store what was sent twice within them twice.
func TestTheMemoryOfIdentitiesMustOutlastTheBatches(t *testing.T) {
	t.Setenv("EARSHOT_BATCH_ROWS", "500000")
	if _, err := LoadConfig(); err != nil {
		t.Errorf("the default memory is too small for the largest batch: %v", err)
	}
	t.Setenv("EARSHOT_DEDUP_IDS", "1999999")
	if _, err := LoadConfig(); err == nil || !strings.Contains(err.Error(), "EARSHOT_DEDUP_IDS: found 1999999, wanted 2000000 to 200000000") {
		t.Errorf("four batches less one were taken: %v", err)
	}
}

func TestPasswordsAreNeverPrinted(t *testing.T) {
	for _, c := range []struct{ name, url string }{
		{"EARSHOT_CLICKHOUSE_DSN", "http://analyst:s3cret@host:8123/db?x=1"},
		{"EARSHOT_CLICKHOUSE_DSN", "http://host:8123/?password=s3cret"},
		{"EARSHOT_NATS_URL", "nats://s3cret@host:4222"},
		{"EARSHOT_NATS_URL", "nats://u:s3cret@host:4222"},
		{"EARSHOT_CLICKHOUSE_DSN", "mysql://u:s3cret@host"},
		{"EARSHOT_CLICKHOUSE_DSN", "s3cret"},
		{"EARSHOT_NATS_URL", "nats://a:s3cret@one:4222,nats://b:s3cret@two:4222"},
	} {
		t.Run(c.url, func(t *testing.T) {
			t.Setenv(c.name, c.url)
			config, err := LoadConfig()
			shown := fmt.Sprint(err)
			for _, v := range config.variables() {
				shown += v.Value
			}
			shown += fmt.Sprintf("%v %+v %#v %s", config, config, config, config.NatsURL)
			if strings.Contains(shown, "s3cret") {
				t.Errorf("the password is in %s", shown)
			}
		})
	}
}

func TestDefaultsAreThoseThatOutsideClientsUse(t *testing.T) {
	c, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	if c.GatewayAddr != "127.0.0.1:8080" || c.BrokerAddr != "127.0.0.1:4222" || c.EngineAddr != "127.0.0.1:8123" || c.DataDir != "./earshot-data" || c.Database != "earshot" {
		t.Errorf("the defaults are %+v", c)
	}
}
