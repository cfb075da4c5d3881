-- The hours of the calendars as moments in UTC, worked out once from the time zone with its changes of summer time and the
-- holidays, so that business time is a subtraction: of two moments, the open seconds before each. Hours never change: other
-- hours have another revision. A repeated write of the same hours disappears in merges.
CREATE TABLE IF NOT EXISTS calendar_hours
(
    tenant LowCardinality(String) COMMENT 'Whose hours these are.',
    revision UInt64 COMMENT 'Hash of all hours of the calendar; see calendars.',
    opens DateTime('UTC') COMMENT 'When it opens.',
    closes DateTime('UTC') COMMENT 'When it closes.' CODEC(Delta, ZSTD(1)),
    before Int64 COMMENT 'Open seconds of the calendar before this opening.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, revision, opens)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Business hours as moments, for the calendars of the same revision.'
