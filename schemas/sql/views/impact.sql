-- What each part of the taxonomy does to satisfaction (csat) and recommendation (nps), over all time: its impact, its
-- quadrant and its Kano class; the queries impact, importance_performance and kano take a span of time.
--
-- impact_loo is the score of all answers less the score without those that speak of the part; negative: it drags the score
-- down. Its interval takes the share of answers as found and both means with one answer of each kind added (Agresti and
-- Caffo 2000). points_lost and points_won are what every answer lost or won, split evenly over the parts it blames or praises:
-- with those that name none they add up to 100 less the score and to the score (nps: 100 more). Their interval is Wilson's, which is
-- too wide rather than too narrow for split points. Answers of one customer are not independent; customers says how many there are.
-- Importance is the size of impact_loo, performance the praise less the blame in percent of the answers that speak of the
-- part (interval: adjusted Wald); the cross stands at the medians of the parts with 10 answers or more, of which there must be 3
-- (Martilla and James 1977, who prefer medians; a part that nearly every answer speaks of would draw a mean to itself). A part
-- whose impact has 0 in its interval may be of no importance at all.
-- Kano class without a questionnaire, by penalty and reward: how much lower the score is where the part is blamed, and how
-- much higher where it is praised, than where it is neither. Penalty above 0 and above reward by a
-- tenth of the scale: must-be; reward so: attractive; else both above 0: one-dimensional; both within a tenth of the scale of 0:
-- indifferent; each with 95 % certainty (Agresti and Caffo 2000), else undecided. Each of the three groups must have 10
-- answers. Where nearly everybody is satisfied anyway no reward can show, and must-be is the likelier word.
CREATE OR REPLACE VIEW impact
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    metric String COMMENT 'csat or nps.',
    level String COMMENT 'Of the part: element, facet, s5 or theme.',
    part String COMMENT 'The part; empty: what no part was named for.',
    n UInt64 COMMENT 'Answers, all.',
    answers UInt64 COMMENT 'Answers that speak of the part.',
    customers UInt64 COMMENT 'Different customers behind these.',
    score Nullable(Float64) COMMENT 'The score of all answers.',
    impact_loo Nullable(Float64) COMMENT 'That less the score without these; NULL: all answers speak of it.',
    impact_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    impact_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    points_lost Nullable(Float64) COMMENT 'Points of the score lost where it is blamed; all parts add up to 100 less the score.',
    lost_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    lost_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    points_won Nullable(Float64) COMMENT 'Points won where it is praised; all parts add up to the score (nps: 100 more).',
    won_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    won_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    importance Nullable(Float64) COMMENT 'Size of impact_loo.',
    performance Nullable(Float64) COMMENT 'Praise less blame in percent of the answers that speak of it.',
    performance_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    performance_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    importance_median Nullable(Float64) COMMENT 'Where the cross stands; NULL: fewer than 3 parts to compare.',
    performance_median Nullable(Float64) COMMENT 'Where the cross stands.',
    quadrant String COMMENT 'concentrate here, keep up, low priority or possible overkill; or why it is not known.',
    good UInt64 COMMENT 'Answers that praise it.',
    bad UInt64 COMMENT 'Answers that blame it.',
    base UInt64 COMMENT 'Answers that do neither.',
    reward Nullable(Float64) COMMENT 'Score where it is praised less score where neither.',
    reward_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    reward_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    penalty Nullable(Float64) COMMENT 'Score where neither less score where it is blamed.',
    penalty_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    penalty_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    kano String COMMENT 'must-be, attractive, one-dimensional, indifferent or undecided; or why it is not known.'
)
AS
SELECT
    tenant, metric, level, part, n, k AS answers, customers,
    if(metric = 'nps', 200 * total_v / n - 100, 100 * total_v / n) AS score,
    impact AS impact_loo,
    if(impact IS NULL, NULL, impact_middle - 1.959964 * impact_se) AS impact_low,
    if(impact IS NULL, NULL, impact_middle + 1.959964 * impact_se) AS impact_high,
    scale * lost / n AS points_lost,
    if(n = 0, NULL, greatest(scale * (lost + 1.920729440648 - 1.959964 * sqrt(lost * (n - lost) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS lost_low,
    if(n = 0, NULL, least(scale * (lost + 1.920729440648 + 1.959964 * sqrt(lost * (n - lost) / n + 0.960364720324)) / (n + 3.841458881296), scale)) AS lost_high,
    scale * won / n AS points_won,
    if(n = 0, NULL, greatest(scale * (won + 1.920729440648 - 1.959964 * sqrt(won * (n - won) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS won_low,
    if(n = 0, NULL, least(scale * (won + 1.920729440648 + 1.959964 * sqrt(won * (n - won) / n + 0.960364720324)) / (n + 3.841458881296), scale)) AS won_high,
    abs(impact) AS importance,
    performance AS performance,
    if(k = 0, NULL, greatest(100 * (((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3)) - 1.959964 * sqrt(((good + 0.75) / (k + 3) + (bad + 0.75) / (k + 3) - ((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3)) * ((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3))) / (k + 3))), -100)) AS performance_low,
    if(k = 0, NULL, least(100 * (((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3)) + 1.959964 * sqrt(((good + 0.75) / (k + 3) + (bad + 0.75) / (k + 3) - ((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3)) * ((good + 0.75) / (k + 3) - (bad + 0.75) / (k + 3))) / (k + 3))), 100)) AS performance_high,
    if(comparable < 3, NULL, importance_cross) AS importance_median,
    if(comparable < 3, NULL, performance_cross) AS performance_median,
    multiIf(k < 10, concat('not known: ', toString(k), ' of 10 answers'), k = n, 'not known: every answer speaks of it',
        comparable < 3, concat('not known: ', toString(comparable), ' of 3 parts to compare'),
        abs(impact) >= importance_cross, if(performance >= performance_cross, 'keep up', 'concentrate here'),
        performance >= performance_cross, 'possible overkill', 'low priority') AS quadrant,
    good, bad, base,
    if(base = 0 OR good = 0, NULL, scale * (good_v / good - (total_v - good_v - bad_v) / base)) AS reward,
    if(base = 0 OR good = 0, NULL, scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good)) AS reward_low,
    if(base = 0 OR good = 0, NULL, scale * (mean_good - mean_base) + 1.959964 * scale * sqrt(var_base + var_good)) AS reward_high,
    if(base = 0 OR bad = 0, NULL, scale * ((total_v - good_v - bad_v) / base - bad_v / bad)) AS penalty,
    if(base = 0 OR bad = 0, NULL, scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad)) AS penalty_low,
    if(base = 0 OR bad = 0, NULL, scale * (mean_base - mean_bad) + 1.959964 * scale * sqrt(var_base + var_bad)) AS penalty_high,
    multiIf(least(good, bad, base) < 10, concat('not known: ', toString(good), ' praise, ', toString(bad), ' blame, ', toString(base), ' neither; 10 each are needed'),
        scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad) > 0 AND scale * (2 * mean_base - mean_bad - mean_good) - 1.959964 * scale * sqrt(4 * var_base + var_bad + var_good) > scale / 10, 'must-be',
        scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good) > 0 AND scale * (2 * mean_base - mean_bad - mean_good) + 1.959964 * scale * sqrt(4 * var_base + var_bad + var_good) < -scale / 10, 'attractive',
        scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad) > 0 AND scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good) > 0, 'one-dimensional',
        greatest(abs(scale * (mean_base - mean_bad)) + 1.959964 * scale * sqrt(var_base + var_bad), abs(scale * (mean_good - mean_base)) + 1.959964 * scale * sqrt(var_base + var_good)) < scale / 10, 'indifferent', 'undecided') AS kano
FROM
(
    SELECT
        *,
        if(metric = 'nps', 200, 100) AS scale,
        ((v + 1) / (k + 2)) AS mean_part, ((total_v - v + 1) / (n - k + 2)) AS mean_rest,
        (((q + 1) / (k + 2) - pow(((v + 1) / (k + 2)), 2)) / (k + 2)) AS var_part, (((total_q - q + 1) / (n - k + 2) - pow(((total_v - v + 1) / (n - k + 2)), 2)) / (n - k + 2)) AS var_rest,
        ((good_v + 1) / (good + 2)) AS mean_good, ((bad_v + 1) / (bad + 2)) AS mean_bad,
        toUInt64(n - good - bad) AS base,
        ((total_v - good_v - bad_v + 1) / (base + 2)) AS mean_base,
        (((good_q + 1) / (good + 2) - pow(((good_v + 1) / (good + 2)), 2)) / (good + 2)) AS var_good, (((bad_q + 1) / (bad + 2) - pow(((bad_v + 1) / (bad + 2)), 2)) / (bad + 2)) AS var_bad,
        (((total_q - good_q - bad_q + 1) / (base + 2) - pow(((total_v - good_v - bad_v + 1) / (base + 2)), 2)) / (base + 2)) AS var_base,
        if(k = 0 OR k = n, NULL, scale * (total_v / n - (total_v - v) / (n - k))) AS impact,
        scale * k / n * (mean_part - mean_rest) AS impact_middle,
        scale * sqrt(k / n * k / n * (var_part + var_rest) + pow(mean_part - mean_rest, 2) * k / n * (1 - k / n) / n) AS impact_se,
        if(k = 0, NULL, 100 * (toFloat64(good) - bad) / k) AS performance,
        k >= 10 AND k < n AS enough,
        countIf(enough AND part != '') OVER w AS comparable,
        quantileExactIf(0.5)(abs(impact), enough AND part != '') OVER w AS importance_cross,
        quantileExactIf(0.5)(performance, enough AND part != '') OVER w AS performance_cross
    FROM
    (
        SELECT
            tenant, metric, level, part, count() AS k, uniqExact(customer) AS customers, sum(value) AS v, sum(value * value) AS q,
            countIf(sign > 0) AS good, sumIf(value, sign > 0) AS good_v, sumIf(value * value, sign > 0) AS good_q,
            countIf(sign < 0) AS bad, sumIf(value, sign < 0) AS bad_v, sumIf(value * value, sign < 0) AS bad_q,
            sum(lost) AS lost, sum(won) AS won,
            sumIf(count(), part = '') OVER g AS n, sumIf(sum(value), part = '') OVER g AS total_v, sumIf(sum(value * value), part = '') OVER g AS total_q
        FROM answer_parts
        GROUP BY tenant, metric, level, part
        WINDOW g AS (PARTITION BY tenant, metric, level)
    )
    WINDOW w AS (PARTITION BY tenant, metric, level)
)
