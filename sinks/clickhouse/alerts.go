package clickhouse

import (
	"context"
	"encoding/json"
	"time"

	"github.com/earshot/earshot/schemas"
)

// WriteAlert stores an alert as it is now. Writing it again changes nothing, and a beginning written late does not undo an
// end.
func (s *Store) WriteAlert(ctx context.Context, a *schemas.Alert) error {
	const op = "write an alert"
	details, err := json.Marshal(a)
	if err != nil {
		return refuse(op, "%w", err)
	}
	batch, err := s.conn.PrepareBatch(ctx, `INSERT INTO alerts (tenant, alert_id, version, rule, severity, channel, product, element, facet, theme,
		detector, reason, raised_at, resolved_at, since, window_seconds, observed, expected, probability, total, top_theme, acked_by, details)`)
	if err != nil {
		return wrap(op, err)
	}
	version, resolved := uint8(1), (*time.Time)(nil)
	if a.Resolved() {
		version, resolved = 2, &a.ResolvedAt
	}
	err = batch.Append(a.Cell["tenant"], a.ID, version, a.Rule, string(a.Severity), a.Cell["channel"], a.Cell["product"], a.Cell["element"],
		a.Cell["facet"], a.Cell["theme"], a.Detector, a.Reason, a.RaisedAt, resolved, a.Since, uint32(time.Duration(a.Window).Seconds()),
		a.Observed, a.Expected, a.Probability, uint32(a.Total), a.TopTheme, a.AckedBy, string(details))
	if err != nil {
		return wrap(op, err)
	}
	return wrap(op, batch.Send())
}
