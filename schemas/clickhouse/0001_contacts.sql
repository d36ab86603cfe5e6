-- Contacts, lists and the frozen audiences. `bucket` is schemas.ids.bucket(number).
CREATE TABLE contacts
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

CREATE TABLE list_members
(
    list LowCardinality(String),
    bucket UInt16,
    number UInt64,
    added DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(added)
ORDER BY (list, bucket, number);

-- `fields` are the values of the attributes that the campaign's templates use, in the order of `audiences.fields`.
CREATE TABLE audience
(
    campaign FixedString(8),
    revision UInt32,
    ordinal UInt32,
    number UInt64,
    country LowCardinality(String),
    region LowCardinality(String),
    zone LowCardinality(String),
    fields Array(String)
)
ENGINE = MergeTree
ORDER BY (campaign, revision, ordinal);

-- One row per completed freeze; a freeze without one is torn and is done again under a new revision.
CREATE TABLE audiences
(
    campaign FixedString(8),
    revision UInt32,
    recipients UInt32,
    fields Array(String),
    frozen DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(frozen)
ORDER BY (campaign, revision);
