-- Who waits for an answer now, how long, and how overdue: the most overdue first. Times are in seconds.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : where it was said; empty: anywhere
-- param from DateTime = 1970-01-01 00:00:00: waiting from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param overdue UInt8 in 0|1 = 0: 1: only those whose time is over
-- param limit UInt32 = 20: how many
SELECT
    tenant, thread, metric, waiting_since, waiting_seconds, round(waiting_business_seconds) AS waiting_business_seconds, target_seconds, due_at,
    overdue_seconds, messages AS n, channel, urgency, intent, round(churn_risk, 2) AS churn_risk, text, customer_key, event_id
FROM due
WHERE waiting_since >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND waiting_since < {to:DateTime}
    AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({overdue:UInt8} = 0 OR overdue_seconds > 0)
ORDER BY overdue_seconds DESC, tenant, thread
LIMIT {limit:UInt32}
