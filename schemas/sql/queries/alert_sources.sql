-- When each source of feedback was first heard of, before which an alert rule does not know what is usual, and when last.
-- param from DateTime64(3) = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime64(3) = 2100-01-01 00:00:00: until when, UTC, itself left out
SELECT
    tenant, channel,
    toUnixTimestamp(toStartOfHour(min(occurred_at))) AS first_hour,
    toUnixTimestamp(toStartOfHour(max(occurred_at))) AS last_hour
FROM alert_feed
WHERE occurred_at >= {from:DateTime64(3)} AND occurred_at < {to:DateTime64(3)}
GROUP BY tenant, channel
ORDER BY tenant, channel
