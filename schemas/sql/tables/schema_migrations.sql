-- What was applied to this database, by whom of the statements in this folder and with which result. Rows are only added:
-- the newest row of a version is its state, the older ones its history. A statement has a row "started" before it runs,
-- so that one that was cut off is seen and run again.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32 COMMENT 'Number of the statement; tables below 1000, views from 1001.',
    name String COMMENT 'Table or view it creates.',
    sha256 String COMMENT 'SHA-256 of the statement without comment lines, hex.',
    status LowCardinality(String) COMMENT 'started, applied or failed.',
    error String COMMENT 'Why it failed; empty: it did not.',
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When, by the clock of the store.'
)
ENGINE = MergeTree
ORDER BY (version, applied_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'History of the statements applied to this database; the newest row of a version is its state.'
