package main

import (
	"fmt"
	"os"
	"time"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/sinks/delivery"
)

// alertFilesEvery is how often the files of rules and receivers are looked at.
const alertFilesEvery = 2 * time.Second

// alertSettings is what the files of rules and receivers say.
type alertSettings struct {
	rules     []alerts.Rule
	receivers []delivery.Receiver
}

// loadAlertSettings reads rules and receivers. The error names every fault of the first file that has any.
func loadAlertSettings(c *Config) (s alertSettings, err error) {
	name, text, err := ruleText(c.AlertRules)
	if err != nil {
		return s, err
	}
	if s.rules, err = alerts.ParseRules(name, text); err != nil {
		return s, fmt.Errorf("the alert rules have faults:\n%w\n'earshot alert check' finds them without a start", err)
	}
	if c.AlertReceivers != "" {
		if s.receivers, err = delivery.Load(c.AlertReceivers); err != nil {
			return s, fmt.Errorf("EARSHOT_ALERT_RECEIVERS: %w", err)
		}
	}
	return s, nil
}

// names lists the receivers: all, those who want to know of acknowledgements, and those who cannot tell a repetition.
func (s *alertSettings) names() (all, listeners, forgetful []string) {
	for _, r := range s.receivers {
		all = append(all, r.Name())
		if r.Traits().Listens {
			listeners = append(listeners, r.Name())
		}
		if r.Traits().Forgetful {
			forgetful = append(forgetful, r.Name())
		}
	}
	return all, listeners, forgetful
}

// alertStamps are what tells one state of the files from another.
type alertStamps [2]struct {
	changed time.Time
	size    int64
}

// stampAlertFiles looks at the files. One that is not there, as for a moment while it is replaced, has no stamp.
func stampAlertFiles(c *Config) (stamps alertStamps) {
	for i, file := range []string{c.AlertRules, c.AlertReceivers} {
		if info, err := os.Stat(file); err == nil {
			stamps[i].changed, stamps[i].size = info.ModTime(), info.Size()
		}
	}
	return stamps
}

// reload takes over what the files say, if they changed since the last look and have no faults; otherwise what was read
// before stays in force. A file of secrets that a receiver names is read again when the receivers' file changes or is touched.
func (a *alerting) reload(e *alerts.Evaluator) {
	stamps := stampAlertFiles(a.config)
	if stamps == a.stamps {
		return
	}
	a.stamps = stamps
	s, err := loadAlertSettings(a.config)
	if err != nil {
		a.current.Set(0)
		a.log.Error().Err(err).Msg("rules and receivers of alerts stay as they were until the file is right")
		return
	}
	a.settings = s
	all, listeners, forgetful := s.names()
	e.Use(s.rules, all, listeners, forgetful)
	a.current.Set(1)
	a.log.Info().Int("rules", len(s.rules)).Int("receivers", len(s.receivers)).Msg("rules and receivers of alerts were read again")
}
