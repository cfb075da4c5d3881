-- What alerts count where the cells are elements, facets or themes: one row for each thing a customer spoke of. A customer
-- who speaks of one thing three times is still one, because customers are counted, not rows.
CREATE OR REPLACE VIEW alert_feed_mentions
(
    tenant LowCardinality(String) COMMENT 'Whose customer spoke.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When.',
    channel LowCardinality(String) COMMENT 'Where.',
    product String COMMENT 'Of which product; empty: none named.',
    element LowCardinality(String) COMMENT 'Of which element; empty: none.',
    facet LowCardinality(String) COMMENT 'Of which facet; empty: none.',
    theme LowCardinality(String) COMMENT 'Of which theme; empty: none.',
    customer UInt64 COMMENT 'Hash of the customer; one without a name is told from others by the conversation, or else by the event.',
    named Bool COMMENT 'Whether the customer is known; who is not may be the same person as others who are not.',
    received_at DateTime64(3, 'UTC') COMMENT 'When the log received it.',
    negative Bool COMMENT 'Whether what was said is negative.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve.',
    urgency LowCardinality(String) COMMENT 'low, medium or high.',
    text String COMMENT 'What was said.',
    quote String COMMENT 'The words that speak of it.',
    event_id UUID COMMENT 'The event.'
)
AS
SELECT
    tenant, occurred_at, channel, product_id AS product, m_element AS element, m_facet AS facet, m_theme AS theme,
    multiIf(customer_key != '', cityHash64(customer_key), conversation_id != '', cityHash64(source, conversation_id), cityHash64(event_id)) AS customer,
    customer_key != '' AS named, received_at,
    m_polarity < 0 AS negative,
    intent, urgency, text, substring(text, m_start + 1, m_end - m_start) AS quote, event_id
FROM feedback_current
ARRAY JOIN
    mention_element AS m_element, mention_facet AS m_facet, mention_theme AS m_theme, mention_polarity AS m_polarity,
    mention_start AS m_start, mention_end AS m_end
WHERE actor_kind = 'customer'
