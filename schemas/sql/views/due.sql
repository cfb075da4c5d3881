-- Who waits for an answer, how long, and how overdue it is: one row for each wait that is open. A wait begins when the customer
-- spoke and ends with a public answer by a person, a word to the customer or the resolution; see waits. Ask for the most overdue
-- first.
CREATE OR REPLACE VIEW due
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    metric LowCardinality(String) COMMENT 'first_response: nobody has answered since the case was opened; next_response: somebody has.',
    waiting_since DateTime64(3, 'UTC') COMMENT 'When the customer spoke.',
    waiting_seconds Int64 COMMENT 'How long ago that is, by the wall clock.',
    waiting_business_seconds Float64 COMMENT 'The same within the tenant\'s business hours.',
    target_seconds UInt32 COMMENT 'Seconds allowed, on the clock of the tenant\'s targets.',
    due_at DateTime64(3, 'UTC') COMMENT 'When the time allowed is over.',
    overdue_seconds Int64 COMMENT 'How long ago that was, by the wall clock; negative: so long until then.',
    messages UInt64 COMMENT 'What the customer said meanwhile that expects an answer.',
    channel LowCardinality(String) COMMENT 'Where it was first said.',
    urgency LowCardinality(String) COMMENT 'The highest of the messages: low, medium or high.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve, by the first message.',
    churn_risk Float32 COMMENT 'How likely the customer is about to leave, 0 to 1; the highest of the messages.',
    text String COMMENT 'What was first said.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    uri String COMMENT 'Where it can be seen.',
    event_id UUID COMMENT 'The event that was first.'
)
AS
SELECT
    w.tenant AS tenant, w.thread AS thread, w.metric AS metric, w.waiting_since AS waiting_since, intDiv(w.waited, 1000) AS waiting_seconds,
    if(w.worked_before IS NULL, w.waited, n.worked_now - assumeNotNull(w.worked_before)) / 1000 AS waiting_business_seconds,
    w.target_seconds AS target_seconds, w.due_at AS due_at, dateDiff('second', w.due_at, w.now_at) AS overdue_seconds,
    w.messages AS messages, w.channel AS channel, w.urgency AS urgency, w.intent AS intent, w.churn_risk AS churn_risk, w.text AS text,
    w.customer_key AS customer_key, w.uri AS uri, w.event_id AS event_id
FROM (SELECT *, now64(3, 'UTC') AS now_at, dateDiff('millisecond', waiting_since, now_at) AS waited FROM open_waits) AS w
LEFT JOIN
(
    SELECT tenant AS n_tenant, argMax(before_ms + least(now_ms - opens_ms, open_ms), opens_ms) AS worked_now
    FROM (SELECT *, toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms FROM business_hours)
    WHERE opens_ms <= now_ms
    GROUP BY tenant
) AS n ON n.n_tenant = w.tenant
