-- How likely each known customer is to leave, as of two moments: the last hour heard of, and 30 days before it. The second
-- says what the score is worth: it is made only of what had happened and been received by then (the first of all that is
-- stored, so that history counts as soon as it is imported), and is held against the
-- customer.churned events of the 30 days that followed. Both come from this one statement, so that what is validated is
-- what is shown. The weights are those of churn_weights; the signs look back 90 days.
--
-- A customer who said nothing in those 90 days is not scored, nor one who left in them and was not retained since.
CREATE OR REPLACE VIEW churn_scores
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    customer_key String COMMENT 'Keyed hash of the customer.',
    as_of DateTime('UTC') COMMENT 'Moment of the score; nothing later is in it.',
    latest Bool COMMENT 'Whether it is the score of now, not the one of 30 days before.',
    risk Float64 COMMENT 'Score, 0 to 1. A probability only as far as it was validated.',
    band LowCardinality(String) COMMENT 'low below 0.1, raised below 0.25, high below 0.5, very high.',
    reasons Array(String) COMMENT 'What made the score, each with what it added to the log odds, the strongest first; the base is left out.',
    events UInt64 COMMENT 'What the customer said or answered in the 90 days before.',
    first_seen DateTime64(3, 'UTC') COMMENT 'The first of these.',
    last_seen DateTime64(3, 'UTC') COMMENT 'The last of these.',
    sum Float64 COMMENT 'Log odds: the base and all that was added.',
    words Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    mood Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    trend Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    waiting Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    double Float64 COMMENT 'Sign of the same name in churn_weights, 0 or 1.',
    effort Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    silence Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    retained Float64 COMMENT 'Sign of the same name in churn_weights, 0 to 1.',
    churned Nullable(Bool) COMMENT 'Whether the customer left in the 30 days after; NULL for the score of now.'
)
AS
WITH
    (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback) AS now_at,
    (SELECT mapFromArrays(groupArray(sign), groupArray(weight)) FROM churn_weights) AS w,
    ['feedback.received', 'rating.submitted', 'message.posted', 'review.published', 'mention.seen', 'case.opened', 'case.reopened', 'decision.answered', 'followup.rated'] AS contacts,
    answers AS
    (
        SELECT cityHash64(tenant, name) AS thread, occurred_at AS at, min(greatest(occurred_at, received_at)) AS known
        FROM feedback_current
        ARRAY JOIN arrayDistinct(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id])) AS name
        WHERE occurred_at >= now_at - 120 * 86400
            AND ((kind IN ('agent.responded', 'message.posted') AND actor_kind = 'agent' AND visibility = 'public')
                OR kind IN ('case.resolved', 'customer.informed'))
        GROUP BY thread, at
    ),
    asked AS
    (
        SELECT
            tenant, customer_key, occurred_at, greatest(occurred_at, received_at) AS known,
            cityHash64(tenant, case_id) AS by_case, cityHash64(tenant, conversation_id) AS by_conversation,
            cityHash64(tenant, correlation_id) AS by_correlation
        FROM feedback_current
        WHERE occurred_at >= now_at - 120 * 86400 AND response_needed AND actor_kind = 'customer' AND customer_key != ''
    ),
    waits AS
    (
        SELECT tenant, customer_key, as_of, min(occurred_at) AS since
        FROM
        (
            SELECT a.tenant AS tenant, a.customer_key AS customer_key, a.occurred_at AS occurred_at, a.known AS known,
                arrayMin(arrayMap(x -> if(x = 0, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), x), [c.known, v.known, r.known])) AS answered
            FROM asked AS a
            ASOF LEFT JOIN answers AS c ON a.by_case = c.thread AND a.occurred_at <= c.at
            ASOF LEFT JOIN answers AS v ON a.by_conversation = v.thread AND a.occurred_at <= v.at
            ASOF LEFT JOIN answers AS r ON a.by_correlation = r.thread AND a.occurred_at <= r.at
        )
        ARRAY JOIN [now_at, now_at - 30 * 86400] AS as_of
        WHERE if(as_of = now_at, occurred_at < as_of AND answered >= toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), known < as_of AND answered >= as_of) AND occurred_at >= as_of - 90 * 86400
        GROUP BY tenant, customer_key, as_of
    )
SELECT
    tenant, customer_key, as_of, as_of = now_at AS latest,
    1 / (1 + exp(-sum)) AS risk,
    multiIf(risk < 0.1, 'low', risk < 0.25, 'raised', risk < 0.5, 'high', 'very high') AS band,
    arrayMap(r -> concat(r.2, if(r.1 < 0, ' (', ' (+'), toString(round(r.1, 1)), ')'), arrayReverseSort(r -> (abs(r.1), r.2), arrayFilter(r -> abs(r.1) >= 0.05, [
        (w['words'] * words, if(word = '', 'words: no single reason', concat('words: ', word))),
        (w['mood'] * mood, concat('mood ', toString(round(recent, 2)), ' over ', toString(moods), if(moods = 1, ' event', ' events'))),
        (w['trend'] * trend, concat('mood falls from ', toString(round(mean, 2)), ' to ', toString(round(recent, 2)))),
        (w['waiting'] * waiting, concat('waits ', toString(round(wait_days, 1)), ' days for an answer')),
        (w['double'] * double, concat(toString(failures), ' failures in 30 days')),
        (w['effort'] * effort, concat('effort ', toString(hardest))),
        (w['silence'] * silence, concat('silent ', toString(round(quiet, 1)), ' days, usual gap ', toString(round(gap, 1)))),
        (w['retained'] * retained, 'was retained')
    ]))) AS reasons,
    events, first_seen, last_seen,
    w['base'] + w['words'] * words + w['mood'] * mood + w['trend'] * trend + w['waiting'] * waiting + w['double'] * double
        + w['effort'] * effort + w['silence'] * silence + w['retained'] * retained AS sum,
    words, mood, trend, waiting, double, effort, silence, retained,
    if(as_of = now_at, NULL, toBool(left_later > 0)) AS churned
FROM
(
    SELECT
        g.*,
        strongest.1 AS words,
        strongest.2 AS word,
        toUnixTimestamp(as_of) * 1000 AS ms,
        if(moods = 0, 0, recent_sum / recent_weight) AS recent,
        if(moods = 0, 0, mood_sum / moods) AS mean,
        if(moods = 0, 0, least(greatest(-recent, 0), 1)) AS mood,
        if(moods < 3, 0, least(greatest(mean - recent, 0), 1)) AS trend,
        if(q.customer_key = '', 0, (ms - toUnixTimestamp64Milli(q.since)) / 86400000) AS wait_days,
        least(wait_days / 7, 1) AS waiting,
        toFloat64(failures >= 2 AND toUnixTimestamp64Milli(last_failure) - toUnixTimestamp64Milli(first_failure) >= 86400000) AS double,
        least(greatest(-hardest, 0) / 5, 1) AS effort,
        (ms - toUnixTimestamp64Milli(last_seen)) / 86400000 AS quiet,
        if(days < 2, 0, greatest((toUnixTimestamp64Milli(last_seen) - toUnixTimestamp64Milli(first_seen)) / 86400000 / (days - 1), 1)) AS gap,
        if(days < 4, 0, least(greatest(quiet / gap - 2, 0) / 2, 1)) AS silence,
        if(retentions = 0, 0, exp2((toUnixTimestamp64Milli(last_retained) - ms) / 86400000 / 45)) AS retained
    FROM
    (
        SELECT
            tenant, customer_key, as_of,
            countIf(heard) AS events,
            minIf(occurred_at, heard) AS first_seen,
            maxIf(occurred_at, heard) AS last_seen,
            bitCount(groupBitOrIf(bitShiftLeft(toUInt128(1), toUInt8(toDate(as_of) - toDate(occurred_at))), heard)) AS days,
            maxIf((said, word), heard) AS strongest,
            countIf(heard AND valued) AS moods,
            sumIf(value, heard) AS mood_sum,
            sumIf(value * exp2(age / 14), heard) AS recent_sum,
            sumIf(exp2(age / 14), heard AND valued) AS recent_weight,
            countIf(failed) AS failures,
            minIf(occurred_at, failed) AS first_failure,
            maxIf(occurred_at, failed) AS last_failure,
            minIf(told, heard) AS hardest,
            countIf(past AND kind = 'customer.retained') AS retentions,
            maxIf(occurred_at, past AND kind = 'customer.retained') AS last_retained,
            maxIf(occurred_at, past AND kind = 'customer.churned') AS last_left,
            countIf(NOT past AND kind = 'customer.churned') AS left_later
        FROM
        (
            SELECT
                tenant, customer_key, occurred_at, kind, as_of,
                occurred_at < as_of AND (as_of = now_at OR received_at < as_of) AND occurred_at >= as_of - 90 * 86400 AS past,
                past AND actor_kind = 'customer' AND kind IN contacts AS heard,
                toFloat64(coalesce(rating, score, 0)) AS value,
                rating IS NOT NULL OR score IS NOT NULL AS valued,
                ifNull(feedback_current.effort, 0) AS told,
                (toUnixTimestamp64Milli(occurred_at) - toUnixTimestamp(as_of) * 1000) / 86400000 AS age,
                toFloat64(churn_risk) * exp2(age / 45) AS said,
                if(empty(churn_reasons), '', churn_reasons[1]) AS word,
                heard AND age >= -30 AND (intent IN ('complaint', 'churn_notice') OR rating < 0 OR kind = 'case.reopened') AS failed
            FROM feedback_current
            ARRAY JOIN [now_at, now_at - 30 * 86400] AS as_of
            WHERE customer_key != '' AND occurred_at >= now_at - 120 * 86400 AND occurred_at < now_at
                AND (past OR kind = 'customer.churned' AND occurred_at >= as_of)
        ) AS f
        GROUP BY tenant, customer_key, as_of
        HAVING events > 0 AND (last_left <= last_retained OR last_left = 0)
    ) AS g
    LEFT JOIN waits AS q ON g.tenant = q.tenant AND g.customer_key = q.customer_key AND g.as_of = q.as_of
)
