-- The one fact table: one row per accepted event of any kind. One table, so that a row and every figure derived from it
-- appear together or not at all: hourly figures are an aggregate projection inside the table, kept with each part, and
-- cannot drift from the rows the way an incremental materialised view does when an insert fails half-way.
--
-- An insert covers one generation and one month, hence one partition, one part and one rename. The fsync settings put
-- that part on disk before the insert is acknowledged, and every merged part before it replaces its sources. The
-- deduplication window is a second net only: what was stored is proved by reading back seq and digest. A part keeps its
-- columns in one file until it holds 128 MiB: with a file for each of a hundred columns an insert of 50,000 rows took
-- three times as long (measured).
--
-- No filter is applied on the way in: every accepted event is a row, whatever its quality.
CREATE TABLE IF NOT EXISTS feedback
(

    -- Whose event it is, and which.
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    source LowCardinality(String) COMMENT 'CloudEvents source: the system the event came from, such as /zendesk/acme.',
    source_event_id String COMMENT 'CloudEvents id: the source system\'s own id of the occurrence.' CODEC(ZSTD(1)),
    event_id UUID COMMENT 'Identity of the occurrence: a name hash of tenant, source and id. A second event with the same identity is a duplicate and is not stored.' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'What happened, such as feedback.received or case.resolved.',
    channel LowCardinality(String) COMMENT 'Where it happened: survey, review, support, chat, email, call, social, store, app, form, web, interview or other.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, by the source\'s clock.' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') COMMENT 'When the log received it.' CODEC(Delta, ZSTD(1)),

    -- Its place in the log, and the proof of what was stored.
    generation UInt32 COMMENT 'Which classification made the labels, from 1. Views show one generation only.',
    epoch LowCardinality(String) COMMENT 'Random name of the log stream, given when the stream was created: a stream that was recreated is never mistaken for the old one.',
    shard UInt16 COMMENT 'Shard of the log the event was read from.',
    seq UInt64 COMMENT 'Sequence of the event in its shard. Generation, epoch, shard and seq name one row.' CODEC(Delta, ZSTD(1)),
    digest UInt64 COMMENT 'xxHash64 of identity, place, labels and scores. The sum over a range, modulo 2^64, proves that the range is stored as planned.' CODEC(NONE),

    -- Whom and what it concerns.
    customer_key String COMMENT 'Keyed hash of the customer within the tenant; empty where the customer is unknown. Never the customer\'s own name or number.' CODEC(ZSTD(1)),
    account_id String COMMENT 'The customer\'s account or company.' CODEC(ZSTD(1)),
    customer_segment LowCardinality(String) COMMENT 'The customer\'s segment, as the source names it.',
    customer_since String COMMENT 'Since when they have been a customer, as the source wrote it (RFC 3339).' CODEC(ZSTD(1)),
    customer_value Nullable(Float64) COMMENT 'What the customer is worth, in the tenant\'s currency.',
    product_id String COMMENT 'The goods spoken of.' CODEC(ZSTD(1)),
    order_id String COMMENT 'The order spoken of.' CODEC(ZSTD(1)),
    touchpoint LowCardinality(String) COMMENT 'Where on the customer\'s journey it was said.',
    case_id String COMMENT 'The case this belongs to.' CODEC(ZSTD(1)),
    conversation_id String COMMENT 'The conversation this belongs to.' CODEC(ZSTD(1)),
    in_reply_to String COMMENT 'The message this answers.' CODEC(ZSTD(1)),
    correlation_id String COMMENT 'CloudEvents correlationid: the case or conversation, as the source relates its events.' CODEC(ZSTD(1)),
    causation_id String COMMENT 'CloudEvents causationid: source#id of the event this one answers.' CODEC(ZSTD(1)),
    trace_parent String COMMENT 'W3C trace context of the request that brought the event.' CODEC(ZSTD(1)),
    actor_kind LowCardinality(String) COMMENT 'Who spoke: customer (the default), agent, bot or system. Satisfaction figures count customers only.',
    visibility LowCardinality(String) COMMENT 'Whether the customer could see it: public (the default) or internal.',
    agent_id String COMMENT 'Who answered for the company.' CODEC(ZSTD(1)),
    team_id LowCardinality(String) COMMENT 'The team that answered.',

    -- What was asked and what was said.
    source_id String COMMENT 'The source\'s id of the survey, listing or mailbox.' CODEC(ZSTD(1)),
    source_name LowCardinality(String) COMMENT 'Its name.',
    submission_id String COMMENT 'Groups the events of one submission.' CODEC(ZSTD(1)),
    field_group_id String COMMENT 'The question group\'s id.' CODEC(ZSTD(1)),
    field_group_label LowCardinality(String) COMMENT 'The question group\'s label.',
    field_id String COMMENT 'The question\'s id.' CODEC(ZSTD(1)),
    field_label LowCardinality(String) COMMENT 'The question\'s label.',
    field_type LowCardinality(String) COMMENT 'How the answer is to be read: text, categorical, nps, csat, ces, rating, number, boolean or date.',
    question_text String COMMENT 'The question that was asked.' CODEC(ZSTD(3)),
    text String COMMENT 'What the customer said, in the customer\'s words.' CODEC(ZSTD(3)),
    language LowCardinality(String) COMMENT 'Language of the text as recognised, BCP 47; und where it is not known.',
    language_given LowCardinality(String) COMMENT 'Language of the text as the source gave it, BCP 47; empty where it gave none.',
    value_id String COMMENT 'Id of a chosen answer.' CODEC(ZSTD(1)),
    value_number Nullable(Float64) COMMENT 'The number the customer gave, on the scale below.',
    value_boolean Nullable(Bool) COMMENT 'The yes or no the customer gave.',
    value_date String COMMENT 'The date the customer gave (RFC 3339).' CODEC(ZSTD(1)),
    scale_min Nullable(Float64) COMMENT 'Lowest answer of the scale.',
    scale_max Nullable(Float64) COMMENT 'Highest answer of the scale.',
    scale_dir LowCardinality(String) COMMENT 'Which end of the scale is the good one: higher_better (the default) or lower_better.',
    uri String COMMENT 'Where the review or mention can be seen.' CODEC(ZSTD(1)),
    audience_size Nullable(Float64) COMMENT 'How many people could see the mention.',
    stage_hint LowCardinality(String) COMMENT 'The source\'s own word on the stage: presale, sale or aftersale.',
    element_hint LowCardinality(String) COMMENT 'The source\'s own word on the element: product, service or image.',
    s5_hint LowCardinality(String) COMMENT 'The source\'s own word on the virtue of service: smile, speed, sincerity, smart or study.',

    -- Consent and privacy.
    consent_analytics Nullable(Bool) COMMENT 'Whether the customer agreed to analysis; NULL: not said.',
    consent_contact Nullable(Bool) COMMENT 'Whether the customer agreed to be contacted; NULL: not said.',
    pii_state LowCardinality(String) COMMENT 'Whether personal data is still in the text: raw (the default), redacted or none.',

    -- Closing the loop.
    decision_text String COMMENT 'A decision, proposed or made, in words.' CODEC(ZSTD(3)),
    theme_id LowCardinality(String) COMMENT 'The theme a decision or an improvement is about.',
    verdict LowCardinality(String) COMMENT 'The customer\'s verdict on a decision: agree, disagree or counter.',
    outcome LowCardinality(String) COMMENT 'What was decided: fix, refund, replace, explain, improve or decline.',
    promise_due Nullable(DateTime64(3, 'UTC')) COMMENT 'Until when it was promised.',
    resolution_code LowCardinality(String) COMMENT 'How the case was closed.',
    event_ref String COMMENT 'source#id of the event whose label a person corrected.' CODEC(ZSTD(1)),
    axis LowCardinality(String) COMMENT 'The label that was corrected.',
    new_value LowCardinality(String) COMMENT 'What it was corrected to.',

    -- What the classifier says of the text.
    polarity LowCardinality(String) COMMENT 'negative, neutral or positive; empty where there is no text to judge.',
    sentiment LowCardinality(String) COMMENT 'very_negative, negative, neutral, positive, very_positive or mixed; empty where there is no text to judge.',
    score Nullable(Float32) COMMENT 'Sentiment of the whole text, -1 to 1, a multiple of 1/128; NULL where there is no text to judge.',
    confidence Nullable(Float32) COMMENT 'Probability of the polarity, 0 to 1; NULL where there is no text to judge.',
    p_negative Nullable(Float32) COMMENT 'Probability that the text is negative; NULL where there is no text to judge.',
    p_neutral Nullable(Float32) COMMENT 'Probability that the text is neutral; NULL where there is no text to judge.',
    p_positive Nullable(Float32) COMMENT 'Probability that the text is positive; NULL where there is no text to judge.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve: complaint, praise, question, request, churn_notice or other.',
    intent_confidence Nullable(Float32) COMMENT 'Probability of the intent, 0 to 1; NULL where there is no text to judge.',
    element LowCardinality(String) COMMENT 'The element most of the text is about: product, service, image, or unspecified where it names none.',
    urgency LowCardinality(String) COMMENT 'How fast an answer is wanted: low, medium or high.',
    response_needed Bool COMMENT 'Whether the customer expects an answer.',
    effort Nullable(Int8) COMMENT 'Effort the text tells of, -5 (hard) to 5 (easy); NULL where it says nothing of effort.',
    churn_risk Float32 COMMENT 'How likely the text is from a customer about to leave, 0 to 1.',
    churn_reasons Array(String) COMMENT 'Why churn_risk is what it is.' CODEC(ZSTD(1)),
    quality LowCardinality(String) COMMENT 'Whether the text can be read as feedback at all: ok, spam, empty or off_topic. A label, never a filter.',
    model LowCardinality(String) COMMENT 'Name and version of the model that made the labels.',

    -- What the text says about which part: one position in each array is one mention (the view mentions shows them as rows).
    mention_element Array(LowCardinality(String)) COMMENT 'Of each mention: product, service or image.',
    mention_facet Array(LowCardinality(String)) COMMENT 'Of each mention: quality, packaging, price, presale, sale, aftersale or impression; empty: the element as a whole.',
    mention_s5 Array(LowCardinality(String)) COMMENT 'Of each mention: smile, speed, sincerity, smart or study; empty: none.',
    mention_theme Array(LowCardinality(String)) COMMENT 'Of each mention: stable id of the theme, such as late-delivery; empty: none.',
    mention_polarity Array(Float32) COMMENT 'Of each mention: -1 to 1, a multiple of 1/128.' CODEC(ZSTD(1)),
    mention_confidence Array(Float32) COMMENT 'Of each mention: 0 to 1.' CODEC(ZSTD(1)),
    mention_start Array(UInt32) COMMENT 'Of each mention: first byte of its words in the text, from 0.' CODEC(ZSTD(1)),
    mention_end Array(UInt32) COMMENT 'Of each mention: the byte after its words in the text.' CODEC(ZSTD(1)),

    -- Scores: the mean polarity of the mentions of each part, -1 to 1, a multiple of 1/128; NULL where nobody mentioned it,
    -- which is not a score of zero.
    element_product Nullable(Float32) COMMENT 'Score of the product: the goods themselves, packaging and price; NULL: not mentioned.',
    element_service Nullable(Float32) COMMENT 'Score of the service: what people or processes did or failed to do; NULL: not mentioned.',
    element_image Nullable(Float32) COMMENT 'Score of the image: brand, trust, reputation; NULL: not mentioned.',
    facet_quality Nullable(Float32) COMMENT 'Score of the goods themselves; NULL: not mentioned.',
    facet_packaging Nullable(Float32) COMMENT 'Score of how the goods were packed; NULL: not mentioned.',
    facet_price Nullable(Float32) COMMENT 'Score of price and value for money; NULL: not mentioned.',
    facet_presale Nullable(Float32) COMMENT 'Score of information, advice and waiting before the sale; NULL: not mentioned.',
    facet_sale Nullable(Float32) COMMENT 'Score of ordering, payment, delivery, being served; NULL: not mentioned.',
    facet_aftersale Nullable(Float32) COMMENT 'Score of support, returns, repair, complaints; NULL: not mentioned.',
    facet_impression Nullable(Float32) COMMENT 'Score of the overall impression of the enterprise; NULL: not mentioned.',
    s5_smile Nullable(Float32) COMMENT 'Score of friendliness and courtesy; NULL: not mentioned.',
    s5_speed Nullable(Float32) COMMENT 'Score of waiting, response and delivery time; NULL: not mentioned.',
    s5_sincerity Nullable(Float32) COMMENT 'Score of honesty and promises kept; NULL: not mentioned.',
    s5_smart Nullable(Float32) COMMENT 'Score of neat, agile, efficient handling; NULL: not mentioned.',
    s5_study Nullable(Float32) COMMENT 'Score of knowledge, and learning from faults; NULL: not mentioned.',

    -- Ratings, each on the scale its definition demands.
    rating Nullable(Float32) COMMENT 'Any rating, brought to -1 to 1 (higher is better), a multiple of 1/128; NULL: no rating.',
    csat Nullable(Float32) COMMENT 'Customer satisfaction by the top boxes of the rating\'s own scale: 1 satisfied, 0.5 the neutral middle, 0 neither; NULL: not a satisfaction rating.',
    nps Nullable(Float32) COMMENT '1 promoter (9-10), 0 passive (7-8), -1 detractor (0-6); NULL: not an answer of type nps on 0-10.',
    ces Nullable(Float32) COMMENT 'Effort answer on its own scale 1-7 (7: easy); NULL: not an answer of type ces on that scale.',

    -- Whatever else came along.
    attachments String COMMENT 'Files by link, JSON array of {uri, mime, sha256}; empty: none.' CODEC(ZSTD(3)),
    metadata String COMMENT 'What else the source wanted kept, JSON object; empty: none.' CODEC(ZSTD(3)),
    extra String COMMENT 'Members of data that the contract does not know, JSON object; empty: none.' CODEC(ZSTD(3)),

    -- A range of the log is read back by seq, an identity by its hash (a false positive in 10,000 keeps a look-up of 100
    -- identities on few granules), a customer, case or conversation by its id.
    INDEX by_seq seq TYPE minmax GRANULARITY 1,
    INDEX by_event event_id TYPE bloom_filter(0.0001) GRANULARITY 1,
    INDEX by_customer customer_key TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_case case_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_conversation conversation_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_received received_at TYPE minmax GRANULARITY 1,

    -- Hourly sums. Scores are multiples of 1/128, so that their sums and sums of squares are exact in Float64 in any
    -- order, and the projection equals the rows to the last bit. The views spell their aggregates exactly like this,
    -- because the optimiser matches them by expression.
    PROJECTION hourly
    (
        SELECT
            generation, tenant, toStartOfHour(occurred_at), channel, kind, actor_kind,
            count(),
            countIf(polarity = 'negative'),
            countIf(polarity = 'neutral'),
            countIf(polarity = 'positive'),
            count(score),
            sum(toFloat64(score)),
            sum(toFloat64(score) * toFloat64(score)),
            count(element_product),
            sum(toFloat64(element_product)),
            sum(toFloat64(element_product) * toFloat64(element_product)),
            count(element_service),
            sum(toFloat64(element_service)),
            sum(toFloat64(element_service) * toFloat64(element_service)),
            count(element_image),
            sum(toFloat64(element_image)),
            sum(toFloat64(element_image) * toFloat64(element_image)),
            count(facet_quality),
            sum(toFloat64(facet_quality)),
            sum(toFloat64(facet_quality) * toFloat64(facet_quality)),
            count(facet_packaging),
            sum(toFloat64(facet_packaging)),
            sum(toFloat64(facet_packaging) * toFloat64(facet_packaging)),
            count(facet_price),
            sum(toFloat64(facet_price)),
            sum(toFloat64(facet_price) * toFloat64(facet_price)),
            count(facet_presale),
            sum(toFloat64(facet_presale)),
            sum(toFloat64(facet_presale) * toFloat64(facet_presale)),
            count(facet_sale),
            sum(toFloat64(facet_sale)),
            sum(toFloat64(facet_sale) * toFloat64(facet_sale)),
            count(facet_aftersale),
            sum(toFloat64(facet_aftersale)),
            sum(toFloat64(facet_aftersale) * toFloat64(facet_aftersale)),
            count(facet_impression),
            sum(toFloat64(facet_impression)),
            sum(toFloat64(facet_impression) * toFloat64(facet_impression)),
            count(s5_smile),
            sum(toFloat64(s5_smile)),
            sum(toFloat64(s5_smile) * toFloat64(s5_smile)),
            count(s5_speed),
            sum(toFloat64(s5_speed)),
            sum(toFloat64(s5_speed) * toFloat64(s5_speed)),
            count(s5_sincerity),
            sum(toFloat64(s5_sincerity)),
            sum(toFloat64(s5_sincerity) * toFloat64(s5_sincerity)),
            count(s5_smart),
            sum(toFloat64(s5_smart)),
            sum(toFloat64(s5_smart) * toFloat64(s5_smart)),
            count(s5_study),
            sum(toFloat64(s5_study)),
            sum(toFloat64(s5_study) * toFloat64(s5_study)),
            count(rating),
            sum(toFloat64(rating)),
            sum(toFloat64(rating) * toFloat64(rating)),
            count(csat),
            countIf(csat = 1),
            countIf(csat = 0.5),
            count(nps),
            countIf(nps = 1),
            countIf(nps = -1),
            count(ces),
            sum(toFloat64(ces)),
            sum(toFloat64(ces) * toFloat64(ces)),
            countIf(ces >= 5),
            countIf(ces >= 6),
            countIf(ces <= 3),
            countIf(intent = 'complaint'),
            countIf(churn_risk >= 0.5),
            countIf(response_needed)
        GROUP BY generation, tenant, toStartOfHour(occurred_at), channel, kind, actor_kind
    )
)
ENGINE = MergeTree
PARTITION BY (generation, toYYYYMM(occurred_at))
PRIMARY KEY (tenant, toStartOfHour(occurred_at), channel)
ORDER BY (tenant, toStartOfHour(occurred_at), channel, seq)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    non_replicated_deduplication_window = 10000,
    lightweight_mutation_projection_mode = 'rebuild',
    min_bytes_for_wide_part = 134217728
COMMENT 'One row per accepted event of any kind. Read it through feedback_current, which shows the live generation.'
