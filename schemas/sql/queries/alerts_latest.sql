-- Alerts, the newest first.
-- param tenant String = : whose customers; empty: everybody's
-- param from DateTime = 2000-01-01 00:00:00: raised from when on, UTC
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT
    raised_at, resolved_at, rule, severity, tenant, channel, product, element, facet, theme, observed, round(expected, 2) AS expected,
    probability, top_theme, acked_by, alert_id
FROM alerts FINAL
WHERE raised_at >= {from:DateTime} AND raised_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String})
ORDER BY raised_at DESC, alert_id
LIMIT {limit:UInt32}
