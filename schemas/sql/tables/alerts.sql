-- Every alert that was ever raised, muted and inhibited ones included: one row when it begins, one more when it is over.
-- The second replaces the first, so that a repeated write of either changes nothing; read it with FINAL.
CREATE TABLE IF NOT EXISTS alerts
(
    tenant LowCardinality(String) COMMENT 'Whose customers it is about.',
    alert_id String COMMENT 'Id of the alert; the same for ever for the same rule, cell and moment.' CODEC(ZSTD(1)),
    version UInt8 COMMENT '1: it began, 2: it is over; the highest counts.',
    rule LowCardinality(String) COMMENT 'Rule that raised it.',
    severity LowCardinality(String) COMMENT 'critical, warning or info.',
    channel LowCardinality(String) COMMENT 'Channel of the cell; empty: all.',
    product String COMMENT 'Product of the cell; empty: all.' CODEC(ZSTD(1)),
    element LowCardinality(String) COMMENT 'Element of the cell; empty: all.',
    facet LowCardinality(String) COMMENT 'Facet of the cell; empty: all.',
    theme LowCardinality(String) COMMENT 'Theme of the cell; empty: all.',
    detector LowCardinality(String) COMMENT 'How it was found.',
    reason LowCardinality(String) COMMENT 'Why it was raised, in one word.',
    raised_at DateTime64(3, 'UTC') COMMENT 'When it was raised.',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was over; NULL: not yet.',
    since DateTime64(3, 'UTC') COMMENT 'When the first customer counted spoke.',
    window_seconds UInt32 COMMENT 'Length of the window.',
    observed Float64 COMMENT 'Different customers counted, or what the rule measures.',
    expected Float64 COMMENT 'The same, as usual; 0: not known.',
    probability Float64 COMMENT 'Of such a reading by chance; 1: not known.',
    total UInt32 COMMENT 'Different customers who spoke in the window.',
    top_theme LowCardinality(String) COMMENT 'What most of them spoke of; empty: nothing in particular.',
    acked_by String COMMENT 'Who looked after it; empty: nobody said so.',
    details String COMMENT 'The whole alert, JSON object.' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant, alert_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Alerts, one row for each after merges; read it with FINAL.'
