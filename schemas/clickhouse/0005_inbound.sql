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
    earliness UInt64 MATERIALIZED toUInt64(9999999999999 - toUnixTimestamp64Milli(received)),
    INDEX by_received received TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(earliness)
ORDER BY (number, sender, identity);

-- Which message a text or an opt-out link belongs to (`pipeline.attribution`); `campaign` "" where there is none. `item` is
-- the text's identity, or the place of the consent in its log.
CREATE TABLE IF NOT EXISTS attributed
(
    number UInt64,
    item String,
    event LowCardinality(String),
    campaign LowCardinality(String),
    message UInt8,
    ordinal UInt32,
    at DateTime64(3, 'UTC'),
    decided DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(decided)
ORDER BY (number, item);
