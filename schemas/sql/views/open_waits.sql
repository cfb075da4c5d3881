-- Who waits for an answer and until when it is due, whatever the time is now: the view due adds to it how long and how overdue
-- that is. Read that one.
CREATE OR REPLACE VIEW open_waits
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    metric LowCardinality(String) COMMENT 'first_response: nobody has answered since the case was opened; next_response: somebody has.',
    waiting_since DateTime64(3, 'UTC') COMMENT 'When the customer spoke.',
    worked_before Nullable(Int64) COMMENT 'Milliseconds of the tenant\'s business hours before that; NULL: it has no calendar.',
    target_seconds UInt32 COMMENT 'Seconds allowed, on the clock of the tenant\'s targets.',
    due_at DateTime64(3, 'UTC') COMMENT 'When the time allowed is over.',
    messages UInt64 COMMENT 'What the customer said meanwhile that expects an answer.',
    channel LowCardinality(String) COMMENT 'Where it was first said.',
    urgency LowCardinality(String) COMMENT 'The highest of the messages: low, medium or high.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve, by the first message.',
    churn_risk Float32 COMMENT 'How likely the customer is about to leave, 0 to 1; the highest of the messages.',
    text String COMMENT 'What was first said.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    uri String COMMENT 'Where it can be seen.',
    event_id UUID COMMENT 'The event that was first.'
)
AS
SELECT
    w.tenant AS tenant, w.thread AS thread, w.metric AS metric, w.waiting_since AS waiting_since, if(w.has_hours, w.worked, NULL) AS worked_before,
    w.target_seconds AS target_seconds, w.due_at AS due_at, w.messages AS messages, w.channel AS channel, w.urgency AS urgency, w.intent AS intent,
    w.churn_risk AS churn_risk, w.text AS text, w.customer_key AS customer_key, w.uri AS uri, w.event_id AS event_id
FROM
(
    SELECT
        v.*, fromUnixTimestamp64Milli(if(v.has_hours AND v.business_clock AND d.d_opens > 0,
            d.d_opens + v.need - d.d_before, v.started + toInt64(v.target_seconds) * 1000)) AS due_at
    FROM
    (
        SELECT u.*, b.b_before + least(u.started - b.b_opens, b.b_open) AS worked, worked + toInt64(u.target_seconds) * 1000 AS need
        FROM
        (
            SELECT
                x.*, t.has_hours AS has_hours, t.business_clock AS business_clock,
                multiIf(mapContains(t.targets, concat(x.metric, '/', x.channel)), t.targets[concat(x.metric, '/', x.channel)],
                    mapContains(t.targets, x.metric), t.targets[x.metric], 14400) AS target_seconds
            FROM
            (
                SELECT *, toUnixTimestamp64Milli(waiting_since) AS started
                FROM
                (
                    SELECT
                        tenant, thread,
                        if(arrayExists(m -> m > resolved AND m < ended AND (m % 8 = 2 OR m % 8 = 1 AND intDiv(m, 8) = first_at), marks), 'next_response', 'first_response') AS metric,
                        fromUnixTimestamp64Milli(if(first_at * 8 > ended, first_at, words[1].at)) AS waiting_since, length(words) AS messages,
                        words[1].channel AS channel, multiIf(has(words.urgency, 'high'), 'high', has(words.urgency, 'medium'), 'medium', 'low') AS urgency,
                        words[1].intent AS intent, arrayMax(words.churn_risk) AS churn_risk, words[1].text AS text, customer_key, words[1].uri AS uri,
                        words[1].event_id AS event_id
                    FROM
                    (
                        SELECT
                            tenant, thread, customer_key, first_at, marks, arrayLast(m -> m % 8 IN (3, 4), marks) AS ended,
                            arrayLast(m -> m % 8 = 4, marks) AS resolved, arrayFilter(a -> a.at * 8 + 2 > ended, asked) AS words
                        FROM threads
                        WHERE first_at > 0
                    )
                    WHERE notEmpty(words)
                    UNION ALL
                    SELECT
                        tenant, thread, 'first_response' AS metric, at AS waiting_since, 1 AS messages, channel,
                        multiIf(urgency = 'high', 'high', urgency = 'medium', 'medium', 'low') AS urgency, intent, churn_risk, text, customer_key, uri, event_id
                    FROM lone_waits
                    WHERE expects
                )
            ) AS x
            LEFT JOIN (SELECT tenant AS t_tenant, has_hours, business_clock, targets FROM response_targets) AS t ON t.t_tenant = x.tenant
        ) AS u
        ASOF LEFT JOIN (SELECT tenant AS b_tenant, opens_ms AS b_opens, open_ms AS b_open, before_ms AS b_before FROM business_hours) AS b
            ON b.b_tenant = u.tenant AND b.b_opens <= u.started
    ) AS v
    ASOF LEFT JOIN (SELECT tenant AS d_tenant, opens_ms AS d_opens, before_ms AS d_before FROM business_hours) AS d
        ON d.d_tenant = v.tenant AND d.d_before < v.need
) AS w
