-- What customers said and rated, with everything that figures are cut by: one row for each event of a customer. Figures read
-- this view, so that product, language, stage and scale mean the same in all of them; agents and bots have no satisfaction.
--
-- This is the one place that says which stage of the customer's journey an event belongs to: the source's own word, else
-- the classifier's, else, in rows from before there was one, the first of the service facets that the text speaks of.
CREATE OR REPLACE VIEW feedback_cuts
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    event_id UUID COMMENT 'The event.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened.',
    channel LowCardinality(String) COMMENT 'Where it was said.',
    product String COMMENT 'The goods spoken of; empty: none named.',
    language LowCardinality(String) COMMENT 'Language of the text; und where it is not known.',
    stage LowCardinality(String) COMMENT 'Stage of the customer\'s journey: presale, sale or aftersale; none: no stage named.',
    scale_low Float64 COMMENT 'Lowest answer of the scale of a rating, the usual one of its type where the source named none; 0 for yes or no.',
    scale_high Float64 COMMENT 'Highest answer of that scale; 1 for yes or no.',
    lowest_best Bool COMMENT 'Whether the lowest answer of that scale is the best.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    polarity LowCardinality(String) COMMENT 'negative, neutral or positive, of the text, or of the rating where there are no words; empty where there is neither.',
    score Nullable(Float32) COMMENT 'Sentiment of the whole text, -1 to 1.',
    element_product Nullable(Float32) COMMENT 'Score of the product; NULL: not mentioned.',
    element_service Nullable(Float32) COMMENT 'Score of the service; NULL: not mentioned.',
    element_image Nullable(Float32) COMMENT 'Score of the image; NULL: not mentioned.',
    facet_quality Nullable(Float32) COMMENT 'Score of the goods themselves; NULL: not mentioned.',
    facet_packaging Nullable(Float32) COMMENT 'Score of how the goods were packed; NULL: not mentioned.',
    facet_price Nullable(Float32) COMMENT 'Score of price and value for money; NULL: not mentioned.',
    facet_presale Nullable(Float32) COMMENT 'Score of the service before the sale; NULL: not mentioned.',
    facet_sale Nullable(Float32) COMMENT 'Score of the service at the sale; NULL: not mentioned.',
    facet_aftersale Nullable(Float32) COMMENT 'Score of the service after the sale; NULL: not mentioned.',
    facet_impression Nullable(Float32) COMMENT 'Score of the overall impression of the enterprise; NULL: not mentioned.',
    s5_smile Nullable(Float32) COMMENT 'Score of friendliness and courtesy; NULL: not mentioned.',
    s5_speed Nullable(Float32) COMMENT 'Score of waiting, response and delivery time; NULL: not mentioned.',
    s5_sincerity Nullable(Float32) COMMENT 'Score of honesty and promises kept; NULL: not mentioned.',
    s5_smart Nullable(Float32) COMMENT 'Score of neat, agile, efficient handling; NULL: not mentioned.',
    s5_study Nullable(Float32) COMMENT 'Score of knowledge, and learning from faults; NULL: not mentioned.',
    hinted Bool COMMENT 'Whether the source said what a rating is about, which gives the rating to that element as its score.',
    rating Nullable(Float32) COMMENT 'Any rating, brought to -1 to 1; NULL: no rating.',
    csat Nullable(Float32) COMMENT '1 satisfied, 0.5 the neutral middle, 0 neither; NULL: not a satisfaction rating.',
    nps Nullable(Float32) COMMENT '1 promoter, 0 passive, -1 detractor; NULL: not an answer of type nps.',
    ces Nullable(Float32) COMMENT 'Effort answer on 1 to 7; NULL: not an answer of type ces.'
)
AS
SELECT
    tenant, event_id, occurred_at, channel, product_id AS product, language,
    multiIf(stage_hint != '', stage_hint, f.stage != '', f.stage, hasAny(mention_facet, ['presale', 'sale', 'aftersale']), arrayFirst(f -> f IN ('presale', 'sale', 'aftersale'), mention_facet), 'none') AS stage,
    ifNull(scale_min, if(field_type IN ('csat', 'ces', 'rating') OR field_type = '' AND value_number IS NOT NULL, 1, 0)) AS scale_low,
    ifNull(scale_max, multiIf(field_type = 'nps', 10, field_type = 'ces', 7, field_type IN ('csat', 'rating') OR field_type = '' AND value_number IS NOT NULL, 5, 1)) AS scale_high,
    scale_dir = 'lower_better' AS lowest_best,
    customer_key, polarity, score, element_product, element_service, element_image, facet_quality, facet_packaging, facet_price,
    facet_presale, facet_sale, facet_aftersale, facet_impression, s5_smile, s5_speed, s5_sincerity, s5_smart, s5_study,
    element_hint != '' OR s5_hint != '' AS hinted, rating, csat, nps, ces
FROM feedback_current AS f
WHERE actor_kind = 'customer'
