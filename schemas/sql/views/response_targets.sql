-- How fast each tenant means to answer and to resolve, with what counts where it says nothing: four hours for an answer, three
-- days for a resolution, day and night.
CREATE OR REPLACE VIEW response_targets
(
    tenant LowCardinality(String) COMMENT 'Whose targets these are.',
    time_zone LowCardinality(String) COMMENT 'IANA name of the calendar\'s time zone.',
    has_hours Bool COMMENT 'Whether there are business hours; without, business time is wall time.',
    business_clock Bool COMMENT 'Whether targets are judged by business time.',
    targets Map(String, UInt32) COMMENT 'Seconds allowed, by first_response, next_response and resolution, and by these with /channel.'
)
AS
SELECT
    tenant, argMax(time_zone, change) AS time_zone, argMax(revision, change) != 0 AS has_hours,
    argMax(clock, change) != 'wall' AS business_clock, argMax(targets, change) AS targets
FROM calendars
GROUP BY tenant
