-- One migrator at a time, on a server that several processes may migrate at once (a single machine has the lock of its
-- data directory besides). A migrator first writes its own claim and only then looks at the claims of others: of two that
-- come together, at least the later one sees the other, withdraws and waits. Both may withdraw, never may both go on. A
-- claim lapses by the store's own clock, so that a migrator that died holds nobody up for long.
CREATE TABLE IF NOT EXISTS schema_lock
(
    owner String COMMENT 'Random name of the migrator.',
    until DateTime64(3, 'UTC') COMMENT 'When the claim lapses; in the past: withdrawn.',
    claimed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was written, by the clock of the store; the newest row of an owner counts.'
)
ENGINE = MergeTree
ORDER BY (owner, claimed_at)
TTL toDateTime(claimed_at) + INTERVAL 1 DAY
COMMENT 'Claims of migrators on this database.'
