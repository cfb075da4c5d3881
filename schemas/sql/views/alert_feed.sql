-- What alerts count: one row for each time a customer spoke, in words or by a rating, with what is counted of it. The time
-- is when it happened, not when it arrived: what is imported or sent again falls into the past, where nobody is called.
CREATE OR REPLACE VIEW alert_feed
(
    tenant LowCardinality(String) COMMENT 'Whose customer spoke.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When.',
    channel LowCardinality(String) COMMENT 'Where.',
    product String COMMENT 'Of which product; empty: none named.',
    element LowCardinality(String) COMMENT 'Of which element; empty: texts are counted whole.',
    facet LowCardinality(String) COMMENT 'Of which facet; empty: texts are counted whole.',
    theme LowCardinality(String) COMMENT 'Of which theme; empty: texts are counted whole.',
    customer UInt64 COMMENT 'Hash of the customer; one without a name is told from others by the conversation, or else by the event.',
    named Bool COMMENT 'Whether the customer is known; who is not may be the same person as others who are not.',
    received_at DateTime64(3, 'UTC') COMMENT 'When the log received it.',
    negative Bool COMMENT 'Whether what was said is negative.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve.',
    urgency LowCardinality(String) COMMENT 'low, medium or high.',
    text String COMMENT 'What was said.',
    quote String COMMENT 'The words that were said.',
    event_id UUID COMMENT 'The event.'
)
AS
SELECT
    tenant, occurred_at, channel, product_id AS product, '' AS element, '' AS facet, '' AS theme,
    multiIf(customer_key != '', cityHash64(customer_key), conversation_id != '', cityHash64(source, conversation_id), cityHash64(event_id)) AS customer,
    customer_key != '' AS named, received_at,
    polarity = 'negative' OR (polarity = '' AND ifNull(rating, 0) < 0) AS negative,
    intent, urgency, text, text AS quote, event_id
FROM feedback_current
WHERE actor_kind = 'customer' AND (polarity != '' OR rating IS NOT NULL)
