-- What people wrote to our senders, and how it was read (stop, start, help, doubtful, other), with the word and rule that
-- decided. A text that the aggregator says again is the same row: `identity` names its sender, id and words. `number` is
-- 0 where the sender cannot be read; `person` has it as it came. `evidence` is what a consent keeps of a text, so that
-- the two are found by each other.
CREATE TABLE IF NOT EXISTS inbound
(
    number UInt64,
    person String,
    sender String,
    account LowCardinality(String),
    aggregator LowCardinality(String),
    id String,
    identity String,
    at DateTime64(3, 'UTC'),
    received DateTime64(3, 'UTC'),
    intent LowCardinality(String),
    word String,
    rule LowCardinality(String),
    notes Array(LowCardinality(String)),
    text String,
    evidence String,
    INDEX by_received received TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (number, sender, identity);
