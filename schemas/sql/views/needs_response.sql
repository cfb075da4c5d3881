-- What customers said that expects an answer and has none yet: no public answer of an agent, no word to the customer and no
-- resolution of the case or conversation since. Bots and internal notes are no answers. Ask for the oldest first.
CREATE OR REPLACE VIEW needs_response
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was said.',
    waiting_seconds Int64 COMMENT 'How long ago that is.',
    channel LowCardinality(String) COMMENT 'Where it was said.',
    urgency LowCardinality(String) COMMENT 'low, medium or high.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve.',
    churn_risk Float32 COMMENT 'How likely the customer is about to leave, 0 to 1.',
    polarity LowCardinality(String) COMMENT 'negative, neutral or positive.',
    text String COMMENT 'What was said.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    case_id String COMMENT 'The case.',
    conversation_id String COMMENT 'The conversation.',
    uri String COMMENT 'Where it can be seen.',
    event_id UUID COMMENT 'The event.'
)
AS
WITH
    asked AS
    (
        SELECT
            tenant, occurred_at, channel, urgency, intent, churn_risk, polarity, text, customer_key, case_id, conversation_id,
            uri, event_id,
            arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id])) AS threads
        FROM feedback_current
        WHERE response_needed AND actor_kind = 'customer'
    ),
    answered AS
    (
        SELECT tenant, thread, max(occurred_at) AS at
        FROM feedback_current
        ARRAY JOIN arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id])) AS thread
        WHERE (kind IN ('agent.responded', 'message.posted') AND actor_kind = 'agent' AND visibility = 'public')
            OR kind IN ('case.resolved', 'customer.informed')
        GROUP BY tenant, thread
    ),
    closed AS
    (
        SELECT DISTINCT a.event_id
        FROM (SELECT tenant, event_id, occurred_at, arrayJoin(threads) AS thread FROM asked) AS a
        INNER JOIN answered AS b ON a.tenant = b.tenant AND a.thread = b.thread
        WHERE b.at >= a.occurred_at
    )
SELECT
    tenant, occurred_at, dateDiff('second', occurred_at, now64(3, 'UTC')) AS waiting_seconds, channel, urgency, intent, churn_risk, polarity,
    text, customer_key, case_id, conversation_id, uri, event_id
FROM asked
WHERE event_id NOT IN (SELECT event_id FROM closed)
