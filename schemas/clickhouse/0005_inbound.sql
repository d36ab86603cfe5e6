-- What people wrote to our senders, and what it was taken for (stop, start, help, other). A text that the aggregator
-- says again is the same row. `evidence` is what a consent keeps of it, so that the two are found by each other.
CREATE TABLE IF NOT EXISTS inbound
(
    number UInt64,
    sender String,
    id String,
    at DateTime64(3, 'UTC'),
    intent LowCardinality(String),
    text String,
    evidence String
)
ENGINE = ReplacingMergeTree
ORDER BY (number, sender, id);
