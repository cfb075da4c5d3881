-- How many dissatisfied customers said nothing: estimated from how many of the tenant's customers who rated low when asked
-- had complained by themselves, with 95 % intervals; views/silent_customers.sql states the estimator and what it supposes.
-- Where too few customers are known it is NULL, and basis says why.
-- param tenant String = : whose customers; empty: everybody's
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
SELECT
    tenant, dissatisfied, both AS dissatisfied_who_complained,
    round(if(dissatisfied = 0, NULL, 100 * both / dissatisfied), 1) AS propensity,
    round(if(dissatisfied = 0, NULL, greatest(100 * (both + 1.920729440648 - 1.959964 * sqrt(both * (dissatisfied - both) / dissatisfied + 0.960364720324)) / (dissatisfied + 3.841458881296), 0)), 1) AS propensity_low,
    round(if(dissatisfied = 0, NULL, least(100 * (both + 1.920729440648 + 1.959964 * sqrt(both * (dissatisfied - both) / dissatisfied + 0.960364720324)) / (dissatisfied + 3.841458881296), 100)), 1) AS propensity_high,
    complainers,
    round(if(dissatisfied >= 20 AND both >= 5, (complainers - both) * (dissatisfied - both) / (both + 1), NULL), 1) AS silent,
    round(if(dissatisfied >= 20 AND both >= 5, greatest(((complainers - both) + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(-1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / ((complainers - both) + 0.5) + (both + 0.5) / (((complainers - both) + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, 0), NULL), 1) AS silent_low,
    round(if(dissatisfied >= 20 AND both >= 5, ((complainers - both) + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / ((complainers - both) + 0.5) + (both + 0.5) / (((complainers - both) + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, NULL), 1) AS silent_high,
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
            AND occurred_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND occurred_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String})
        GROUP BY tenant, customer_key
    )
    GROUP BY tenant
)
ORDER BY tenant
