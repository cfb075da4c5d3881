-- What customers ask for, request by request: the texts whose intent is a request, each under the need it is about. A need
-- is a theme, where the text has one that it does not praise; else the part of the taxonomy it speaks of, such as
-- product/quality, which no theme id can be mistaken for; else unplaced. A request that is about two things is two rows.
--
-- Which texts are requests is the classifier's word, so its probability stands beside each.
CREATE OR REPLACE VIEW need_requests
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    need String COMMENT 'Stable id of the need: of its theme, or element/facet, or unplaced. Decisions name it as theme_id.',
    event_id UUID COMMENT 'The event that asks.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was asked.',
    channel LowCardinality(String) COMMENT 'Where it was asked.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    customer UInt64 COMMENT 'The customer as a number within the tenant, to count different ones; each event of an unknown customer is one.',
    product_id String COMMENT 'The goods spoken of.',
    confidence Float32 COMMENT 'Probability that it is a request, as the classifier has it.',
    language LowCardinality(String) COMMENT 'Language of the text.',
    text String COMMENT 'What was asked, in the customer\'s words.',
    shard UInt16 COMMENT 'Shard of the event.',
    seq UInt64 COMMENT 'Sequence of the event in its shard.'
)
AS
SELECT
    tenant, need, event_id, occurred_at, channel, customer_key,
    if(customer_key = '', cityHash64(tenant, event_id), cityHash64(tenant, customer_key)) AS customer,
    product_id, ifNull(intent_confidence, 0) AS confidence, language, text, shard, seq
FROM
(
    SELECT
        tenant, event_id, occurred_at, channel, customer_key, product_id, intent_confidence, language, text, shard, seq,
        arrayDistinct(arrayFilter((t, p) -> t != '' AND p <= 0, mention_theme, mention_polarity)) AS themes,
        arrayDistinct(arrayMap((e, f) -> if(f = '', toString(e), concat(e, '/', f)), mention_element, mention_facet)) AS places,
        multiIf(notEmpty(themes), arrayMap(x -> toString(x), themes), notEmpty(places), places, ['unplaced']) AS needs
    FROM feedback_current
    WHERE intent = 'request' AND actor_kind = 'customer'
)
ARRAY JOIN needs AS need
