"""Why a text is not taken as a phone number: closed reasons, each with what it means and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Refusal = Literal[
    "missing_number", "not_a_number", "letters", "several_numbers", "extension", "digits_lost", "no_country",
    "ambiguous", "not_possible", "not_valid", "premium_rate",
]  # fmt: skip

WORDS: Final[Mapping[Refusal, str]] = {
    "missing_number": "there is no number",
    "not_a_number": "this is not a phone number",
    "letters": "there are letters in the number: write its digits only",
    "several_numbers": "there is more than one number: leave the one that takes texts",
    "extension": "there is an extension, which texts cannot reach: write the number of a phone that takes texts",
    "digits_lost": "a spreadsheet or a program has rounded the number, so digits are lost: take it from its "
    "source again, as text",
    "no_country": "the number has no + and its country is not known: write it with + and country code, or give its "
    "country (--region)",
    "ambiguous": "without + the number can be read as national and as international, and these are two people: write "
    "it with + and country code, or say which it is (--numbers national or --numbers international)",
    "not_possible": "the number has too few or too many digits, or no such country code",
    "not_valid": "no such number is in use in that country",
    "premium_rate": "the number is a premium or shared-cost one: whoever answers there is paid by the sender",
}
