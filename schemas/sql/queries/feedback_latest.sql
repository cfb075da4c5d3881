-- What customers said last, newest first, with what was made of it. The columns time, body and level are named as log
-- panels expect them.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT
    occurred_at AS time, text AS body, sentiment AS level, tenant, channel, kind, round(score, 2) AS score, intent, element, language,
    churn_risk, response_needed, event_id
FROM feedback_current
WHERE occurred_at >= {from:DateTime} AND occurred_at < {to:DateTime} AND text != '' AND actor_kind = 'customer'
    AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
ORDER BY occurred_at DESC, shard, seq DESC
LIMIT {limit:UInt32}
