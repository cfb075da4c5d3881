-- Which version of the secret of customer keys the rows of a generation bear. All rows of one bear the same, so that a
-- customer is one customer in every figure: a new secret counts from the next generation on, into which the rows are brought
-- with their keys made anew.
CREATE TABLE IF NOT EXISTS customer_key_versions
(
    generation UInt32 COMMENT 'Number of the classification, as in the table feedback.',
    version UInt16 COMMENT 'Version of the secret, from 1; a generation that is not listed has 1.',
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was written down, before the first row, by the clock of the store; the newest counts.'
)
ENGINE = MergeTree
ORDER BY (generation, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Versions of the secret by which customer keys are made.'
