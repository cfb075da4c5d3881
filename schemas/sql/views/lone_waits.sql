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
WITH
    opened_on AS (SELECT if(empty(said_first), causation_id, said_first['causation_id']) FROM feedback_current WHERE kind = 'case.opened' AND causation_id != '' OR said_first['kind'] = 'case.opened' AND said_first['causation_id'] != ''),
    ifNull((SELECT true FROM opened_on LIMIT 1), false) AS opened_on_lone,
    notEmpty(f.said_first) AS changed
SELECT
    f.tenant AS tenant, if(changed, f.said_first['ref'], concat(f.source, '#', f.source_event_id)) AS thread,
    if(changed, fromUnixTimestamp64Milli(toInt64OrZero(f.said_first['occurred_at'])), f.occurred_at) AS at, f.response_needed AS expects,
    if(f.said_first['kind'] != '', f.said_first['kind'], f.kind) != 'decision.answered' AND (f.polarity = 'negative' OR ifNull(f.rating <= -0.5, false)) AS failure,
    f.channel AS channel, if(f.product_id = '', f.said_first['product_id'], f.product_id) AS product_id, f.customer_key AS customer_key, f.event_id AS event_id,
    f.urgency AS urgency, f.intent AS intent, f.polarity AS polarity, f.churn_risk AS churn_risk, f.text AS text, f.uri AS uri
FROM feedback_current AS f
WHERE (f.response_needed OR f.polarity = 'negative' OR f.rating <= -0.5)
    AND if(changed, f.said_first['actor_kind'] = 'customer' AND f.said_first['case_id'] = '' AND f.said_first['conversation_id'] = '' AND f.said_first['correlation_id'] = '' AND f.said_first['kind'] != 'agent.responded',
        f.actor_kind = 'customer' AND f.case_id = '' AND f.conversation_id = '' AND f.correlation_id = '' AND f.kind != 'agent.responded')
    AND NOT (opened_on_lone AND thread IN opened_on)
