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
SELECT
    tenant, event_id, occurred_at, channel, customer, metric, value, level, p.1 AS part, p.2 AS sign,
    multiIf(p.1 != '', if(p.2 < 0, (1 - value) / ill, 0), ill = 0, 1 - value, 0) AS lost,
    multiIf(p.1 != '', if(p.2 > 0, value / well, 0), well = 0, value, 0) AS won
FROM
(
    SELECT
        tenant, event_id, occurred_at, channel, customer, m.1 AS metric, m.2 AS value, l.1 AS level,
        countEqual(l.2.2, -1) AS ill, countEqual(l.2.2, 1) AS well, arrayPushBack(l.2, ('', 0)) AS with_answer
    FROM scored_answers
    ARRAY JOIN arrayConcat(if(csat IS NULL, [], [('csat', assumeNotNull(csat))]), if(nps IS NULL, [], [('nps', assumeNotNull(nps))])) AS m
    ARRAY JOIN [('element', element_parts), ('facet', facet_parts), ('s5', s5_parts), ('theme', theme_parts)] AS l
)
ARRAY JOIN with_answer AS p
