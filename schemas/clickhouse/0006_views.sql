-- What others read (the page, Grafana, a user's own tools): views whose columns keep their names and meanings, while the
-- tables below them may change. docs/connecting/clickhouse.md is made from the column lists here.

-- The figures of each message as the writer last measured them from `state_sets`. They are exact under replay, as the
-- sets are, and reading them costs the same for ten recipients and for ten million. Kept without a TTL: there is one
-- row per message, and the figures of a campaign outlive its details.
CREATE TABLE IF NOT EXISTS message_figures
(
    campaign FixedString(8),
    message UInt8,
    measured DateTime64(3, 'UTC') DEFAULT now64(3),
    targeted Int64,
    pending Int64,
    delayed Int64,
    queued Int64,
    in_flight Int64,
    unknown Int64,
    accepted Int64,
    rejected Int64,
    undelivered Int64,
    delivered Int64,
    skipped Int64,
    expired Int64,
    canceled Int64,
    reasons Nested(state LowCardinality(String), reason LowCardinality(String), recipients Int64),
    clicked Int64,
    clicked_delivered Int64,
    clicked_by_bots Int64,
    opted_out Int64,
    replied Int64,
    messages Int64,
    segments Int64,
    spend Int64,
    residual Int64,
    newest_at DateTime64(3, 'UTC'),
    inserted_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(measured)
ORDER BY (campaign, message);

CREATE OR REPLACE VIEW message_stats
(
    campaign FixedString(8) COMMENT 'Id of the campaign; `campaign = ''0000abcd''` finds it.',
    message UInt8 COMMENT 'Place of the message in the campaign, from 0.',
    targeted Int64 COMMENT 'Recipients of the frozen audience. Each is in exactly one of the twelve states that follow.',
    pending Int64 COMMENT 'Recipients of whom nothing is recorded yet.',
    delayed Int64 COMMENT 'Recipients who wait for a time: quiet hours, a retry.',
    queued Int64 COMMENT 'Recipients who are due and wait for the sender''s limit.',
    in_flight Int64 COMMENT 'Recipients who are being submitted.',
    unknown Int64 COMMENT 'Recipients whose message may or may not have reached the aggregator.',
    accepted Int64 COMMENT 'Recipients whose message the aggregator took, without a final receipt yet.',
    rejected Int64 COMMENT 'Recipients whose message the aggregator refused.',
    undelivered Int64 COMMENT 'Recipients to whom the carrier could not deliver, by a receipt.',
    delivered Int64 COMMENT 'Recipients to whom the message was delivered, by a receipt.',
    skipped Int64 COMMENT 'Recipients who were not to be sent to: opted out, smart sending and other reasons.',
    expired Int64 COMMENT 'Recipients whose deadline passed before their message was submitted.',
    canceled Int64 COMMENT 'Recipients whose message was canceled before it was submitted.',
    submitted Int64 COMMENT 'Recipients about whom the aggregator answered: accepted, rejected, undelivered or delivered.',
    clicked Int64 COMMENT 'Recipients who followed a link, each once.',
    clicked_delivered Int64 COMMENT 'Those of `clicked` to whom the message was delivered, by a receipt.',
    clicked_by_bots Int64 COMMENT 'Recipients whose link a preview or scanner opened, each once.',
    click_rate Nullable(Float64) COMMENT 'Share (0 to 1) of the delivered recipients who clicked; null while nobody is delivered.',
    opted_out Int64 COMMENT 'Recipients who opted out after the message.',
    replied Int64 COMMENT 'Recipients who wrote back otherwise.',
    messages Int64 COMMENT 'Messages that the aggregator took and bills, whatever a receipt said later.',
    segments Int64 COMMENT 'Segments of these messages.',
    spend Float64 COMMENT 'Their price in credits.',
    residual Int64 COMMENT 'Recipients who are in no state or in several; anything but 0 is a defect.',
    reasons Array(Tuple(state String, reason String, recipients Int64)) COMMENT 'How many recipients are in a state for which reason, those without a reason left out.',
    newest_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the newest status happened, UTC; null before the first.',
    inserted_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When ClickHouse took the newest status, UTC; null before the first.',
    measured Nullable(DateTime64(3, 'UTC')) COMMENT 'When these figures were measured, UTC; they are measured again whenever something changes.'
)
AS SELECT
    campaign, message, targeted, pending, delayed, queued, in_flight, unknown, accepted, rejected, undelivered, delivered,
    skipped, expired, canceled, accepted + rejected + undelivered + delivered AS submitted, clicked, clicked_delivered,
    clicked_by_bots, if(delivered > 0, clicked_delivered / delivered, NULL) AS click_rate, opted_out, replied, messages,
    segments, spend / 1000000 AS spend, residual,
    arrayZip(reasons.state, reasons.reason, reasons.recipients) AS reasons,
    nullIf(newest_at, toDateTime64(0, 3, 'UTC')) AS newest_at,
    nullIf(inserted_at, toDateTime64(0, 3, 'UTC')) AS inserted_at,
    nullIf(measured, toDateTime64(0, 3, 'UTC')) AS measured
FROM message_figures FINAL
COMMENT 'The figures of each message of each campaign: a row per message, once its audience is frozen.';

CREATE OR REPLACE VIEW campaign_overview
(
    campaign FixedString(8) COMMENT 'Id of the campaign; `campaign = ''0000abcd''` finds it.',
    name String COMMENT 'Name that a person gave it.',
    tags Array(LowCardinality(String)) COMMENT 'Its tags.',
    account LowCardinality(String) COMMENT 'Account that sends and pays.',
    sender LowCardinality(String) COMMENT 'Sender that people see.',
    status LowCardinality(String) COMMENT 'Status of the campaign: draft, scheduled, …, finished.',
    reason String COMMENT 'Why it has this status; empty where that goes without saying.',
    created DateTime64(3, 'UTC') COMMENT 'When it was created, UTC.',
    updated DateTime64(3, 'UTC') COMMENT 'When its document last changed, UTC.',
    launched Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was launched, UTC; null before that.',
    finished Nullable(DateTime64(3, 'UTC')) COMMENT 'When it came to its end, UTC; null before that.',
    targeted Int64 COMMENT 'Recipients of all its messages, as of their last measurement; so are the columns that follow.',
    pending Int64 COMMENT 'Recipients of whom nothing is recorded yet.',
    delayed Int64 COMMENT 'Recipients who wait for a time: quiet hours, a retry.',
    queued Int64 COMMENT 'Recipients who are due and wait for the sender''s limit.',
    in_flight Int64 COMMENT 'Recipients who are being submitted.',
    unknown Int64 COMMENT 'Recipients whose message may or may not have reached the aggregator.',
    accepted Int64 COMMENT 'Recipients whose message the aggregator took, without a final receipt yet.',
    rejected Int64 COMMENT 'Recipients whose message the aggregator refused.',
    undelivered Int64 COMMENT 'Recipients to whom the carrier could not deliver, by a receipt.',
    delivered Int64 COMMENT 'Recipients to whom the message was delivered, by a receipt.',
    skipped Int64 COMMENT 'Recipients who were not to be sent to: opted out, smart sending and other reasons.',
    expired Int64 COMMENT 'Recipients whose deadline passed before their message was submitted.',
    canceled Int64 COMMENT 'Recipients whose message was canceled before it was submitted.',
    submitted Int64 COMMENT 'Recipients about whom the aggregator answered: accepted, rejected, undelivered or delivered.',
    clicked Int64 COMMENT 'Recipients who followed a link, each once per message.',
    clicked_by_bots Int64 COMMENT 'Recipients whose link a preview or scanner opened, each once per message.',
    click_rate Nullable(Float64) COMMENT 'Share (0 to 1) of the delivered recipients who clicked; null while nobody is delivered.',
    opted_out Int64 COMMENT 'Recipients who opted out after the message.',
    replied Int64 COMMENT 'Recipients who wrote back otherwise.',
    messages Int64 COMMENT 'Messages that the aggregator took and bills, whatever a receipt said later.',
    segments Int64 COMMENT 'Segments of these messages.',
    spend Float64 COMMENT 'Their price in credits.',
    residual Int64 COMMENT 'Recipients who are in no state or in several; anything but 0 is a defect.',
    newest_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the newest status happened, UTC; null before the first.',
    measured Nullable(DateTime64(3, 'UTC')) COMMENT 'When the oldest of these figures was measured, UTC; null before the first.'
)
AS SELECT
    c.id AS campaign, c.name AS name, c.tags AS tags, c.account AS account, c.sender AS sender, c.status AS status,
    c.reason AS reason, c.created AS created, c.updated AS updated, c.launched AS launched, c.finished AS finished,
    f.targeted AS targeted, f.pending AS pending, f.delayed AS delayed, f.queued AS queued, f.in_flight AS in_flight,
    f.unknown AS unknown, f.accepted AS accepted, f.rejected AS rejected, f.undelivered AS undelivered,
    f.delivered AS delivered, f.skipped AS skipped, f.expired AS expired, f.canceled AS canceled,
    f.accepted + f.rejected + f.undelivered + f.delivered AS submitted, f.clicked AS clicked,
    f.clicked_by_bots AS clicked_by_bots, if(f.delivered > 0, f.clicked_delivered / f.delivered, NULL) AS click_rate,
    f.opted_out AS opted_out, f.replied AS replied, f.messages AS messages, f.segments AS segments,
    f.spend / 1000000 AS spend, f.residual AS residual,
    nullIf(f.newest_at, toDateTime64(0, 3, 'UTC')) AS newest_at,
    nullIf(f.measured, toDateTime64(0, 3, 'UTC')) AS measured
FROM campaigns AS c FINAL
LEFT JOIN
(
    SELECT campaign, sum(m.targeted) AS targeted, sum(m.pending) AS pending, sum(m.delayed) AS delayed,
        sum(m.queued) AS queued, sum(m.in_flight) AS in_flight, sum(m.unknown) AS unknown, sum(m.accepted) AS accepted,
        sum(m.rejected) AS rejected, sum(m.undelivered) AS undelivered, sum(m.delivered) AS delivered,
        sum(m.skipped) AS skipped, sum(m.expired) AS expired, sum(m.canceled) AS canceled, sum(m.clicked) AS clicked,
        sum(m.clicked_delivered) AS clicked_delivered, sum(m.clicked_by_bots) AS clicked_by_bots,
        sum(m.opted_out) AS opted_out, sum(m.replied) AS replied, sum(m.messages) AS messages,
        sum(m.segments) AS segments, sum(m.spend) AS spend, sum(m.residual) AS residual, max(m.newest_at) AS newest_at,
        min(m.measured) AS measured
    FROM message_figures AS m FINAL GROUP BY campaign
) AS f ON c.id = f.campaign
COMMENT 'Every campaign with its status, and the figures of all its messages added up: a row per campaign.';

CREATE OR REPLACE VIEW failure_reasons
(
    campaign FixedString(8) COMMENT 'Id of the campaign.',
    message UInt8 COMMENT 'Place of the message in the campaign, from 0.',
    account LowCardinality(String) COMMENT 'Account of the campaign.',
    sender LowCardinality(String) COMMENT 'Sender of the campaign.',
    state LowCardinality(String) COMMENT 'State without a delivery: unknown, rejected, undelivered, skipped, expired or canceled.',
    reason LowCardinality(String) COMMENT 'Why, a word of the list of reasons; what varies follows a colon.',
    recipients Int64 COMMENT 'Recipients who are in this state for this reason now.',
    share Float64 COMMENT 'Their share (0 to 1) of the targeted recipients of the message.'
)
AS SELECT
    f.campaign AS campaign, f.message AS message, c.account AS account, c.sender AS sender, f.why_state AS state,
    f.why AS reason, f.recipients AS recipients, if(f.targeted > 0, f.recipients / f.targeted, 0) AS share
FROM
(
    SELECT campaign, message, targeted, r.state AS why_state, r.reason AS why, r.recipients AS recipients
    FROM message_figures FINAL ARRAY JOIN reasons AS r
    WHERE why != '' AND why_state IN ('unknown', 'rejected', 'undelivered', 'skipped', 'expired', 'canceled')
) AS f
LEFT JOIN (SELECT id, account, sender FROM campaigns FINAL) AS c ON c.id = f.campaign
COMMENT 'Why messages did not arrive: a row per message, state and reason.';

CREATE OR REPLACE VIEW account_usage
(
    account LowCardinality(String) COMMENT 'Account that sends and pays.',
    day Date COMMENT 'Day of the campaigns'' launch, UTC.',
    campaigns UInt64 COMMENT 'Campaigns that were launched on that day.',
    targeted Int64 COMMENT 'Recipients of their messages.',
    messages Int64 COMMENT 'Messages that aggregators took and bill, whatever a receipt said later and whenever they were sent.',
    segments Int64 COMMENT 'Segments of these messages.',
    spend Float64 COMMENT 'Their price in credits.',
    delivered Int64 COMMENT 'Recipients to whom a message was delivered.',
    opted_out Int64 COMMENT 'Recipients who opted out after a message.'
)
AS SELECT
    c.account AS account, toDate(assumeNotNull(c.launched)) AS day, count() AS campaigns, sum(f.targeted) AS targeted,
    sum(f.messages) AS messages, sum(f.segments) AS segments, sum(f.spend) / 1000000 AS spend,
    sum(f.delivered) AS delivered, sum(f.opted_out) AS opted_out
FROM campaigns AS c FINAL
LEFT JOIN
(
    SELECT campaign, sum(m.targeted) AS targeted, sum(m.messages) AS messages, sum(m.segments) AS segments,
        sum(m.spend) AS spend, sum(m.delivered) AS delivered, sum(m.opted_out) AS opted_out
    FROM message_figures AS m FINAL GROUP BY campaign
) AS f ON c.id = f.campaign
WHERE c.launched IS NOT NULL
GROUP BY account, day
COMMENT 'What accounts used: a row per account and day of launch.';

-- Rows of the log are counted by their lengths, no ordinal is read. What was inserted twice has the same hash and counts
-- once; two of a million rows share one by chance in one of 10^7 campaigns.
CREATE OR REPLACE VIEW campaign_minutes
(
    campaign FixedString(8) COMMENT 'Id of the campaign.',
    message UInt8 COMMENT 'Place of the message in the campaign, from 0.',
    minute DateTime('UTC') COMMENT 'The minute in which it happened, UTC.',
    state LowCardinality(String) COMMENT 'State that recipients came into, or clicked, opted_out, replied; acknowledged is a receipt that only says accepted.',
    recipients UInt64 COMMENT 'How often a recipient came into it. Statuses that a restarted process says again at another time count again.',
    segments UInt64 COMMENT 'Segments of what was accepted or unknown; 0 for other states.'
)
AS SELECT
    campaign, message, minute,
    toLowCardinality(transform(toString(said),
        ['receipt_accepted', 'receipt_rejected', 'receipt_undelivered', 'receipt_delivered', 'withdrawn', 'passed_over'],
        ['acknowledged', 'rejected', 'undelivered', 'delivered', 'canceled', 'skipped'], toString(said))) AS state,
    sum(size) AS recipients, sum(size * if(said IN ('accepted', 'unknown'), parts, 0)) AS segments
FROM
(
    SELECT campaign, message, toStartOfMinute(at, 'UTC') AS minute,
        cityHash64(at, state, reason, attempt, segments, low, high, length(ordinals)) AS hash,
        any(status_log.state) AS said, any(status_log.segments) AS parts,
        any(if(last > first, toUInt64(last - first), length(ordinals))) AS size
    FROM status_log
    GROUP BY campaign, message, minute, hash
)
GROUP BY campaign, message, minute, state
COMMENT 'What happened in each minute, for rates: a row per message, minute and state.';

-- One page of recipients: those with ordinals from `first` to before `last`, which bounds the engine's memory. The order of states is that of
-- schemas/succession.py: a receipt counts only for whom a lane submitted, of several states the highest is the current.
CREATE OR REPLACE VIEW recipient_states
(
    number UInt64 COMMENT 'Phone number in E.164 without `+`: personal data.',
    ordinal UInt32 COMMENT 'Place of the recipient in the frozen audience, from 0.',
    country LowCardinality(String) COMMENT 'Country of the number, ISO 3166; empty where it is not known.',
    state String COMMENT 'State in which the recipient is now.',
    reason String COMMENT 'Why, a word of the list of reasons; empty where that goes without saying.',
    segments UInt8 COMMENT 'Segments of the message that was submitted; 0 before.',
    spend Float64 COMMENT 'Their price in credits, billed unless the aggregator did not take the message.',
    aggregator_id String COMMENT 'Id that the aggregator gave the message; empty where there is none.',
    submitted_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was first submitted, UTC; null for never, as in the columns that follow.',
    delivered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was delivered, UTC.',
    clicked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its link was first opened, by a person or a bot, UTC.',
    opted_out_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the recipient opted out after it, UTC.',
    changed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When anything last happened to it, UTC.'
)
AS WITH
    (
        SELECT (revision, argMin((attempt, recipients), (frozen, attempt))) FROM audiences
        WHERE campaign = {campaign:String} GROUP BY revision ORDER BY revision DESC LIMIT 1
    ) AS chosen
SELECT
    a.number AS number, a.ordinal AS ordinal, a.country AS country,
    if(s.highest.2 = '', 'pending', s.highest.2) AS state, s.highest.4 AS reason,
    s.billed.1 AS segments, s.billed.1 * s.billed.2 / 1000000 AS spend, s.aggregator_id AS aggregator_id,
    s.submitted_at AS submitted_at, s.delivered_at AS delivered_at, s.clicked_at AS clicked_at,
    s.opted_out_at AS opted_out_at, s.changed_at AS changed_at
FROM
(
    SELECT ordinal, number, country FROM audience
    WHERE campaign = {campaign:String} AND revision = chosen.1 AND attempt = chosen.2.1 AND ordinal < chosen.2.2
        AND ordinal >= {first:UInt32} AND ordinal < {last:UInt32}
) AS a
LEFT JOIN
(
    SELECT ordinal, countIf(said IN ('unknown', 'accepted', 'rejected')) > 0
            AND countIf(said IN ('skipped', 'expired', 'canceled')) = 0 AS taken,
        minIf((-rank, shown, reason = '', reason), shown NOT IN ('clicked', 'opted_out', 'replied')) AS with_receipts,
        minIf((-rank, shown, reason = '', reason), shown NOT IN ('clicked', 'opted_out', 'replied')
            AND NOT startsWith(said, 'receipt_')) AS by_lane,
        if(taken, with_receipts, by_lane) AS highest,
        argMaxIf((segments, price), rank, segments > 0) AS billed,
        maxIf(id, shown != 'skipped') AS aggregator_id,
        minOrNullIf(at, said IN ('unknown', 'accepted', 'rejected')) AS submitted_at,
        if(taken, minOrNullIf(at, shown = 'delivered'), minOrNullIf(at, said = 'delivered')) AS delivered_at,
        minOrNullIf(at, said = 'clicked') AS clicked_at,
        minOrNullIf(at, said = 'opted_out') AS opted_out_at,
        maxOrNull(at) AS changed_at
    FROM
    (
        SELECT toString(state) AS said, toString(reason) AS reason, segments, price, at,
            transform(said, ['withdrawn', 'passed_over', 'acknowledged', 'receipt_accepted', 'receipt_rejected',
                'receipt_undelivered', 'receipt_delivered'],
                ['canceled', 'skipped', 'accepted', 'accepted', 'rejected', 'undelivered', 'delivered'], said) AS shown,
            toInt64(transform(said, ['withdrawn', 'passed_over', 'delayed', 'queued', 'in_flight', 'unknown', 'skipped',
                'expired', 'canceled', 'acknowledged', 'receipt_accepted', 'accepted', 'rejected', 'receipt_rejected',
                'undelivered', 'receipt_undelivered', 'delivered', 'receipt_delivered'],
                [0, 1, 2, 3, 4, 5, 1000000, 1000001, 1000002, 1000003, 1000003, 1000004, 1000005, 1000005, 1000006,
                1000006, 1000007, 1000007], 0)
                + if(said IN ('delayed', 'queued', 'in_flight', 'unknown'), attempt * 4, 0)) AS rank,
            if(last > first, range(first, last), ordinals) AS members,
            arrayJoin(arrayFilter(
                pair -> pair.1 >= {first:UInt32} AND pair.1 < {last:UInt32},
                arrayZip(members, arrayResize(ids, length(members))))) AS pair,
            pair.1 AS ordinal, pair.2 AS id
        FROM status_log
        WHERE campaign = {campaign:String} AND message = {message:UInt8}
            AND low < {last:UInt32} AND high >= {first:UInt32}
    )
    GROUP BY ordinal
) AS s ON a.ordinal = s.ordinal
COMMENT 'Who got what: a row per recipient of one message, in pages. It has parameters, as the example shows.';
