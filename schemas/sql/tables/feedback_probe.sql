-- Takes rows and keeps none. A worker whose insert was refused for good sends halves of it here until the row that is
-- refused stands alone: the columns and their conversions are those of the fact table, but nothing is written, so that the
-- plan of the real insert stays true meanwhile.
CREATE TABLE IF NOT EXISTS feedback_probe AS feedback
ENGINE = Null
COMMENT 'Rows on trial: takes what feedback would take and keeps nothing.'
