package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/earshot/earshot/processors/dedup"
)

// Config is everything that can be set from outside, read from EARSHOT_… variables. The doc tag is the line that
// 'earshot config -h' and the README show; a test holds the README to it.
type Config struct {
	DataDir             string        `split_words:"true" default:"./earshot-data" doc:"folder of the embedded servers and of the customer key"`
	GatewayAddr         string        `split_words:"true" default:"127.0.0.1:8080" doc:"address of the HTTP gateway; port 0 picks a free one"`
	BrokerAddr          string        `split_words:"true" default:"127.0.0.1:4222" doc:"address of the embedded NATS; port 0 picks a free one"`
	EngineAddr          string        `split_words:"true" default:"127.0.0.1:8123" doc:"address of the embedded ClickHouse (HTTP); port 0 picks a free one"`
	NatsURL             Secret        `split_words:"true" doc:"NATS server with JetStream; empty: the embedded one"`
	ClickhouseDSN       Secret        `split_words:"true" doc:"ClickHouse server, such as http://user:password@host:8123; empty: the embedded one"`
	Database            string        `split_words:"true" default:"earshot" doc:"ClickHouse database; created when missing"`
	AnalystPasswordFile string        `split_words:"true" doc:"file with the password of those who read the embedded ClickHouse; empty: none, on an address of this machine only"`
	CustomerKeyFile     string        `split_words:"true" doc:"file with the secret of customer keys (at least 16 bytes); empty: customer.key in the data folder, made when missing"`
	Mask                bool          `split_words:"true" default:"true" doc:"mask addresses and telephone, card, account and national numbers before texts are classified and stored"`
	MaskPatterns        string        `split_words:"true" doc:"file of further national numbers to mask, in the form of processors/privacy/patterns/national_ids.tsv; empty: the shipped ones only"`
	HooksFile           string        `split_words:"true" doc:"file of the sources that may push to /v1/hooks; empty: hooks.json in the data folder, if it is there"`
	KeysFile            string        `split_words:"true" doc:"file of API keys; empty: keys.json in the data folder, without which the gateway takes events from everybody"`
	PublicURL           string        `split_words:"true" doc:"address by which others reach the gateway, such as https://fb.acme.example; empty: public_url of the hooks file, or the request's"`
	AnswerKeyFile       string        `split_words:"true" doc:"file with the secret that signs links for customers (at least 16 bytes); empty: answer.key in the data folder, made when missing"`
	SendKey             Secret        `split_words:"true" doc:"key with which publish, import and case send to the gateway"`
	Shards              int           `split_words:"true" default:"1" doc:"shards of the log, 1 to 64; cannot be changed once there are events"`
	Replicas            int           `split_words:"true" default:"1" doc:"copies of each stream on a NATS cluster: 1, 3 or 5"`
	LogMaxAge           time.Duration `split_words:"true" default:"720h" doc:"how long the log keeps events; must exceed the longest outage of ClickHouse"`
	LogMaxBytes         int64         `split_words:"true" default:"0" doc:"bytes a shard of the log may hold before the gateway answers 503; 0: no limit"`
	GatewayRate         float64       `split_words:"true" default:"0" doc:"events per second one client address may send before it is answered 429; 0: no limit"`
	BatchRows           int           `split_words:"true" default:"50000" doc:"most rows of one insert"`
	Linger              time.Duration `split_words:"true" default:"200ms" doc:"how long an insert waits to fill"`
	Takeover            time.Duration `split_words:"true" default:"15s" doc:"how long a shard must have stood still before a second worker that waits for it takes it over"`
	InsightMaxAge       time.Duration `split_words:"true" default:"72h" doc:"how old an event may be when it arrives to be announced on INSIGHTS; older ones are stored and counted only"`
	AlertRules          string        `split_words:"true" doc:"file of alert rules (YAML); empty: the shipped ones; off: no alerts"`
	AlertReceivers      string        `split_words:"true" doc:"file of receivers of alerts (YAML), not readable by others; empty: alerts are stored and announced on INSIGHTS only"`
	AlertLink           string        `split_words:"true" doc:"address under which people find the dashboard; alerts link to it; empty: no link"`
	DedupIDs            int           `split_words:"true" default:"2000000" doc:"identities a worker keeps in memory, 40 to 80 bytes each, at least 4 × EARSHOT_BATCH_ROWS; older ones are looked up"`
	AuditEvery          time.Duration `split_words:"true" default:"60s" doc:"how often a node that processes audits what is stored; 0: only at its start"`
	ClassifierURL       Secret        `split_words:"true" doc:"model of your own behind HTTP that is asked about texts the built-in classifier is unsure of; empty: nobody is asked"`
	ClassifierKey       Secret        `split_words:"true" doc:"bearer token for it"`
	ClassifierBelow     float64       `split_words:"true" default:"0.7" doc:"texts whose polarity has a lower probability are sent to it, 0.01 to 1"`
	ClassifierBatch     int           `split_words:"true" default:"32" doc:"most texts of one request to it"`
	ClassifierTimeout   time.Duration `split_words:"true" default:"2s" doc:"how long one request to it may take"`
	ClassifierBudget    time.Duration `split_words:"true" default:"5s" doc:"how long a batch of events may wait for it; what is not answered by then keeps the built-in labels"`
	ThemesEvery         time.Duration `split_words:"true" default:"24h" doc:"how often a node that processes looks for new themes in what each tenant's customers said; 0: only 'earshot themes discover' does"`
	CacheEvery          time.Duration `split_words:"true" default:"5s" doc:"how often a node looks whether what is cached for named queries is stale, to make it again; 0: never"`
	QueryMaxAge         time.Duration `split_words:"true" default:"0s" doc:"how old answers of 'earshot query --name' may be; 0: they are of now, and take longer while events come"`
	EngineMemory        int64         `split_words:"true" default:"4096" doc:"MiB of memory the embedded ClickHouse may use"`
	EraseAfter          time.Duration `split_words:"true" default:"150s" doc:"how long what came before a request to erase must have been stored; below 2m a power cut may halt a shard"`
	DrainTimeout        time.Duration `split_words:"true" default:"20s" doc:"how long a stop waits for accepted events to be stored; what is left goes on at the next start"`
	LogLevel            string        `split_words:"true" default:"info" doc:"debug, info, warn or error"`
	LogFormat           string        `split_words:"true" default:"auto" doc:"json, console, or auto: console on a terminal"`

	// LibraryPath is CHDB_LIB_PATH, the one variable without the prefix, because other programs use it too.
	LibraryPath string `ignored:"true"`

	set map[string]bool // variables that were given, by name
}

// prefix begins the name of every variable of ours.
const prefix = "EARSHOT"

// allowed are variables with our prefix that are not configuration.
var allowed = []string{"EARSHOT_LONG_TESTS"}

// Secret is a setting that may hold a password. It prints with the password masked; [Secret.Reveal] returns it whole.
type Secret struct{ value string }

// Decode takes the variable's value; it is how envconfig fills a Secret.
func (s *Secret) Decode(v string) error {
	s.value = v
	return nil
}

// Reveal returns the value as given.
func (s Secret) Reveal() string { return s.value }

// String is the value with the passwords of its URLs, which commas separate, masked; what is not a URL is masked whole.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	urls := strings.Split(s.value, ",")
	for i, u := range urls {
		urls[i] = maskURL(u)
	}
	return strings.Join(urls, ",")
}

func maskURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "***"
	}
	if q := u.Query(); u.RawQuery != "" {
		for k := range q {
			if strings.Contains(strings.ToLower(k), "pass") || strings.Contains(strings.ToLower(k), "token") {
				q.Set(k, "xxxxx")
			}
		}
		u.RawQuery = q.Encode()
	}
	if u.User != nil && !strings.Contains(u.User.String(), ":") {
		u.User = url.User("xxxxx") // a lone user of a NATS URL is a token
	}
	return u.Redacted()
}

// GoString hides the value from %#v as well.
func (s Secret) GoString() string { return s.String() }

// variable is one setting as it is documented and shown.
type variable struct {
	Name    string
	Default string
	Doc     string
	Value   string // effective, secrets masked
}

// variables lists the settings in the order of [Config].
func (c *Config) variables() []variable {
	var out []variable
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if doc := f.Tag.Get("doc"); doc != "" {
			out = append(out, variable{variableName(f.Name), f.Tag.Get("default"), doc, fmt.Sprint(v.Field(i).Interface())})
		}
	}
	return out
}

// variableName spells a field as envconfig's split_words does.
func variableName(field string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for i, r := range field {
		upper := r >= 'A' && r <= 'Z'
		before := i > 0 && field[i-1] >= 'a' && field[i-1] <= 'z'
		if i == 0 || upper && before {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// LoadConfig reads the configuration from the process's environment. It reports all faults at once, one a line, each
// naming the variable, the value and what is allowed.
func LoadConfig() (Config, error) {
	c := Config{set: map[string]bool{}}
	var faults []error
	given := map[string]bool{}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if name == "CHDB_LIB_PATH" {
			c.LibraryPath = value
		}
		if strings.HasPrefix(name, prefix+"_") {
			given[name] = true
		}
	}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("doc") == "" {
			continue
		}
		name := variableName(f.Name)
		c.set[name] = given[name]
		delete(given, name)
		// One field at a time, because envconfig stops at the first fault, and by our name: it would split DedupIDs into
		// DEDUP_I_DS.
		tag := fmt.Sprintf(`%s envconfig:"%s"`, f.Tag, strings.TrimPrefix(name, prefix+"_"))
		one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: reflect.StructTag(tag)}}))
		if err := envconfig.Process(prefix, one.Interface()); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, parseFault(err)))
			continue
		}
		v.Field(i).Set(one.Elem().Field(0))
	}
	for _, name := range allowed {
		delete(given, name)
	}
	known := c.variables()
	for _, name := range slices.Sorted(mapKeys(given)) {
		faults = append(faults, fmt.Errorf("%s: there is no such variable; the nearest is %s", name, nearest(name, known)))
	}
	faults = append(faults, c.check()...)
	return c, errors.Join(faults...)
}

func mapKeys(m map[string]bool) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// parseFault says what a value should have looked like without repeating the library's type names.
func parseFault(err error) error {
	var p *envconfig.ParseError
	if !errors.As(err, &p) {
		return err
	}
	wants := map[string]string{"time.Duration": "a duration such as 200ms or 720h", "int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false"}
	want, ok := wants[p.TypeName]
	if !ok {
		want = p.TypeName
	}
	return fmt.Errorf("found %q, wanted %s", p.Value, want)
}

// nearest is the known variable with the smallest edit distance to a name.
func nearest(name string, known []variable) string {
	best, distance := "", 1<<30
	for _, v := range known {
		if d := editDistance(name, v.Name); d < distance {
			best, distance = v.Name, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// check holds the values against their bounds.
func (c *Config) check() (faults []error) {
	fault := func(field string, value any, want string) {
		faults = append(faults, fmt.Errorf("%s: found %v, wanted %s", variableName(field), value, want))
	}
	for _, a := range []struct{ field, value string }{{"GatewayAddr", c.GatewayAddr}, {"BrokerAddr", c.BrokerAddr}, {"EngineAddr", c.EngineAddr}} {
		if _, _, err := net.SplitHostPort(a.value); err != nil && a.value != "" {
			fault(a.field, a.value, "host:port")
		}
	}
	if host, _, err := net.SplitHostPort(c.EngineAddr); err == nil && c.AnalystPasswordFile == "" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		fault("EngineAddr", c.EngineAddr, "an address on this machine, such as 127.0.0.1:8123, or EARSHOT_ANALYST_PASSWORD_FILE beside it: others could read every text there")
	}
	for _, u := range []struct {
		field   string
		value   Secret
		schemes []string
	}{{"NatsURL", c.NatsURL, []string{"nats", "tls", "ws", "wss"}}, {"ClassifierURL", c.ClassifierURL, []string{"http", "https"}}, {"ClickhouseDSN", c.ClickhouseDSN, []string{"http", "https", "clickhouse"}}} {
		if u.value.Reveal() == "" {
			continue
		}
		// NATS takes several servers, separated by commas; the first stands for all.
		parsed, err := url.Parse(strings.Split(u.value.Reveal(), ",")[0])
		if err != nil || !slices.Contains(u.schemes, parsed.Scheme) || parsed.Host == "" {
			fault(u.field, u.value, "a URL that begins with "+strings.Join(u.schemes, ":// or ")+"://")
		}
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "") {
		fault("PublicURL", c.PublicURL, "a URL without a path, such as https://feedback.acme.example")
	}
	bounded := func(field string, value, lo, hi float64) {
		if value < lo || value > hi {
			plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
			fault(field, plain(value), plain(lo)+" to "+plain(hi))
		}
	}
	bounded("Shards", float64(c.Shards), 1, 64)
	bounded("BatchRows", float64(c.BatchRows), 1, 500_000)
	// The set must outlast the batches that are not in the table yet; see processors/dedup.
	bounded("DedupIDs", float64(c.DedupIDs), float64(dedup.MinCapacity(c.BatchRows)), 200_000_000)
	bounded("ClassifierBelow", c.ClassifierBelow, 0.01, 1)
	bounded("ClassifierBatch", float64(c.ClassifierBatch), 1, 1000)
	bounded("EngineMemory", float64(c.EngineMemory), 512, 1<<20)
	bounded("GatewayRate", c.GatewayRate, 0, 1e9)
	bounded("LogMaxBytes", float64(c.LogMaxBytes), 0, 1<<53)
	for _, d := range []struct {
		field  string
		value  time.Duration
		lo, hi time.Duration
	}{{"LogMaxAge", c.LogMaxAge, time.Minute, 100 * 365 * 24 * time.Hour}, {"Linger", c.Linger, 0, time.Minute}, {"EraseAfter", c.EraseAfter, time.Millisecond, 24 * time.Hour}, {"Takeover", c.Takeover, 100 * time.Millisecond, time.Hour}, {"InsightMaxAge", c.InsightMaxAge, time.Minute, 100 * 365 * 24 * time.Hour}, {"DrainTimeout", c.DrainTimeout, 0, time.Hour},
		{"ClassifierTimeout", c.ClassifierTimeout, 10 * time.Millisecond, time.Minute}, {"ClassifierBudget", c.ClassifierBudget, 10 * time.Millisecond, time.Minute}} {
		if d.value < d.lo || d.value > d.hi {
			fault(d.field, d.value, fmt.Sprintf("%v to %v", d.lo, d.hi))
		}
	}
	if c.AuditEvery != 0 && (c.AuditEvery < time.Second || c.AuditEvery > 24*time.Hour) {
		fault("AuditEvery", c.AuditEvery, "0, or 1s to 24h")
	}
	if c.CacheEvery != 0 && (c.CacheEvery < time.Second || c.CacheEvery > 24*time.Hour) {
		fault("CacheEvery", c.CacheEvery, "0, or 1s to 24h")
	}
	if c.QueryMaxAge < 0 || c.QueryMaxAge > 366*24*time.Hour {
		fault("QueryMaxAge", c.QueryMaxAge, "0s to 8784h")
	}
	if c.ThemesEvery != 0 && (c.ThemesEvery < time.Hour || c.ThemesEvery > 366*24*time.Hour) {
		fault("ThemesEvery", c.ThemesEvery, "0, or 1h to 8784h")
	}
	if !slices.Contains([]int{1, 3, 5}, c.Replicas) {
		fault("Replicas", c.Replicas, "1, 3 or 5")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("LogLevel", c.LogLevel, "debug, info, warn or error")
	}
	if !slices.Contains([]string{"auto", "json", "console"}, c.LogFormat) {
		fault("LogFormat", c.LogFormat, "auto, json or console")
	}
	if c.DataDir == "" {
		fault("DataDir", `""`, "a folder")
	}
	return faults
}

// dataDir is the data folder as an absolute path; the engine needs one.
func (c *Config) dataDir() (string, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return "", fmt.Errorf("find the data folder %s: %w", c.DataDir, err)
	}
	return dir, nil
}

// makeDataDir makes the data folder, readable by nobody else.
func (c *Config) makeDataDir() (string, error) {
	dir, err := c.dataDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w; set EARSHOT_DATA_DIR to a folder that can be written", err)
	}
	return dir, nil
}
