-- What a customer said outside every case and conversation that expects an answer, or is negative: each is a thread of its
-- own, in which nobody can answer until a case is opened on it.
CREATE OR REPLACE VIEW lone_waits
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'source#id of the event.',
    at DateTime64(3, 'UTC') COMMENT 'When it was said.',
    expects Bool COMMENT 'Whether it expects an answer.',
    failure Bool COMMENT 'Whether it is negative or a rating of at most 2 of 5.',
    channel LowCardinality(String) COMMENT 'Where it was said.',
    product_id String COMMENT 'The goods spoken of.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    event_id UUID COMMENT 'The event.',
    urgency LowCardinality(String) COMMENT 'low, medium or high.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve.',
    polarity LowCardinality(String) COMMENT 'negative, neutral or positive.',
    churn_risk Float32 COMMENT 'How likely the customer is about to leave, 0 to 1.',
    text String COMMENT 'What was said.',
    uri String COMMENT 'Where it can be seen.'
)
AS
SELECT
    tenant, thread, at, expects, failure, channel, product_id, customer_key, event_id, urgency, intent, polarity, churn_risk, text, uri
FROM
(
    -- Apart, so that an hour of what was never changed is found by the primary key.
    SELECT
        tenant, concat(source, '#', source_event_id) AS thread, occurred_at AS at, response_needed AS expects,
        kind != 'decision.answered' AND (polarity = 'negative' OR ifNull(rating <= -0.5, false)) AS failure,
        channel, product_id, customer_key, event_id, urgency, intent, polarity, churn_risk, text, uri
    FROM feedback_current
    WHERE empty(said_first) AND actor_kind = 'customer' AND case_id = '' AND conversation_id = '' AND correlation_id = '' AND kind != 'agent.responded'
        AND (response_needed OR polarity = 'negative' OR rating <= -0.5)
    UNION ALL
    SELECT
        tenant, said_first['ref'] AS thread, fromUnixTimestamp64Milli(toInt64OrZero(said_first['occurred_at']), 'UTC') AS at, response_needed AS expects,
        said_first['kind'] != 'decision.answered' AND (polarity = 'negative' OR ifNull(rating <= -0.5, false)) AS failure,
        channel, product_id, customer_key, event_id, urgency, intent, polarity, churn_risk, text, uri
    FROM feedback_current
    WHERE notEmpty(said_first) AND actor_kind = 'customer' AND case_id = '' AND conversation_id = '' AND correlation_id = '' AND kind != 'agent.responded'
        AND (response_needed OR polarity = 'negative' OR rating <= -0.5)
)
WHERE NOT (ifNull((SELECT true FROM feedback_current WHERE causation_id != '' AND (kind = 'case.opened' OR said_first['kind'] = 'case.opened') LIMIT 1), false)
    AND thread IN (SELECT causation_id FROM feedback_current WHERE causation_id != '' AND (kind = 'case.opened' OR said_first['kind'] = 'case.opened')))
