-- Every answer on a scale of satisfaction or recommendation, with the parts of the taxonomy spoken of with it, in the same event or
-- in another of the same submission, each with whether it is praised or blamed there. Impact, quadrant and Kano class are made of
-- these rows; see answer_parts.
CREATE OR REPLACE VIEW scored_answers
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    event_id UUID COMMENT 'The event that holds the answer.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was given.',
    channel LowCardinality(String) COMMENT 'Where it was given.',
    customer UInt64 COMMENT 'The customer as a number within the tenant; each event of an unknown customer is one.',
    csat Nullable(Float64) COMMENT '1 satisfied, 0 not; NULL: no answer of satisfaction.',
    nps Nullable(Float64) COMMENT '1 promoter, 0.5 passive, 0 detractor; NULL: no answer of recommendation.',
    element_parts Array(Tuple(part String, sign Int8)) COMMENT 'Elements spoken of, and 1 praised, -1 spoken ill of, 0 neither, by the mean polarity of their mentions.',
    facet_parts Array(Tuple(part String, sign Int8)) COMMENT 'The same of facets, as element/facet.',
    s5_parts Array(Tuple(part String, sign Int8)) COMMENT 'The same of the virtues of service.',
    theme_parts Array(Tuple(part String, sign Int8)) COMMENT 'The same of themes.'
)
AS
SELECT
    tenant, event_id, occurred_at, channel, customer, csat, nps,
    arrayMap(x -> (x, toInt8(sign(arraySum((n, q) -> if(n = x, q, 0), elements, polarities)))), arrayDistinct(arrayFilter(x -> x != '', elements))) AS element_parts,
    arrayMap(x -> (x, toInt8(sign(arraySum((n, q) -> if(n = x, q, 0), facets, polarities)))), arrayDistinct(arrayFilter(x -> x != '', facets))) AS facet_parts,
    arrayMap(x -> (x, toInt8(sign(arraySum((n, q) -> if(n = x, q, 0), virtues, polarities)))), arrayDistinct(arrayFilter(x -> x != '', virtues))) AS s5_parts,
    arrayMap(x -> (x, toInt8(sign(arraySum((n, q) -> if(n = x, q, 0), themes, polarities)))), arrayDistinct(arrayFilter(x -> x != '', themes))) AS theme_parts
FROM
(
    SELECT
        a.tenant AS tenant, a.event_id AS event_id, a.occurred_at AS occurred_at, a.channel AS channel,
        if(a.customer_key = '', cityHash64(a.tenant, a.event_id), cityHash64(a.tenant, a.customer_key)) AS customer,
        if(a.csat IS NULL, NULL, toFloat64(ifNull(a.csat, 0) = 1)) AS csat, if(a.nps IS NULL, NULL, (1 + toFloat64(ifNull(a.nps, 0))) / 2) AS nps,
        if(a.submission_id = '', arrayMap(x -> toString(x), a.mention_element), s.elements) AS elements,
        if(a.submission_id = '', arrayMap((e, f) -> if(f = '', '', concat(e, '/', f)), a.mention_element, a.mention_facet), s.facets) AS facets,
        if(a.submission_id = '', arrayMap(x -> toString(x), a.mention_s5), s.virtues) AS virtues,
        if(a.submission_id = '', arrayMap(x -> toString(x), a.mention_theme), s.themes) AS themes,
        if(a.submission_id = '', a.mention_polarity, s.polarities) AS polarities
    FROM
    (
        SELECT tenant, event_id, occurred_at, channel, customer_key, submission_id, csat, nps, mention_element, mention_facet, mention_s5, mention_theme, mention_polarity
        FROM feedback_current
        WHERE actor_kind = 'customer' AND (csat IS NOT NULL OR nps IS NOT NULL)
    ) AS a
    LEFT JOIN
    (
        SELECT
            tenant, submission_id,
            groupArray(toString(m_element)) AS elements, groupArray(if(m_facet = '', '', concat(m_element, '/', m_facet))) AS facets, groupArray(toString(m_s5)) AS virtues,
            groupArray(toString(m_theme)) AS themes, groupArray(m_polarity) AS polarities
        FROM feedback_current
        ARRAY JOIN
            mention_element AS m_element, mention_facet AS m_facet, mention_s5 AS m_s5, mention_theme AS m_theme, mention_polarity AS m_polarity
        WHERE actor_kind = 'customer' AND submission_id != ''
        GROUP BY tenant, submission_id
    ) AS s ON a.tenant = s.tenant AND a.submission_id = s.submission_id
)
