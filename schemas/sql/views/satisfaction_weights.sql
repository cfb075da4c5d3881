-- How much each element counts in overall satisfaction. The weights are equal until at least 200 rated texts speak of an
-- element, at least 20 of each, and the scores say something of the rating (F test of the regression, 1 %, F > 3.88). From then on
-- they are fitted: the rating is regressed on the scores of the three elements by least squares, an element that a text does
-- not mention being 0 in it, and a weight is the element's coefficient, or 0 where that is negative, divided by the sum of the
-- three. Ratings are all but those of effort. Where the source said what a rating is about, the score would be
-- the rating itself, so these are left out.
CREATE OR REPLACE VIEW satisfaction_weights
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    element String COMMENT 'product, service or image.',
    weight Float64 COMMENT 'Its share in overall satisfaction; the three add up to 1.',
    basis String COMMENT 'equal or fitted.',
    n UInt64 COMMENT 'Rated texts that speak of at least one element.',
    mentioned UInt64 COMMENT 'Of these, those that speak of this one.',
    coefficient Nullable(Float64) COMMENT 'By how much the rating, from -1 to 1, rises with the score of this element, the others being the same; NULL: cannot be told.'
)
AS
SELECT
    tenant, part.1 AS element, if(fitted, greatest(part.3, 0) / total, 1 / 3) AS weight, if(fitted, 'fitted', 'equal') AS basis, n,
    part.2 AS mentioned, if(solvable, part.3, NULL) AS coefficient
FROM
(
    SELECT
        tenant, n, solvable,
        greatest(b1, 0) + greatest(b2, 0) + greatest(b3, 0) AS total,
        solvable AND n >= 200 AND least(n1, n2, n3) >= 20 AND total > 0 AND explained * (n - 4) > 3.88 * 3 * (yy - explained) AS fitted,
        arrayJoin([('product', n1, b1), ('service', n2, b2), ('image', n3, b3)]) AS part
    FROM
    (
        SELECT
            *,
            c11 * (c22 * c33 - c23 * c23) - c12 * (c12 * c33 - c23 * c13) + c13 * (c12 * c23 - c22 * c13) AS determinant,
            determinant > 1e-9 AS solvable,
            if(solvable, (y1 * (c22 * c33 - c23 * c23) - c12 * (y2 * c33 - c23 * y3) + c13 * (y2 * c23 - c22 * y3)) / determinant, 0) AS b1,
            if(solvable, (c11 * (y2 * c33 - c23 * y3) - y1 * (c12 * c33 - c23 * c13) + c13 * (c12 * y3 - y2 * c13)) / determinant, 0) AS b2,
            if(solvable, (c11 * (c22 * y3 - y2 * c23) - c12 * (c12 * y3 - y2 * c13) + y1 * (c12 * c23 - c22 * c13)) / determinant, 0) AS b3,
            b1 * y1 + b2 * y2 + b3 * y3 AS explained
        FROM
        (
            SELECT
                tenant, count() AS n, countIf(element_product IS NOT NULL) AS n1, countIf(element_service IS NOT NULL) AS n2, countIf(element_image IS NOT NULL) AS n3,
                sum(p * p) / n - sum(p) / n * sum(p) / n AS c11, sum(p * s) / n - sum(p) / n * sum(s) / n AS c12, sum(p * i) / n - sum(p) / n * sum(i) / n AS c13,
                sum(s * s) / n - sum(s) / n * sum(s) / n AS c22, sum(s * i) / n - sum(s) / n * sum(i) / n AS c23, sum(i * i) / n - sum(i) / n * sum(i) / n AS c33,
                sum(p * y) / n - sum(p) / n * sum(y) / n AS y1, sum(s * y) / n - sum(s) / n * sum(y) / n AS y2, sum(i * y) / n - sum(i) / n * sum(y) / n AS y3, sum(y * y) / n - sum(y) / n * sum(y) / n AS yy
            FROM
            (
                SELECT
                    tenant, element_product, element_service, element_image, toFloat64(ifNull(element_product, 0)) AS p, toFloat64(ifNull(element_service, 0)) AS s,
                    toFloat64(ifNull(element_image, 0)) AS i, toFloat64(assumeNotNull(rating)) AS y
                FROM feedback_cuts
                WHERE rating IS NOT NULL AND ces IS NULL AND NOT hinted
                    AND (element_product IS NOT NULL OR element_service IS NOT NULL OR element_image IS NOT NULL)
            )
            GROUP BY tenant
        )
    )
)
