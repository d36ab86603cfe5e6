-- What we answered to people's texts: the campaign, message and ordinal under which the lane sent it, and the text
-- that it answers. A repeated record is the same row.
CREATE TABLE IF NOT EXISTS replies
(
    campaign FixedString(8),
    message UInt8,
    ordinal UInt32,
    number UInt64,
    kind LowCardinality(String),
    account LowCardinality(String),
    sender LowCardinality(String),
    at DateTime64(3, 'UTC'),
    cause String,
    text String
)
ENGINE = ReplacingMergeTree
ORDER BY (campaign, message, ordinal);
