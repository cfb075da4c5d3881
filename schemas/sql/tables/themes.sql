-- The themes that were discovered in what customers say, and what people decided about them. Every change of a tenant's
-- themes is a whole new version of all of them, in one insert, which is there as a whole or not at all; a version that two
-- write at the same time is the one of whom came first, and the other is told. Rows are only added.
CREATE TABLE IF NOT EXISTS themes
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    version UInt32 COMMENT 'Counts the versions of the tenant\'s themes, from 1; the highest counts. The model of a row names the one it was labelled with, such as themes-3.',
    writer UUID COMMENT 'Random name of who wrote the version.',
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was written, by the clock of the store.',
    id String COMMENT 'Id of the theme; stays for ever.' CODEC(ZSTD(1)),
    name String COMMENT 'Name for people.' CODEC(ZSTD(1)),
    named Bool COMMENT 'A person gave the name.',
    phrases Array(String) COMMENT 'A text with one of them has the theme; none: a theme of the seeded taxonomy that a person changed.' CODEC(ZSTD(1)),
    hidden Bool COMMENT 'No text gets it any more.',
    merged_into String COMMENT 'Merged into this theme, which texts get instead; empty: not merged.' CODEC(ZSTD(1)),
    element LowCardinality(String) COMMENT 'What the mentions beside it are mostly about; empty: nothing in particular.',
    until Nullable(DateTime64(3, 'UTC')) COMMENT 'End of the last period when it was looked for; NULL: it never was.',
    customers UInt32 COMMENT 'Different customers who spoke of it, in the texts looked at.',
    recent UInt32 COMMENT 'Of these, in the last period.',
    before UInt32 COMMENT 'Of these, in the period before.',
    emergent Bool COMMENT 'More customers speak of it than before, by more than chance.',
    growth_low Float64 COMMENT 'Lower end of the 95 % interval of how many times the share of customers who speak of it has grown; 0: not known.',
    chance Float64 COMMENT 'Probability of such a growth by chance, corrected for the number of phrases looked at; 1: not known.',
    log_odds Float64 COMMENT 'z-score of its customers among the unhappy against the rest.'
)
ENGINE = MergeTree
ORDER BY (tenant, version, writer, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'History of discovered themes; read it through themes_current.'
