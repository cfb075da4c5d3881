-- The business hours that count now, of every tenant that has set a calendar.
CREATE OR REPLACE VIEW business_hours
(
    tenant LowCardinality(String) COMMENT 'Whose hours these are.',
    opens DateTime('UTC') COMMENT 'When it opens.',
    closes DateTime('UTC') COMMENT 'When it closes.',
    opens_ms Int64 COMMENT 'When it opens, in milliseconds since 1970.',
    open_ms Int64 COMMENT 'How long it is open, in milliseconds.',
    before_ms Int64 COMMENT 'Open milliseconds of the calendar before this opening.'
)
AS
SELECT h.tenant AS tenant, h.opens AS opens, h.closes AS closes, toInt64(toUnixTimestamp(h.opens)) * 1000 AS opens_ms,
    toInt64(dateDiff('second', h.opens, h.closes)) * 1000 AS open_ms, h.before * 1000 AS before_ms
FROM (SELECT DISTINCT tenant, revision, opens, closes, before FROM calendar_hours) AS h
INNER JOIN (SELECT tenant, argMax(revision, change) AS revision FROM calendars GROUP BY tenant) AS c
    ON c.tenant = h.tenant AND c.revision = h.revision
