-- What each answer on a scale was about: one row for each satisfaction or recommendation answer and each part of the taxonomy
-- spoken of with it, in the same event or in another of the same submission, and one row with an empty part for the answer
-- itself, so that answers can be counted. Impact, quadrant and Kano class are made of these rows.
--
-- An answer that falls short loses 1 - value; that is split evenly over the parts it speaks ill of, and stays with the empty
-- part where it speaks ill of none. Likewise value over the parts it praises. So the parts add up to the score, exactly.
CREATE OR REPLACE VIEW answer_parts
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    event_id UUID COMMENT 'The event that holds the answer.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was given.',
    channel LowCardinality(String) COMMENT 'Where it was given.',
    customer UInt64 COMMENT 'The customer as a number within the tenant; each event of an unknown customer is one.',
    metric String COMMENT 'csat or nps.',
    value Float64 COMMENT 'csat: 1 satisfied, 0 not; nps: 1 promoter, 0.5 passive, 0 detractor.',
    level String COMMENT 'Of the part: element, facet, s5 or theme.',
    part String COMMENT 'The part; a facet as element/facet; empty: the answer itself.',
    sign Int8 COMMENT '1 praised, -1 spoken ill of, 0 neither, by the mean polarity of its mentions.',
    lost Float64 COMMENT 'Share of 1 - value that falls to the part.',
    won Float64 COMMENT 'Share of value that falls to the part.'
)
AS
WITH answers AS
(
    SELECT
        a.tenant AS tenant, a.event_id AS event_id, a.occurred_at AS occurred_at, a.channel AS channel,
        if(a.customer_key = '', cityHash64(a.tenant, a.event_id), cityHash64(a.tenant, a.customer_key)) AS customer,
        arrayConcat(if(a.csat IS NULL, [], [('csat', toFloat64(ifNull(a.csat, 0) = 1))]), if(a.nps IS NULL, [], [('nps', (1 + toFloat64(ifNull(a.nps, 0))) / 2)])) AS metrics,
        if(a.submission_id = '', arrayMap(x -> toString(x), a.mention_element), s.elements) AS elements,
        if(a.submission_id = '', arrayMap(x -> toString(x), a.mention_facet), s.facets) AS facets,
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
            groupArray(toString(m_element)) AS elements, groupArray(toString(m_facet)) AS facets, groupArray(toString(m_s5)) AS virtues,
            groupArray(toString(m_theme)) AS themes, groupArray(m_polarity) AS polarities
        FROM feedback_current
        ARRAY JOIN
            mention_element AS m_element, mention_facet AS m_facet, mention_s5 AS m_s5, mention_theme AS m_theme, mention_polarity AS m_polarity
        WHERE actor_kind = 'customer' AND submission_id != ''
        GROUP BY tenant, submission_id
    ) AS s ON a.tenant = s.tenant AND a.submission_id = s.submission_id
)
SELECT
    tenant, event_id, occurred_at, channel, customer, metric, value, level, p.1 AS part, toInt8(p.2) AS sign,
    multiIf(p.1 != '', if(p.2 < 0, (1 - value) / ill, 0), ill = 0, 1 - value, 0) AS lost,
    multiIf(p.1 != '', if(p.2 > 0, value / well, 0), well = 0, value, 0) AS won
FROM
(
    SELECT
        *,
        arrayMap(x -> (x, sign(arraySum((n, q) -> if(n = x, q, 0), names, polarities))), arrayDistinct(arrayFilter(x -> x != '', names))) AS parts,
        countEqual(parts.2, -1) AS ill,
        countEqual(parts.2, 1) AS well,
        arrayPushBack(parts, ('', 0)) AS with_answer
    FROM
    (
        SELECT tenant, event_id, occurred_at, channel, customer, m.1 AS metric, m.2 AS value, l.1 AS level, l.2 AS names, polarities
        FROM answers
        ARRAY JOIN metrics AS m
        ARRAY JOIN [('element', elements), ('facet', arrayMap((e, f) -> if(f = '', '', concat(e, '/', f)), elements, facets)), ('s5', virtues), ('theme', themes)] AS l
    )
)
ARRAY JOIN with_answer AS p
