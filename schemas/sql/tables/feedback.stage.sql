-- What the classifier says of the stage, and the words and the rating kept apart. Rows from before have the defaults, which
-- say that nothing is known: they get theirs with the next reclassification. The defaults are what an empty value is in the
-- list of columns, because a column that is empty in a whole batch is left out of its insert.
ALTER TABLE feedback
    ADD COLUMN IF NOT EXISTS stage LowCardinality(String) COMMENT 'Stage of the customer\'s journey the text is about: presale, sale, aftersale, or none where it is about the goods or the enterprise themselves; empty: not judged.' AFTER quality,
    ADD COLUMN IF NOT EXISTS stage_confidence Nullable(Float32) COMMENT 'Probability of the stage, 0 to 1, 1 where the source named it; NULL: not judged.' AFTER stage,
    ADD COLUMN IF NOT EXISTS sentiment_text LowCardinality(String) COMMENT 'Polarity of the words alone, whatever the rating: negative, neutral or positive; empty: there are no words that can be read, and polarity and score rest on the rating or on nothing.' AFTER stage_confidence,
    ADD COLUMN IF NOT EXISTS rating_disagrees Bool COMMENT 'Rating and words point in opposite directions: rating of 0.5 or more beside negative words, or of -0.5 or less beside positive ones, the words with a probability of 0.8 or more. Neither is changed for it.' AFTER sentiment_text
