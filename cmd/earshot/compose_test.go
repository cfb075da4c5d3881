package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"
	"go.yaml.in/yaml/v3"

	"github.com/earshot/earshot/schemas"
	earshotsql "github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// composeFile is what the test reads of docker-compose.yml.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
	Secrets  map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
	Configs map[string]struct {
		File string `yaml:"file"`
	} `yaml:"configs"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Build       string            `yaml:"build"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	Restart     string            `yaml:"restart"`
	MemLimit    string            `yaml:"mem_limit"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

// oneShot says that the service does its work once and ends.
func (s composeService) oneShot() bool { return s.Restart == "no" }

// TestComposeFileHoldsTogether reports every fault of docker-compose.yml at once.
func TestComposeFileHoldsTogether(t *testing.T) {
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range composeFaults(t, text, "../..") {
		t.Error(fault)
	}
}

// A check that finds nothing could be blind, so each is shown what it forbids.
func TestEveryComposeCheckFindsItsFault(t *testing.T) {
	const good = `
services:
  one:
    image: nats:2.15-alpine
    command: ["up"]
    volumes: ["data:/data", "./docker-compose.yml:/x:ro"]
    ports: ["127.0.0.1:4222:4222"]
    environment: {EARSHOT_SHARDS: "2"}
    healthcheck: {test: ["CMD", "true"]}
    mem_limit: 1g
    restart: unless-stopped
volumes: {data: }
`
	for _, c := range []struct{ claim, from, to, want string }{
		{"a good file has no fault", "", "", ""},
		{"a misspelt variable is found", "EARSHOT_SHARDS", "EARSHOT_SHARD", "EARSHOT_SHARD: there is no such variable"},
		{"a bad value is found", `"2"`, `"0"`, "EARSHOT_SHARDS: found 0"},
		{"a mounted file must be there", "./docker-compose.yml:", "./deploy/none.conf:", "deploy/none.conf"},
		{"a volume must be declared", `["data:`, `["date:`, "volume date"},
		{"ports are on loopback", `"127.0.0.1:4222`, `"4222`, "not on 127.0.0.1"},
		{"memory is limited", "mem_limit: 1g", "", "no memory limit"},
		{"there is a health check", `healthcheck: {test: ["CMD", "true"]}`, "", "no health check"},
		{"there is a restart policy", "restart: unless-stopped", "", "no restart policy"},
		{"what ends at once is waited for", "restart: unless-stopped", `restart: "no"`, "nobody waits for it"},
		{"a started service is not yet a ready one", "restart: unless-stopped", "restart: always\n    depends_on: {one: {condition: service_started}}", "service_started"},
		{"images are pinned", "nats:2.15-alpine", "nats:latest", "not pinned"},
	} {
		got := composeFaults(t, []byte(strings.Replace(good, c.from, c.to, 1)), "../..")
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: found %q", c.claim, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("%s: want one fault with %q, found %q", c.claim, c.want, got)
		}
	}
}

// substitution is how compose takes a value from its environment.
var substitution = regexp.MustCompile(`\$\{[A-Z_]+([:?-][^}]*)?\}`)

// composeFaults says what is wrong with the compose file; root is the folder it stands in.
func composeFaults(t *testing.T, text []byte, root string) (faults []string) {
	t.Helper()
	fault := func(service, format string, args ...any) {
		faults = append(faults, "docker-compose.yml: "+service+": "+fmt.Sprintf(format, args...))
	}
	var f composeFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		return []string{err.Error()}
	}
	awaited := map[string]string{}
	for _, name := range sortedKeys(f.Services) {
		for other, d := range f.Services[name].DependsOn {
			awaited[other] = d.Condition
			if d.Condition == "service_started" || d.Condition == "" {
				fault(name, "depends on %s with the condition %q; a started service is not yet a ready one", other, d.Condition)
			}
			if _, ok := f.Services[other]; !ok {
				fault(name, "depends on %s, which is not there", other)
			}
		}
	}
	for _, name := range sortedKeys(f.Services) {
		s := f.Services[name]
		if err := configured(t, s.Environment); err != nil {
			fault(name, "environment: %v", err)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join(root, from)); err != nil {
					fault(name, "mounts a file that is not there: %v", err)
				}
			} else if _, ok := f.Volumes[from]; !ok {
				fault(name, "mounts the volume %s, which is not declared", from)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				fault(name, "publishes %s, which is not on 127.0.0.1", p)
			}
		}
		if s.MemLimit == "" {
			fault(name, "has no memory limit")
		}
		if s.Restart == "" {
			fault(name, "has no restart policy")
		}
		if len(s.Healthcheck.Test) == 0 && !s.oneShot() {
			fault(name, "has no health check")
		}
		if s.oneShot() && awaited[name] != "service_completed_successfully" {
			fault(name, "ends by itself, but nobody waits for it")
		}
		if s.Build == "" && !regexp.MustCompile(`:\d+\.\d+`).MatchString(s.Image) {
			fault(name, "the image %q is not pinned to a version", s.Image)
		}
	}
	for name, c := range f.Secrets {
		if _, err := os.Stat(filepath.Join(root, c.File)); err != nil {
			fault("secret "+name, "%v", err)
		}
	}
	for name, c := range f.Configs {
		if _, err := os.Stat(filepath.Join(root, c.File)); err != nil {
			fault("config "+name, "%v", err)
		}
	}
	return faults
}

// configured reads the configuration as a process with these variables would.
func configured(t *testing.T, variables map[string]string) error {
	t.Helper()
	for k, v := range variables {
		v = substitution.ReplaceAllString(v, "x")
		t.Setenv(k, v)
		defer os.Unsetenv(k) // not for the next service; the test's end restores what was there before
	}
	_, err := LoadConfig()
	return err
}

// Whoever starts the three together should get the versions that the tests ran against.
func TestComposeRunsTheVersionsThatAreTested(t *testing.T) {
	compose := readText(t, "../../docker-compose.yml")
	gomod := readText(t, "../../go.mod")
	nats := regexp.MustCompile(`nats-io/nats-server/v2 v(\d+\.\d+)\.`).FindStringSubmatch(gomod)
	golang := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(gomod)
	store := regexp.MustCompile(`^\d+\.\d+`).FindString(engine.Version)
	if nats == nil || golang == nil || store == "" {
		t.Fatal("go.mod or the engine names no version")
	}
	for want, in := range map[string]string{
		"image: nats:" + nats[1] + "-alpine":                  compose,
		"image: clickhouse/clickhouse-server:" + store + "\n": compose,
		"FROM golang:" + golang[1] + "-":                      readText(t, "../../Dockerfile"),
	} {
		if !strings.Contains(in, want) {
			t.Errorf("want %q", strings.TrimSpace(want))
		}
	}
}

// The shipped server configuration is one that nats-server reads, with the mappings that the contract demands for the
// number of shards in docker-compose.yml.
func TestNatsConfigurationMapsAsTheContractDemands(t *testing.T) {
	const path = "../../deploy/nats-server.conf"
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !opts.JetStream || !opts.SyncAlways || opts.StoreDir == "" {
		t.Errorf("JetStream %v, SyncAlways %v, StoreDir %q; want a file store that is synced on every write", opts.JetStream, opts.SyncAlways, opts.StoreDir)
	}
	parsed, err := conf.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := parsed["mappings"].(map[string]any)
	want := map[string]any{}
	for _, m := range schemas.Mappings(1) {
		want[m.From] = m.To
	}
	for from := range want {
		if found[from] != want[from] {
			t.Errorf("mapping of %s: found %v, want %v", from, found[from], want[from])
		}
	}
	if len(found) != len(want) {
		t.Errorf("there are %d mappings, want %d", len(found), len(want))
	}
	if !strings.Contains(readText(t, "../../docker-compose.yml"), `EARSHOT_SHARDS: "1"`) {
		t.Error("docker-compose.yml does not set EARSHOT_SHARDS to the 1 that the mappings are for")
	}
}

// Every setting in the ClickHouse files is one that the engine of this version knows: a server refuses to start, or
// quietly ignores, what it does not know.
func TestClickhouseSettingsAreKnown(t *testing.T) {
	dsn := enginetest.Start(t)
	known := map[string][]string{}
	for _, table := range []string{"server_settings", "merge_tree_settings", "settings"} {
		known[table] = strings.Fields(askEngine(t, dsn, "SELECT name FROM system."+table))
	}
	sections := []string{"users", "quotas", "logger", "query_log", "part_log", "trace_log", "text_log", "metric_log", "asynchronous_metric_log",
		"processors_profile_log", "query_thread_log", "query_views_log", "latency_log"}
	for _, file := range []string{"config.d/earshot.xml", "users.d/earshot.xml", "users.d/analyst.xml"} {
		for _, path := range leaves(t, "../../deploy/clickhouse/"+file) {
			table, name := "server_settings", path[len(path)-1]
			switch {
			case len(path) > 1 && path[0] == "merge_tree":
				table = "merge_tree_settings"
			case len(path) > 2 && path[0] == "profiles":
				table = "settings"
			case slices.Contains(sections, path[0]):
				continue
			}
			if !slices.Contains(known[table], name) {
				t.Errorf("%s: %s is not in system.%s", file, strings.Join(path, "."), table)
			}
		}
	}
}

// A tenant's analysts are held to its rows in every table that has tenants: the views read these and show what is left.
func TestPoliciesOfAnalystsCoverEveryTableWithTenants(t *testing.T) {
	policies := map[string]bool{}
	for _, path := range leaves(t, "../../deploy/clickhouse/users.d/analyst.xml") {
		if at := slices.Index(path, "databases"); at >= 0 && path[at+1] == "earshot" && path[len(path)-1] == "filter" {
			policies[path[at+2]] = true
		}
	}
	for _, o := range earshotsql.Tables() {
		if !strings.Contains(o.SQL, "CREATE TABLE") { // a table that is there already, and gets more columns
			continue
		}
		if tenants := strings.Contains(o.SQL, "\n    tenant "); tenants != policies[o.Name] {
			t.Errorf("%s: has a column tenant: %t, has a policy: %t", o.Name, tenants, policies[o.Name])
		}
	}
}

// leaves returns the paths of the innermost elements of an XML file, without the outermost one.
func leaves(t *testing.T, file string) (paths [][]string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(readText(t, file)))
	var at []string
	inner := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return paths
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			at, inner = append(at, token.Name.Local), true
		case xml.EndElement:
			if inner && len(at) > 1 {
				paths = append(paths, slices.Clone(at[1:]))
			}
			at, inner = at[:len(at)-1], false
		}
	}
}

// askEngine sends one statement to the test engine.
func askEngine(t *testing.T, dsn, sql string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+u.Host+"/", "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %s", sql, resp.Status, err, b)
	}
	return string(b)
}

// Variables that the Dockerfile and the systemd unit set exist, and the image does not run as root.
func TestDockerfileAndUnitSetVariablesThatExist(t *testing.T) {
	var known []string
	for _, v := range (&Config{}).variables() {
		known = append(known, v.Name)
	}
	for _, file := range []string{"../../Dockerfile", "../../deploy/earshot.service"} {
		names := regexp.MustCompile(`EARSHOT_[A-Z_]+`).FindAllString(readText(t, file), -1)
		if len(names) == 0 {
			t.Errorf("%s sets nothing: is it the right file?", file)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no variable %s", file, name)
			}
		}
	}
	dockerfile := readText(t, "../../Dockerfile")
	if user := regexp.MustCompile(`(?m)^USER (\d+)`).FindStringSubmatch(dockerfile); user == nil || user[1] == "0" {
		t.Error("the image runs as root")
	}
	health := regexp.MustCompile(`(?s)HEALTHCHECK.*?CMD (\[.*?\])\n`).FindStringSubmatch(dockerfile)
	var command []string
	if health == nil || json.Unmarshal([]byte(health[1]), &command) != nil {
		t.Fatal("the Dockerfile has no health check in the JSON form")
	}
	var f composeFile
	if err := yaml.Unmarshal([]byte(readText(t, "../../docker-compose.yml")), &f); err != nil {
		t.Fatal(err)
	}
	if got := f.Services["earshot"].Healthcheck.Test; len(got) == 0 || !slices.Equal(got[1:], command) {
		t.Errorf("the health checks of image and compose file differ:\n%q\n%q", command, got)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
