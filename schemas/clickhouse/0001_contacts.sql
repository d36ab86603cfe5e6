-- Contacts, lists and the frozen audiences. `bucket` is schemas.ids.bucket(number).
CREATE TABLE IF NOT EXISTS contacts
(
    number UInt64,
    bucket UInt16,
    country LowCardinality(String),
    region LowCardinality(String),
    zone LowCardinality(String),
    attributes Map(LowCardinality(String), String),
    updated DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(updated)
ORDER BY (bucket, number);

CREATE TABLE IF NOT EXISTS list_members
(
    list LowCardinality(String),
    bucket UInt16,
    number UInt64,
    added DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(added)
ORDER BY (list, bucket, number);

-- Each try at a freeze has an `attempt` of its own, so a torn one, or two at once, never mix their rows.
-- `fields` are the values of the attributes that the campaign's templates use, in the order of `audiences.fields`.
CREATE TABLE IF NOT EXISTS audience
(
    campaign FixedString(8),
    revision UInt32,
    attempt UInt64,
    ordinal UInt32,
    number UInt64,
    country LowCardinality(String),
    region LowCardinality(String),
    zone LowCardinality(String),
    fields Array(String),
    INDEX buckets bitShiftRight(toUInt64(number) * toUInt64(11400714819323198485), 52) TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (campaign, revision, attempt, ordinal);

-- One row per completed attempt. The first one of a revision is its audience for ever, a later one is never read.
CREATE TABLE IF NOT EXISTS audiences
(
    campaign FixedString(8),
    revision UInt32,
    attempt UInt64,
    recipients UInt32,
    fields Array(String),
    frozen DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (campaign, revision);
