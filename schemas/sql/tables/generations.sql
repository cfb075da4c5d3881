-- Which classifications of the rows there are and which of them the views show. Rows are only added; the newest "live" row,
-- by its number and not by a clock that may go back, is the generation that the view feedback_current is made from when
-- the schema is brought up to date.
CREATE TABLE IF NOT EXISTS generations
(
    change UInt64 COMMENT 'Counts the rows of this table, from 1; the newest counts.',
    generation UInt32 COMMENT 'Number of the classification, as in the table feedback.',
    state LowCardinality(String) COMMENT 'building, live, retired (kept for going back) or dropped.',
    model String COMMENT 'Classifier that made its labels; empty: the labels were carried over as they were, or the rows are as they came in.',
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it came into this state, by the clock of the store.'
)
ENGINE = MergeTree
ORDER BY change
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'History of the classifications of the rows; without a live row generation 1 is live.'
