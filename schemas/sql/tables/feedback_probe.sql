-- Takes rows and keeps none. A worker whose insert was refused for good sends halves of it here until the row that is
-- refused stands alone: the columns and their conversions are those of the fact table, but nothing is written, so that the
-- plan of the real insert stays true meanwhile. It is made anew for every trial, so that it refuses what the fact table
-- refuses at that moment, constraints that an operator has added included.
CREATE OR REPLACE TABLE feedback_probe AS feedback
ENGINE = Null
COMMENT 'Rows on trial: takes what feedback would take and keeps nothing.'
