-- When a tenant works and how fast it means to answer: one row for each time a calendar was set; the newest counts, by its
-- number and not by a clock that may go back. The hours themselves, in the table calendar_hours, are written before this
-- row, so that a calendar counts whole or not at all. A tenant without a row works day and night.
CREATE TABLE IF NOT EXISTS calendars
(
    tenant LowCardinality(String) COMMENT 'Whose calendar it is.',
    change UInt64 COMMENT 'Counts the calendars of all tenants, from 1; the newest counts.',
    revision UInt64 COMMENT 'Hash of the hours that belong to it; 0: day and night.',
    time_zone LowCardinality(String) COMMENT 'IANA name of the time zone in which it was written.',
    clock LowCardinality(String) COMMENT 'Clock by which targets are judged: business or wall.',
    targets Map(String, UInt32) COMMENT 'Seconds allowed, by first_response, next_response and resolution, and by these with /channel for one channel.',
    definition String COMMENT 'The calendar as it was given, JSON.' CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was set, by the clock of the store.'
)
ENGINE = MergeTree
ORDER BY (tenant, change)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Business calendars and response targets; the row with the highest change counts for each tenant.'
