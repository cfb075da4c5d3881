-- The themes of each tenant as they are now: its newest version, and of two that wrote the same version the first.
CREATE OR REPLACE VIEW themes_current
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    version UInt32 COMMENT 'Version of the tenant\'s themes.',
    at DateTime64(6, 'UTC') COMMENT 'When it was written.',
    id String COMMENT 'Id of the theme.',
    name String COMMENT 'Name for people.',
    named Bool COMMENT 'A person gave the name.',
    phrases Array(String) COMMENT 'A text with one of them has the theme.',
    hidden Bool COMMENT 'No text gets it any more.',
    merged_into String COMMENT 'Theme that texts get instead; empty: not merged.',
    element LowCardinality(String) COMMENT 'What the mentions beside it are mostly about; empty: nothing in particular.',
    until Nullable(DateTime64(3, 'UTC')) COMMENT 'End of the last period when it was looked for; NULL: it never was.',
    customers UInt32 COMMENT 'Different customers who spoke of it, in the texts looked at.',
    recent UInt32 COMMENT 'Of these, in the last period.',
    before UInt32 COMMENT 'Of these, in the period before.',
    emergent Bool COMMENT 'More customers speak of it than before, by more than chance.',
    growth_low Float64 COMMENT 'Lower end of the 95 % interval of the growth of its share; 0: not known.',
    chance Float64 COMMENT 'Probability of such a growth by chance; 1: not known.',
    log_odds Float64 COMMENT 'z-score of its customers among the unhappy against the rest.'
)
AS
SELECT
    tenant, version, at, id, name, named, phrases, hidden, merged_into, element, until, customers, recent, before, emergent,
    growth_low, chance, log_odds
FROM themes
WHERE (tenant, version, writer) IN
(
    SELECT tenant, version, argMin(writer, (at, writer))
    FROM themes
    WHERE (tenant, version) IN (SELECT tenant, max(version) FROM themes GROUP BY tenant)
    GROUP BY tenant, version
)
