-- One row for each mention: what a text says about one part of the taxonomy, with the words that say it. The table keeps
-- mentions as arrays beside the text, so that a text and its mentions are stored together or not at all.
CREATE OR REPLACE VIEW mentions
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    event_id UUID COMMENT 'The event the mention is of.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened.',
    channel LowCardinality(String) COMMENT 'Where it was said.',
    actor_kind LowCardinality(String) COMMENT 'Who spoke.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    product_id String COMMENT 'The goods spoken of.',
    element LowCardinality(String) COMMENT 'product, service or image.',
    facet LowCardinality(String) COMMENT 'Part of the element; empty: the element as a whole.',
    s5 LowCardinality(String) COMMENT 'Virtue of service; empty: none.',
    theme LowCardinality(String) COMMENT 'Stable id of the theme; empty: none.',
    polarity Float32 COMMENT '-1 to 1.',
    confidence Float32 COMMENT '0 to 1.',
    quote String COMMENT 'The words of the text that the mention rests on.',
    language LowCardinality(String) COMMENT 'Language of the text.',
    stage LowCardinality(String) COMMENT 'Stage of the customer\'s journey the whole text is about: presale, sale, aftersale or none; empty: not judged.',
    shard UInt16 COMMENT 'Shard of the event.',
    seq UInt64 COMMENT 'Sequence of the event in its shard.'
)
AS
SELECT
    tenant, event_id, occurred_at, channel, actor_kind, customer_key, product_id,
    m_element AS element, m_facet AS facet, m_s5 AS s5, m_theme AS theme, m_polarity AS polarity, m_confidence AS confidence,
    substring(text, m_start + 1, m_end - m_start) AS quote,
    language, stage, shard, seq
FROM feedback_current
ARRAY JOIN
    mention_element AS m_element, mention_facet AS m_facet, mention_s5 AS m_s5, mention_theme AS m_theme,
    mention_polarity AS m_polarity, mention_confidence AS m_confidence, mention_start AS m_start, mention_end AS m_end
