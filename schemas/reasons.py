"""Every reason that a recipient, campaign, number, line of a file or dead letter can have, with its meaning.

A reason is written as `NAME`, or as `NAME:DETAIL` where its meaning has a `detail`: an HTTP status, a code of the
aggregator's, the name of a bot. `written` makes that text, `split` takes it apart, `in_words` says it to people. All
that shows or stores a reason reads this table: the page, the command line, the API, exports, docs and tests.

`python -m schemas.reasons` prints the table of the docs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Reason(StrEnum):
    """The closed list. `MEANINGS` has one entry for each, in the same order."""

    # Of those whom eligibility skips, as in `_REASONS` of pipeline/eligibility/decide.py: where several apply, the
    # first in this order is given.
    INVALID_NUMBER = "invalid_number"
    OPTED_OUT = "opted_out"
    HELD_FOR_REVIEW = "held_for_review"
    UNREACHABLE = "unreachable"
    EMPTY_TEXT = "empty_text"
    TOO_MANY_SEGMENTS = "too_many_segments"
    UNKNOWN_ZONE = "unknown_zone"
    LOCAL_TIME_PASSED = "local_time_passed"
    NO_ALLOWED_HOURS = "no_allowed_hours"
    NO_PRICE = "no_price"
    SMART_SENDING = "smart_sending"
    LEGAL_CAP = "legal_cap"
    ACCOUNT_CAP = "account_cap"
    # Of those who are in a lane.
    UNREADABLE = "unreadable"
    QUIET_HOURS = "quiet_hours"
    CARRIER_DAY = "carrier_day"
    DEADLINE = "deadline"
    TOO_LATE = "too_late"
    HELD_BACK = "held_back"
    HANDED_OVER = "handed_over"
    CAMPAIGN_CANCELED = "campaign_canceled"
    # Of a submission that certainly was not processed.
    THROTTLED = "throttled"
    AGGREGATOR_AWAY = "aggregator_away"
    NOT_WRITTEN_IN_TIME = "not_written_in_time"
    NO_FREE_CONNECTION = "no_free_connection"
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    DNS = "dns"
    TLS = "tls"
    BAD_URL = "bad_url"
    NOT_SENT = "not_sent"
    PAYMENT_REQUIRED = "payment_required"
    NOT_SEEN = "not_seen"
    NOT_SENT_BY_LOST_OWNER = "not_sent_by_lost_owner"
    # Of a submission that may have been processed, or was refused.
    HTTP = "http"
    NO_ANSWER = "no_answer"
    CONNECTION_LOST = "connection_lost"
    BAD_ANSWER = "bad_answer"
    NO_CONTENT = "no_content"
    NOT_IN_ANSWER = "not_in_answer"
    ANSWERED_TWICE = "answered_twice"
    UNDEFINED_STATUS = "undefined_status"
    CANNOT_TELL = "cannot_tell"
    NO_QUERY_URL = "no_query_url"
    NO_ANSWER_TO_QUERY = "no_answer_to_query"
    EARLIER_ATTEMPT_UNANSWERED = "earlier_attempt_unanswered"
    OWNER_LOST = "owner_lost"
    NOT_IN_RESULT = "not_in_result"
    ADAPTER_ERROR = "adapter_error"
    CANNOT_RENDER = "cannot_render"
    REFUSED = "refused"
    OPERATOR = "operator"
    OPERATOR_NOT_SENT = "operator_not_sent"
    # What carriers and aggregators say by a code (`schemas.carrier_codes`).
    CODE = "code"
    ABSENT_SUBSCRIBER = "absent_subscriber"
    BLOCKED = "blocked"
    UNKNOWN_NUMBER = "unknown_number"
    LANDLINE = "landline"
    NOT_A_MOBILE = "not_a_mobile"
    OPTED_OUT_AT_CARRIER = "opted_out_at_carrier"
    FILTERED = "filtered"
    UNKNOWN_ERROR = "unknown_error"
    EXPIRED_AT_CARRIER = "expired_at_carrier"
    DELETED_AT_CARRIER = "deleted_at_carrier"
    UNDELIVERABLE = "undeliverable"
    REJECTED_BY_CARRIER = "rejected_by_carrier"
    # Of statuses that figures leave out, and of clicks.
    NOT_COUNTED = "not_counted"
    PERSON = "person"
    BOT = "bot"
    # Of campaigns and of those who hold them.
    WAITING_FOR_CLICKHOUSE = "waiting_for_clickhouse"
    WAITING_FOR_AGGREGATOR = "waiting_for_aggregator"
    HELD_BY_SYSTEM = "held_by_system"
    EMPTY_AUDIENCE = "empty_audience"
    ACCOUNT_INACTIVE = "account_inactive"
    SENDER_REMOVED = "sender_removed"
    BALANCE_SHORT = "balance_short"
    TRIAL_LIMIT = "trial_limit"
    DOMAINS_USED_UP = "domains_used_up"
    NO_DOMAIN = "no_domain"
    # Why a text is not taken as a phone number.
    MISSING_NUMBER = "missing_number"
    NOT_A_NUMBER = "not_a_number"
    LETTERS = "letters"
    SEVERAL_NUMBERS = "several_numbers"
    EXTENSION = "extension"
    DIGITS_LOST = "digits_lost"
    NO_COUNTRY = "no_country"
    AMBIGUOUS = "ambiguous"
    NOT_POSSIBLE = "not_possible"
    NOT_VALID = "not_valid"
    PREMIUM_RATE = "premium_rate"
    # Why a line of a file is not taken, beside those.
    UNKNOWN_COUNTRY = "unknown_country"
    NO_SUCH_ZONE = "no_such_zone"
    WRONG_COLUMNS = "wrong_columns"
    MALFORMED = "malformed"
    # Of dead letters; those of receipts are counted under these names too.
    UNREADABLE_RECORD = "unreadable_record"
    STEP_FAILED = "step_failed"
    OUTPUT_REFUSED = "output_refused"
    ALERT_UNDELIVERED = "alert_undelivered"
    UNREADABLE_BODY = "unreadable_body"
    NOT_AN_OBJECT = "not_an_object"
    NO_TEXT = "no_text"
    FOREIGN_ID = "foreign_id"
    UNKNOWN_STATUS = "unknown_status"
    NEVER_LAUNCHED = "never_launched"
    NO_SUCH_MESSAGE = "no_such_message"
    NO_SUCH_RECIPIENT = "no_such_recipient"
    OTHER_AGGREGATOR = "other_aggregator"
    NEVER_SUBMITTED = "never_submitted"


Kind = Literal["recipient", "click", "campaign", "number", "line", "dead letter"]
"""What has the reason. `number`: a text that is not taken as a phone number, in a file, a form or a request."""
KINDS: Final[Mapping[Kind, str]] = {
    "recipient": "Reasons of recipients: shown with their state by the page, `campaign show`, `explain` and exports.",
    "click": "Who followed a link: only people count as clicks.",
    "campaign": "Why a campaign waits, is held, or became a draft again.",
    "number": "Why a text is not taken as a phone number, in files, forms and requests.",
    "line": "Why a line of a file is rejected, beside the reasons of its number.",
    "dead letter": "Why something was set aside: `longwave dead-letters list`.",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason means: the states that its subject can be in, a sentence for operators, and what they can do (""
    where there is nothing to do). `detail`: what follows the name after a colon, "" where nothing does; the sentence
    may have it as `{detail}`."""

    kind: Kind
    states: tuple[str, ...]
    sentence: str
    todo: str = ""
    detail: str = ""


_SKIPPED: Final = ("skipped",)
_WAITING: Final = ("delayed", "queued")
_ANSWERED: Final = ("delayed", "queued", "unknown", "rejected")
"""States after an answer about a whole request: which of them, the status of the answer decides."""
_UNSURE: Final = ("unknown", "delayed", "queued")
"""States of whose message may have arrived: they wait again where the campaign's policy is to resend."""
_FAILED: Final = ("rejected", "undelivered")
_HELD: Final = ("sending", "suspended", "paused")


def _recipient(states: tuple[str, ...], sentence: str, todo: str = "", detail: str = "") -> Meaning:
    return Meaning("recipient", states, sentence, todo, detail)


def _number(sentence: str, todo: str = "") -> Meaning:
    return Meaning("number", (), sentence, todo)


def _letter(sentence: str, todo: str = "") -> Meaning:
    return Meaning("dead letter", (), sentence, todo)


_R: Final = Reason
_MEND: Final = "correct the aggregator's settings; the messages wait until then"
_ASK: Final = "ask the aggregator, then `longwave campaign resolve`"
_RECEIPT: Final = "check the callback URL and the aggregator's settings; such receipts are in no figure"

MEANINGS: Final[Mapping[Reason, Meaning]] = {
    _R.INVALID_NUMBER: _recipient(_SKIPPED, "the number is too short to be one", "correct the contact"),
    _R.OPTED_OUT: _recipient(_SKIPPED, "the recipient opted out"),
    _R.HELD_FOR_REVIEW: _recipient(
        _SKIPPED, "a text of theirs may be an opt-out: held until an operator has decided",
        "decide on the page's inbox or with `longwave optouts review`",
    ),
    _R.UNREACHABLE: _recipient(
        _SKIPPED, "a carrier said that this number cannot be reached", "`longwave contacts unreachable` lists them",
    ),
    _R.EMPTY_TEXT: _recipient(_SKIPPED, "the text would say nothing apart from the site's name", "edit the text"),
    _R.TOO_MANY_SEGMENTS: _recipient(
        _SKIPPED, "the text takes more segments than the account allows (max_segments)", "shorten the text",
    ),
    _R.UNKNOWN_ZONE: _recipient(
        _SKIPPED, "the recipient's time zone is not known, and the account skips such recipients",
        "give the contacts a time zone or a country",
    ),
    _R.LOCAL_TIME_PASSED: _recipient(
        _SKIPPED, "the local time had passed at the launch, and the campaign skips such recipients",
    ),
    _R.NO_ALLOWED_HOURS: _recipient(
        _SKIPPED, "no hour is allowed in all the time zones they may be in", "give the contacts a time zone",
    ),
    _R.NO_PRICE: _recipient(
        _SKIPPED, "the account's price list has no price for where they are",
        "add a price for the country, or for every other one (*)",
    ),
    _R.SMART_SENDING: _recipient(_SKIPPED, "smart sending: too close to another message"),
    _R.LEGAL_CAP: _recipient(_SKIPPED, "already sent as many messages in 24 hours as local law allows"),
    _R.ACCOUNT_CAP: _recipient(
        _SKIPPED, "as many messages as the account lets a recipient have in a day or a week",
    ),
    _R.UNREADABLE: _recipient(
        _SKIPPED, "the lane cannot read their part of the campaign", "see `longwave dead-letters list`",
    ),
    _R.QUIET_HOURS: _recipient(_WAITING, "quiet hours: no message at that local time"),
    _R.CARRIER_DAY: _recipient(_WAITING, "the carrier's segments of the day are used up"),
    _R.DEADLINE: _recipient(("expired",), "the campaign's deadline had passed"),
    _R.TOO_LATE: _recipient(
        ("expired",), "our machines or the aggregator were away for so long that it would have come later than the "
        "account allows", "`longwave campaign retry-failed` makes a draft to them",
    ),
    _R.HELD_BACK: _recipient(
        (*_WAITING, "canceled"), "the last check found the attempt too old, or the campaign not running",
    ),
    _R.HANDED_OVER: _recipient(_WAITING, "another worker took the lane over before it was submitted"),
    _R.CAMPAIGN_CANCELED: _recipient(("canceled",), "the campaign was canceled"),
    _R.THROTTLED: _recipient(_WAITING, "the aggregator asked to wait"),
    _R.AGGREGATOR_AWAY: _recipient(_WAITING, "the aggregator is not accepting messages"),
    _R.NOT_WRITTEN_IN_TIME: _recipient(_WAITING, "the request was not written in time after its last check"),
    _R.NO_FREE_CONNECTION: _recipient(_WAITING, "the aggregator is not answering on any of our connections"),
    _R.CONNECT: _recipient(_WAITING, "cannot connect to the aggregator", "check its address and the network"),
    _R.CONNECT_TIMEOUT: _recipient(_WAITING, "the aggregator did not accept a connection in time"),
    _R.DNS: _recipient(_WAITING, "the aggregator's host name was not found", "check its address and the name server"),
    _R.TLS: _recipient(_WAITING, "no encrypted connection to the aggregator", "check its certificate"),
    _R.BAD_URL: _recipient(_WAITING, "the aggregator's address cannot be used", _MEND),
    _R.NOT_SENT: _recipient(_WAITING, "the request did not leave"),
    _R.PAYMENT_REQUIRED: _recipient(_WAITING, "the balance at the aggregator is used up", "top it up there"),
    _R.NOT_SEEN: _recipient(_WAITING, "the aggregator says it never got it"),
    _R.NOT_SENT_BY_LOST_OWNER: _recipient(
        (*_WAITING, "rejected"), "the process that was to submit it stalled, and reported later that it had not "
        "submitted it",
        "`longwave campaign retry-failed` makes a draft to those who are rejected",
    ),
    _R.HTTP: _recipient(
        _ANSWERED, "the aggregator answered with HTTP status {detail}", "see the aggregator's log and settings",
        "the HTTP status",
    ),
    _R.NO_ANSWER: _recipient(_UNSURE, "the aggregator did not answer in time", _ASK),
    _R.CONNECTION_LOST: _recipient(_UNSURE, "the connection broke before the aggregator answered", _ASK),
    _R.BAD_ANSWER: _recipient(_UNSURE, "the aggregator's answer cannot be read", _ASK),
    _R.NO_CONTENT: _recipient(_UNSURE, "the aggregator's answer is empty", _ASK),
    _R.NOT_IN_ANSWER: _recipient(_UNSURE, "the aggregator's answer does not name the message", _ASK),
    _R.ANSWERED_TWICE: _recipient(_UNSURE, "the aggregator's answer contradicts itself about the message", _ASK),
    _R.UNDEFINED_STATUS: _recipient(
        _UNSURE, "the aggregator answered with a status that is not in its protocol", _ASK,
    ),
    _R.CANNOT_TELL: _recipient(("unknown",), "the aggregator was asked and does not know", _ASK),
    _R.NO_QUERY_URL: _recipient(
        ("unknown",), "the aggregator cannot be asked what became of it", _ASK,
    ),
    _R.NO_ANSWER_TO_QUERY: _recipient(("unknown",), "the aggregator was asked for a day and did not answer", _ASK),
    _R.EARLIER_ATTEMPT_UNANSWERED: _recipient(
        ("unknown",), "the aggregator did not answer an attempt, and there was no other one", _ASK,
    ),
    _R.OWNER_LOST: _recipient(
        _UNSURE, "the process that submitted it ended before it knew the outcome", _ASK,
    ),
    _R.NOT_IN_RESULT: _recipient(("unknown",), "the outcome was not recorded; a defect, please report it", _ASK),
    _R.ADAPTER_ERROR: _recipient(_UNSURE, "the adapter failed; a defect, please report it", _ASK),
    _R.CANNOT_RENDER: _recipient(
        ("rejected",), "the text cannot be made: {detail}; a defect, please report it", "", "the error",
    ),
    _R.REFUSED: _recipient(("rejected",), "the aggregator refused it without a code"),
    _R.OPERATOR: _recipient(("accepted",), "an operator said that it was sent"),
    _R.OPERATOR_NOT_SENT: _recipient(("rejected",), "an operator said that it was not sent"),
    _R.CODE: _recipient(
        _FAILED, "code {detail} of the aggregator", "see the aggregator's list of codes", "the aggregator's code",
    ),
    _R.ABSENT_SUBSCRIBER: _recipient(_FAILED, "the phone was off or without coverage"),
    _R.BLOCKED: _recipient(_FAILED, "the recipient's phone or network blocks the message"),
    _R.UNKNOWN_NUMBER: _recipient(_FAILED, "the number is not in use"),
    _R.LANDLINE: _recipient(_FAILED, "the number is a landline"),
    _R.NOT_A_MOBILE: _recipient(_FAILED, "the number is not a mobile number"),
    _R.OPTED_OUT_AT_CARRIER: _recipient(
        _FAILED, "the recipient opted out at the carrier", "decide about the hold that this made",
    ),
    _R.FILTERED: _recipient(_FAILED, "the carrier filtered the message as unwanted", "check the text and the links"),
    _R.UNKNOWN_ERROR: _recipient(_FAILED, "the carrier gave no cause"),
    _R.EXPIRED_AT_CARRIER: _recipient(_FAILED, "the carrier could not deliver it in time"),
    _R.DELETED_AT_CARRIER: _recipient(_FAILED, "the carrier deleted it"),
    _R.UNDELIVERABLE: _recipient(_FAILED, "the carrier cannot deliver it"),
    _R.REJECTED_BY_CARRIER: _recipient(_FAILED, "the carrier rejected it"),
    _R.NOT_COUNTED: _recipient((), "about a message that was never submitted: it is in no figure"),
    _R.PERSON: Meaning("click", ("clicked",), "a person followed the link"),
    _R.BOT: Meaning("click", ("clicked",), "not a person: {detail}", "", "the machine, or what gave it away"),
    _R.WAITING_FOR_CLICKHOUSE: Meaning(
        "campaign", ("processing",), "waiting for ClickHouse: {detail}", "see `longwave doctor`", "what is wrong",
    ),
    _R.WAITING_FOR_AGGREGATOR: Meaning(
        "campaign", _HELD, "waiting for aggregator {detail}", "see the aggregator's own status page; nothing is lost",
        "its name, a colon, and the reason of the last failure or until when it is throttled",
    ),
    _R.HELD_BY_SYSTEM: Meaning("campaign", _HELD, "held by the system"),
    _R.EMPTY_AUDIENCE: Meaning(
        "campaign", ("draft",), "the audience is empty: its lists and numbers name nobody",
        "import contacts or edit it, then launch again",
    ),
    _R.ACCOUNT_INACTIVE: Meaning(
        "campaign", (*_HELD, "failed"), "the account {detail} is inactive or was removed, so nothing is sent for it",
        "set it active or add it again: what is held goes on by itself, what has failed can be duplicated",
        "the account's name",
    ),
    _R.SENDER_REMOVED: Meaning(
        "campaign", (*_HELD, "failed"), "the sender {detail} was removed, so nothing is sent from it",
        "add it again: what is held goes on by itself, what has failed can be duplicated",
        "the account's and the sender's name",
    ),
    _R.BALANCE_SHORT: Meaning(
        "campaign", ("draft", "suspended", "paused"), "the account's balance is short of {detail} credits for it",
        "top it up (`longwave balance top-up`): what is suspended goes on by itself, a draft can be launched again",
        "credits",
    ),
    _R.TRIAL_LIMIT: Meaning(
        "campaign", ("failed",), "it could take more segments than the account's trial has left",
        "end the trial (trial_segments) or send to fewer recipients, then duplicate it",
    ),
    _R.DOMAINS_USED_UP: Meaning(
        "campaign", _HELD, "all domains for {detail} have reached their limit, so messages with such a link wait",
        "add a domain or raise a limit (`longwave domains add`): what is held goes on by itself",
        "the kind of links and the account's name",
    ),
    _R.NO_DOMAIN: Meaning(
        "campaign", ("failed",), "there is no domain for {detail}, so nothing was sent",
        "add one (`longwave domains add`), then duplicate the campaign",
        "the kind of links and the account's name",
    ),
    _R.MISSING_NUMBER: _number("there is no number"),
    _R.NOT_A_NUMBER: _number("this is not a phone number"),
    _R.LETTERS: _number("there are letters in the number", "write its digits only"),
    _R.SEVERAL_NUMBERS: _number("there is more than one number", "leave the one that takes texts"),
    _R.EXTENSION: _number(
        "there is an extension, which texts cannot reach", "write the number of a phone that takes texts",
    ),
    _R.DIGITS_LOST: _number(
        "a spreadsheet or a program has rounded the number, so digits are lost",
        "take it from its source again, as text",
    ),
    _R.NO_COUNTRY: _number(
        "the number has no + and its country is not known",
        "write it with + and country code, or give its country (--region)",
    ),
    _R.AMBIGUOUS: _number(
        "without + the number can be read as national and as international, and these are two people",
        "write it with + and country code, or say which it is (--numbers national or --numbers international)",
    ),
    _R.NOT_POSSIBLE: _number("the number has too few or too many digits, or no such country code"),
    _R.NOT_VALID: _number("no such number is in use in that country"),
    _R.PREMIUM_RATE: _number(
        "the number is a premium or shared-cost one: messages to it are billed to the sender at a premium",
    ),
    _R.UNKNOWN_COUNTRY: Meaning("line", (), "the country is not known", "write its two letters or its name"),
    _R.NO_SUCH_ZONE: Meaning(
        "line", (), "the time zone is not known", "write it as America/New_York, or leave it empty",
    ),
    _R.WRONG_COLUMNS: Meaning("line", (), "the line does not have as many cells as the header"),
    _R.MALFORMED: Meaning(
        "line", (), "the line cannot be read",
        "look for a quotation mark that is not closed, or an unreadable character",
    ),
    _R.UNREADABLE_RECORD: _letter(
        "the record cannot be read, or contradicts what came before",
        "find out what wrote it, then replay or drop it",
    ),
    _R.STEP_FAILED: _letter("the step failed at it several times", "fix the cause, then replay it"),
    _R.OUTPUT_REFUSED: _letter(
        "Kafka or ClickHouse refuses what the step made of it", "see its error; then replay or drop it",
    ),
    _R.ALERT_UNDELIVERED: _letter(
        "an alert to an account's people was not delivered somewhere",
        "its error says where and why; mend that, then replay it: only who did not get it is tried again",
    ),
    _R.UNREADABLE_BODY: _letter("the body of a request cannot be read", "ask the aggregator; then drop it"),
    _R.NOT_AN_OBJECT: _letter("an item of a request is not a JSON object", _RECEIPT),
    _R.NO_TEXT: _letter("an inbound text has no text", "ask the aggregator; then drop it"),
    _R.FOREIGN_ID: _letter("a receipt's id is not one of our message ids", _RECEIPT),
    _R.UNKNOWN_STATUS: _letter("a receipt's status is not one that we know", _RECEIPT),
    _R.NEVER_LAUNCHED: _letter("a receipt is of a campaign that was never launched", _RECEIPT),
    _R.NO_SUCH_MESSAGE: _letter("a receipt is of a message that the campaign does not have", _RECEIPT),
    _R.NO_SUCH_RECIPIENT: _letter("a receipt is of a recipient that the campaign does not have", _RECEIPT),
    _R.OTHER_AGGREGATOR: _letter("a receipt comes from an aggregator that does not carry the campaign", _RECEIPT),
    _R.NEVER_SUBMITTED: _letter("a receipt of failure is of a message that no lane ever submitted", _RECEIPT),
}  # fmt: skip

_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
_LONGEST_DETAIL: Final = 200


def written(reason: Reason, detail: str) -> str:
    """`NAME:DETAIL`, the form in which a reason with a detail is stored; what is not ASCII is "_", 200 characters are
    kept."""
    return f"{reason}:{_UNSAFE.sub('_', detail[:_LONGEST_DETAIL])}"


def split(text: str) -> tuple[Reason | None, str]:
    """The reason and the detail of a stored text; None where it is none of the list."""
    name, _, detail = text.partition(":")
    try:
        return Reason(name), detail
    except ValueError:
        return None, detail


def label_of(text: str) -> str:
    """The name of a stored reason without its detail, as a label of metrics: one of the closed list, else `other`."""
    reason, _ = split(text)
    return "other" if reason is None else str(reason)


def is_reason(text: str) -> bool:
    """Whether a stored text is of the list and of its form: "" is no reason."""
    reason, detail = split(text)
    return reason is not None and bool(MEANINGS[reason].detail) == bool(detail)


def in_words(text: str) -> str:
    """The sentence for a stored text, without what to do. "" for ""; a text that is not of the list is its own."""
    reason, detail = split(text)
    return text if reason is None else MEANINGS[reason].sentence.format(detail=detail)


def with_remedy(text: str) -> str:
    """The sentence for a stored text and, where there is something to do, that."""
    reason, _ = split(text)
    todo = MEANINGS[reason].todo if reason is not None else ""
    return f"{in_words(text)}: {todo}" if todo else in_words(text)


def of_kind(*kinds: Kind) -> frozenset[Reason]:
    """The reasons of some kinds."""
    return frozenset(reason for reason, meaning in MEANINGS.items() if meaning.kind in kinds)


UNREACHABLE_REASONS: Final = (
    Reason.LANDLINE,
    Reason.UNKNOWN_NUMBER,
    Reason.NOT_A_MOBILE,
    Reason.OPTED_OUT_AT_CARRIER,
)
"""Reasons of failures that make a number unreachable."""


def reasons_markdown() -> str:
    """The table of the docs, one section for each kind."""
    return "\n\n".join(f"## {kind.capitalize()}\n\n{about}\n\n{_table(kind)}" for kind, about in KINDS.items()) + "\n"


def _table(kind: Kind) -> str:
    rows = [_row(reason, meaning) for reason, meaning in MEANINGS.items() if meaning.kind == kind]
    return "\n".join(["| reason | states | meaning | what to do |", "|---|---|---|---|", *rows])


def _row(reason: Reason, meaning: Meaning) -> str:
    name = f"`{reason}:…`" if meaning.detail else f"`{reason}`"
    sentence = meaning.sentence.format(detail="…")
    about = f" (after the colon: {meaning.detail})" if meaning.detail else ""
    return f"| {name} | {', '.join(meaning.states)} | {sentence}{about} | {meaning.todo} |"


if __name__ == "__main__":
    print(reasons_markdown(), end="")
