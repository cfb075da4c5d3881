package alerts

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// ParseRules reads a file of rules. The error is [Faults], all there are, each with its line.
func ParseRules(file string, text []byte) ([]Rule, error) {
	p := &parser{file: file}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		line := 1
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		return nil, Faults{{file, line, "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	if len(doc.Content) == 0 {
		return nil, Faults{{file, 1, "holds nothing: begin with 'rules:'; 'earshot alert check --print' shows the shipped ones"}}
	}
	var rules []Rule
	p.mapping(doc.Content[0], "the file", func(key string, k, v *yaml.Node) bool {
		if key != "rules" {
			return false
		}
		if v.Kind != yaml.SequenceNode {
			p.fault(v, "rules: wants a list")
			return true
		}
		for _, n := range v.Content {
			rules = append(rules, p.rule(n))
		}
		return true
	}, "rules")
	if len(rules) == 0 && len(p.faults) == 0 {
		p.fault(doc.Content[0], "holds no rule: nobody would ever be alerted; 'off' for EARSHOT_ALERT_RULES says that it is meant")
	}
	p.inhibitions(rules)
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return a.Line - b.Line })
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return rules, nil
}

var (
	yamlLine = regexp.MustCompile(`line (\d+)`)
	word     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

type parser struct {
	file   string
	faults Faults
	places []*yaml.Node // of each rule's inhibits, or the rule itself
	seen   map[string]int
}

func (p *parser) fault(n *yaml.Node, format string, args ...any) {
	p.faults = append(p.faults, Fault{p.file, n.Line, fmt.Sprintf(format, args...)})
}

// mapping hands each key to set, which says whether it knows it.
func (p *parser) mapping(n *yaml.Node, what string, set func(key string, k, v *yaml.Node) bool, known ...string) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "%s: wants keys and values", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if seen[k.Value] {
			p.fault(k, "%s: %q stands twice", what, k.Value)
		}
		seen[k.Value] = true
		if !set(k.Value, k, v) {
			p.fault(k, "%s: there is no key %q: use %s", what, k.Value, strings.Join(known, ", "))
		}
	}
}

var ruleKeys = []string{"alert", "detector", "by", "where", "windows", "for", "keep_firing_for", "late_after", "false_alarms_per_week", "min_customers",
	"min_factor", "limit", "z", "target", "query", "column", "params", "severity", "labels", "annotations", "inhibits"}

func (p *parser) rule(n *yaml.Node) Rule {
	r := Rule{By: []string{"tenant"}, Windows: []time.Duration{time.Hour}, KeepFiringFor: DefaultKeepFiringFor,
		LateAfter: DefaultLateAfter, FalseAlarmsPerWeek: DefaultFalseAlarms, Floors: Floors{DefaultCustomers, DefaultFactor}, Limit: 1, Z: DefaultZ, Severity: schemas.Warning}
	place := n
	given := map[string]*yaml.Node{}
	p.mapping(n, "a rule", func(key string, k, v *yaml.Node) bool {
		given[key] = v
		switch key {
		case "alert":
			r.Name = p.text(v, key)
			if !word.MatchString(r.Name) {
				p.fault(v, "alert: %q: wants a name of letters, digits and underscores", r.Name)
			}
			if p.seen == nil {
				p.seen = map[string]int{}
			}
			if line := p.seen[r.Name]; line > 0 {
				p.fault(v, "alert: %q is the name of the rule on line %d already", r.Name, line)
			}
			p.seen[r.Name] = v.Line
		case "detector":
			r.Detector = oneOf(p, v, key, Detectors())
		case "by":
			for _, d := range p.list(v, key) {
				if !slices.Contains(Dimensions(), d) {
					p.fault(v, "by: %q: use %s", d, strings.Join(Dimensions(), ", "))
				} else if !slices.Contains(r.By, d) {
					r.By = append(r.By, d)
				}
			}
		case "where":
			p.scope(v, &r.Where)
		case "windows":
			r.Windows = nil
			for _, w := range v.Content {
				r.Windows = append(r.Windows, p.duration(w, key, time.Minute, maxWindow))
			}
			slices.Sort(r.Windows)
			if v.Kind != yaml.SequenceNode || len(r.Windows) == 0 || len(r.Windows) > 6 {
				p.fault(v, "windows: wants a list of one to six durations, such as [15m, 1h]")
			}
		case "for":
			r.For = p.duration(v, key, 0, maxWindow)
		case "keep_firing_for":
			r.KeepFiringFor = p.duration(v, key, 0, 7*24*time.Hour)
		case "late_after":
			r.LateAfter = p.duration(v, key, time.Minute, 7*24*time.Hour)
		case "false_alarms_per_week":
			r.FalseAlarmsPerWeek = p.number(v, key, 1e-6, 1000)
		case "min_customers":
			r.Floors.Customers = int(p.number(v, key, 1, 1e6))
		case "min_factor":
			r.Floors.Factor = p.number(v, key, 1, 1000)
		case "limit":
			r.Limit = p.number(v, key, 0, 1e12)
		case "z":
			r.Z = p.number(v, key, 1, 100)
		case "target":
			r.Target = p.duration(v, key, time.Minute, 30*24*time.Hour)
		case "query":
			r.Query = p.text(v, key)
		case "column":
			r.Column = p.text(v, key)
		case "params":
			r.Params = p.texts(v, key)
		case "severity":
			r.Severity = oneOf(p, v, key, schemas.Severities())
		case "labels":
			r.Labels = p.texts(v, key)
			for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
				if !word.MatchString(name) || slices.Contains(append(Dimensions(), "alertname", "severity"), name) {
					p.fault(v, "labels: %q: wants a name of letters, digits and underscores that is not one of alertname, severity, %s", name, strings.Join(Dimensions(), ", "))
				}
			}
		case "annotations":
			r.Annotations = p.texts(v, key)
		case "inhibits":
			r.Inhibits, place = p.list(v, key), v
		default:
			return false
		}
		return true
	}, ruleKeys...)
	p.places = append(p.places, place)
	p.complete(n, &r, given)
	return r
}

// complete finds what is missing and what does not belong together.
func (p *parser) complete(n *yaml.Node, r *Rule, given map[string]*yaml.Node) {
	for _, key := range []string{"alert", "detector"} {
		if given[key] == nil {
			p.fault(n, "a rule: %q is missing", key)
		}
	}
	only := func(key string, detectors ...Detector) {
		if at := given[key]; at != nil && slices.Contains(Detectors(), r.Detector) && !slices.Contains(detectors, r.Detector) {
			p.fault(at, "%s: has no meaning for the detector %s", key, r.Detector)
		}
	}
	need := func(key string) {
		if given[key] == nil {
			p.fault(n, "the detector %s needs %q", r.Detector, key)
		}
	}
	only("false_alarms_per_week", DetectNegativeSpike, DetectVolumeSpike)
	only("min_factor", DetectNegativeSpike, DetectVolumeSpike)
	only("min_customers", DetectNegativeSpike, DetectVolumeSpike, DetectEscalating, DetectRobust)
	only("limit", DetectThreshold, DetectSLA, DetectQuery)
	only("z", DetectRobust)
	only("target", DetectSLA)
	only("late_after", DetectNegativeSpike, DetectVolumeSpike, DetectEscalating, DetectRobust, DetectThreshold)
	only("windows", DetectNegativeSpike, DetectVolumeSpike, DetectThreshold)
	for _, key := range []string{"query", "column", "params"} {
		only(key, DetectQuery)
	}
	switch r.Detector {
	case DetectSLA:
		need("target")
		r.Windows = []time.Duration{r.Target}
		if r.Mentions() {
			p.fault(n, "the detector sla knows tenant, channel and product only")
		}
	case DetectQuery:
		need("query")
		need("column")
		if r.Query == "" {
			break
		}
		if q, err := sql.Find(r.Query); err != nil {
			p.fault(given["query"], "query: there is no named query %q: 'earshot query --list' lists them", r.Query)
		} else {
			if err := q.Check(r.Params); err != nil {
				p.fault(given["params"], "params: query %s: %v", r.Query, err)
			}
		}
		if at := given["where"]; at != nil {
			p.fault(at, "where: has no meaning for the detector query: use params")
		}
	}
}

func (p *parser) scope(n *yaml.Node, s *Scope) {
	lists := map[string]*[]string{"tenant": &s.Tenant, "channel": &s.Channel, "product": &s.Product, "element": &s.Element,
		"facet": &s.Facet, "theme": &s.Theme, "intent": &s.Intent, "urgency": &s.Urgency, "words": &s.Words}
	p.mapping(n, "where", func(key string, k, v *yaml.Node) bool {
		list, ok := lists[key]
		if ok {
			*list = p.list(v, key)
			if v.Kind == yaml.SequenceNode && len(*list) == 0 {
				p.fault(v, "where: %s: is empty, which narrows nothing: leave it out or name a value", key)
			}
			if slices.ContainsFunc(*list, func(s string) bool { return strings.TrimSpace(s) == "" }) {
				p.fault(v, "where: %s: an empty value: leave it out", key) // every text holds the empty word
			}
		}
		return ok
	}, slices.Sorted(maps.Keys(lists))...)
	known(p, n, "channel", s.Channel, schemas.Channels())
	known(p, n, "element", s.Element, schemas.Elements())
	known(p, n, "facet", s.Facet, schemas.Facets())
	known(p, n, "intent", s.Intent, []schemas.Intent{schemas.Complaint, schemas.Praise, schemas.Question, schemas.Request, schemas.ChurnNotice, schemas.OtherIntent})
	known(p, n, "urgency", s.Urgency, []schemas.Urgency{schemas.UrgencyLow, schemas.UrgencyMedium, schemas.UrgencyHigh})
}

// known finds values that nothing ever has.
func known[T ~string](p *parser, n *yaml.Node, key string, values []string, of []T) {
	for _, v := range values {
		if !slices.Contains(of, T(v)) {
			names := make([]string, len(of))
			for i, o := range of {
				names[i] = string(o)
			}
			p.fault(n, "where: %s %q: use %s", key, v, strings.Join(names, ", "))
		}
	}
}

// inhibitions finds rules that are named and not there.
func (p *parser) inhibitions(rules []Rule) {
	for i, r := range rules {
		for _, name := range r.Inhibits {
			at := slices.IndexFunc(rules, func(o Rule) bool { return o.Name == name })
			switch {
			case at < 0:
				p.fault(p.places[i], "inhibits: there is no rule %q", name)
			case at == i || slices.Contains(rules[at].Inhibits, r.Name):
				p.fault(p.places[i], "inhibits: %q inhibits back", name)
			}
		}
	}
}

func (p *parser) text(n *yaml.Node, key string) string {
	if n.Kind != yaml.ScalarNode {
		p.fault(n, "%s: wants one value", key)
	}
	return n.Value
}

// list takes one value or several.
func (p *parser) list(n *yaml.Node, key string) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	if n.Kind != yaml.SequenceNode {
		p.fault(n, "%s: wants a list", key)
		return nil
	}
	var out []string
	for _, v := range n.Content {
		out = append(out, p.text(v, key))
	}
	return out
}

func (p *parser) texts(n *yaml.Node, key string) map[string]string {
	out := map[string]string{}
	p.mapping(n, key, func(name string, k, v *yaml.Node) bool {
		out[name] = p.text(v, key+" "+name)
		return true
	})
	return out
}

func (p *parser) number(n *yaml.Node, key string, lo, hi float64) float64 {
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !(f >= lo && f <= hi) {
		p.fault(n, "%s: %q: wants a number from %g to %g", key, n.Value, lo, hi)
	}
	return f
}

func (p *parser) duration(n *yaml.Node, key string, lo, hi time.Duration) time.Duration {
	d, err := time.ParseDuration(n.Value)
	if n.Value == "0" {
		d, err = 0, nil
	}
	if err != nil || d < lo || d > hi {
		p.fault(n, "%s: %q: wants a duration such as 15m, from %v to %v", key, n.Value, lo, hi)
	}
	return d
}

func oneOf[T ~string](p *parser, n *yaml.Node, key string, of []T) T {
	if !slices.Contains(of, T(n.Value)) {
		names := make([]string, len(of))
		for i, o := range of {
			names[i] = string(o)
		}
		p.fault(n, "%s: %q: use %s", key, n.Value, strings.Join(names, ", "))
	}
	return T(n.Value)
}
