-- What the company's people did, as the five virtues of service measure it: one row for each occasion, and whether it was lived
-- up to. Customers' own words are not in it; they are the other side of the same virtues.
--
-- smile: a public message of a person; well when its words are not negative.
-- speed: a case or conversation, as in first_answers; well when a person answered within a day. Who waits for less than that does
-- not count yet.
-- sincerity: a decision with a promise; well when the case was resolved, or the customer told, by the time promised. A promise
-- not yet due does not count before it is kept.
-- smart: a resolved case; well when it was not opened again.
-- study: a theme that a known customer complains of in opening a case; well when the same customer opened no other case with
-- the same complaint within 30 days. Younger ones do not count yet.
CREATE OR REPLACE VIEW conduct
(
    tenant LowCardinality(String) COMMENT 'Whose people these are.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the occasion was: the message, the question, the decision, the first resolution.',
    channel LowCardinality(String) COMMENT 'Where it was.',
    product String COMMENT 'The goods it was about; empty: none named.',
    s5 String COMMENT 'smile, speed, sincerity, smart or study.',
    well Bool COMMENT 'Whether it was lived up to.'
)
AS
SELECT tenant, occurred_at, channel, product, s5, well
FROM occasions
WHERE counts_from < now64(3, 'UTC')
