-- How many dissatisfied customers say nothing: estimated from the tenant's own customers, by capture and recapture. One list is
-- the known customers who rated low when they were asked (rating.submitted, followup.rated, or on the channel survey), the
-- other those who complained by themselves anywhere else. How many of the first are on the second is the propensity to
-- complain; what neither list holds is estimated by Chapman 1951, with the interval of Sadinle 2009 (transformed logit).
-- It supposes that whether a customer answers when asked says nothing of whether they complain. With fewer than 20 on the first list or 5 on
-- both there is no estimate, and basis says why; no factor from elsewhere is put in its place.
CREATE OR REPLACE VIEW silent_customers
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    dissatisfied UInt64 COMMENT 'Known customers who rated low when asked.',
    dissatisfied_who_complained UInt64 COMMENT 'Of these, who also complained by themselves.',
    propensity Nullable(Float64) COMMENT 'The same in percent: the propensity to complain.',
    propensity_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson).',
    propensity_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson).',
    complainers UInt64 COMMENT 'Known customers who complained by themselves.',
    silent Nullable(Float64) COMMENT 'Estimated number of dissatisfied customers who are on neither list; NULL: see basis.',
    silent_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval.',
    silent_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval.',
    basis String COMMENT 'What the estimate rests on, or why there is none.'
)
AS
SELECT
    tenant, dissatisfied, both AS dissatisfied_who_complained,
    if(dissatisfied = 0, NULL, 100 * both / dissatisfied) AS propensity,
    if(dissatisfied = 0, NULL, greatest(100 * (both + 1.920729440648 - 1.959964 * sqrt(both * (dissatisfied - both) / dissatisfied + 0.960364720324)) / (dissatisfied + 3.841458881296), 0)) AS propensity_low,
    if(dissatisfied = 0, NULL, least(100 * (both + 1.920729440648 + 1.959964 * sqrt(both * (dissatisfied - both) / dissatisfied + 0.960364720324)) / (dissatisfied + 3.841458881296), 100)) AS propensity_high,
    complainers,
    if(dissatisfied >= 20 AND both >= 5, (complainers - both) * (dissatisfied - both) / (both + 1), NULL) AS silent,
    if(dissatisfied >= 20 AND both >= 5, greatest(((complainers - both) + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(-1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / ((complainers - both) + 0.5) + (both + 0.5) / (((complainers - both) + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, 0), NULL) AS silent_low,
    if(dissatisfied >= 20 AND both >= 5, ((complainers - both) + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / ((complainers - both) + 0.5) + (both + 0.5) / (((complainers - both) + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, NULL) AS silent_high,
    multiIf(dissatisfied < 20, concat('not known: ', toString(dissatisfied), ' known customers rated low when asked, 20 are needed'),
        both < 5, concat('not known: ', toString(both), ' of the ', toString(dissatisfied), ' who rated low complained by themselves, 5 are needed'),
        concat(toString(both), ' of ', toString(dissatisfied), ' who rated low when asked complained by themselves')) AS basis
FROM
(
    SELECT tenant, countIf(low) AS dissatisfied, countIf(low AND own) AS both, countIf(own) AS complainers
    FROM
    (
        SELECT tenant, customer_key, countIf((kind IN ('rating.submitted', 'followup.rated') OR channel = 'survey') AND rating < 0) > 0 AS low, countIf(NOT (kind IN ('rating.submitted', 'followup.rated') OR channel = 'survey') AND intent IN ('complaint', 'churn_notice')) > 0 AS own
        FROM feedback_current
        WHERE customer_key != '' AND actor_kind = 'customer' AND (rating < 0 OR intent IN ('complaint', 'churn_notice'))
        GROUP BY tenant, customer_key
    )
    GROUP BY tenant
)
