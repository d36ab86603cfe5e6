"""What spreadsheets, programs and people do to a number: right, or refused with its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.numbers.cleaning import clean
from pipeline.numbers.numbering import Accepted, read
from schemas.reasons import Reason, of_kind

ANNA = Accepted(43664123456, "AT")
SERVICES = Accepted(12127365000, "US")


@pytest.mark.parametrize(
    ("text", "country", "outcome"),
    [
        # a spreadsheet or a float has touched it
        ("'+43664123456", "", ANNA),
        ("'+43664123456.0", "", ANNA),
        ('="+43664123456"', "", ANNA),
        ('="+43664123456.00"', "", ANNA),
        ('"+43664123456"', "", ANNA),
        ("“+43664123456”", "", ANNA),
        ("=+43664123456", "", ANNA),
        ("+43664123456.0", "", ANNA),
        ("+43664123456,00", "", ANNA),
        ("+43664123456.", "", ANNA),
        ("0664123456.00", "AT", ANNA),
        ("+43,664,123,456.00", "", ANNA),
        ("+43.664.123.456,00", "", ANNA),
        ("2127365000.0", "US", SERVICES),
        ("2,127,365,000", "US", SERVICES),
        ("4.3664E+11", "AT", "digits_lost"),
        ("4,3664E+11", "AT", "digits_lost"),
        ("4.366412e+10", "AT", "digits_lost"),
        ("4.3664 E 11", "AT", "digits_lost"),
        ("43664123456.5", "AT", "not_a_number"),
        ("+43664123456.25", "", "not_a_number"),
        # invisible and unusual characters
        ("\u202a+43 664 123456\u202c", "", ANNA),
        ("\ufeff+43664123456", "", ANNA),
        ("+43\u00a0664\u202f123456", "", ANNA),
        ("+43\u2011664\u2013123456", "", ANNA),
        ("\uff0b\uff14\uff13664123456", "", ANNA),
        ("+\u0664\u0663\u0666\u0666\u0664\u0661\u0662\u0663\u0664\u0665\u0666", "", ANNA),
        ("+43664123456\r", "", ANNA),
        ("+43 664 12345\u00b2", "", "not_a_number"),
        # labels and usual separators
        ("tel:+43664123456", "", ANNA),
        ("Tel. +43 664 123456", "", ANNA),
        ("whatsapp:+43664123456", "", ANNA),
        ("0664/123456", "AT", ANNA),
        ("+43 664/123 456", "", ANNA),
        ("(0664) 123456", "AT", ANNA),
        ("(+43) 664 123456", "", ANNA),
        ("+43 (0)664 123456", "", ANNA),
        ("0043 664 123456", "", ANNA),
        ("212.736.5000", "US", SERVICES),
        # what is not part of the number
        ("0664 1234567/8", "AT", "several_numbers"),
        ("0664 1234567/68", "AT", "several_numbers"),
        ("0664/1234567/8", "AT", "several_numbers"),
        ("0664 1234567 / 0664 7654321", "AT", "several_numbers"),
        ("0664 1234567; 0664 7654321", "AT", "several_numbers"),
        ("0664 1234567, 0664 7654321", "AT", "several_numbers"),
        ("0664 1234567 or 0664 7654321", "AT", "several_numbers"),
        ("0664 1234567 und 0664 7654321", "AT", "several_numbers"),
        ("0664 1234567\n0664 7654321", "AT", "several_numbers"),
        ("+436641234567 +436647654321", "", "several_numbers"),
        ("030 123456 App 12", "DE", "extension"),
        ("030 123456-12", "DE", "extension"),
        ("030 123456 Durchwahl 12", "DE", "extension"),
        ("+1 212 736 5000 x12", "", "extension"),
        ("+1 212 736 5000 ext. 12", "", "extension"),
        ("+1 212 736 5000;ext=12", "", "extension"),
        ("+1 212 736 5000 #12", "", "extension"),
        ("01 23 45 67 89 poste 12", "FR", "extension"),
        ("1-800-FLOWERS", "US", "letters"),
        ("1-800-3569377 FLOWERS", "US", "letters"),
        ("O664 123456", "AT", "letters"),
        ("+43 664 123456 (Anna)", "", "letters"),
        ("*99#", "AT", "not_a_number"),
        ("ask her", "US", "not_a_number"),
        ("nan", "US", "not_a_number"),
        ("'", "US", "missing_number"),
        ('=""', "US", "missing_number"),
    ],
)
def test_what_others_did_to_a_number(text: str, country: str, outcome: Accepted | Reason) -> None:
    assert read(text, country) == outcome


NUMBERS = ("+43664123456", "0664123456", "33612345678", "2127365000", "0664 1234567")
AROUND = st.text(st.sampled_from("0123456789 +-./,;()'\"=xEeA&\u200b\u00a0\u0660\u00b2"), max_size=6)


@given(AROUND, st.sampled_from(NUMBERS), AROUND, st.sampled_from(["", "AT", "DE", "FR", "US"]))
def test_every_digit_of_an_accepted_number_is_in_its_text(before: str, number: str, after: str, country: str) -> None:
    """Nothing is invented: what was read ends with the text's own digits, less prefixes, before zeros of decimals."""
    text = before + number + after
    outcome = read(text, country)
    if isinstance(outcome, Accepted):
        written = "".join(str(int(c)) for c in text if c.isdecimal())
        national = str(outcome.number)[-6:]
        assert national in written
        assert len(str(outcome.number)) <= len(written) + 3


@given(st.text(max_size=300))
def test_a_cleaned_text_has_no_letters(text: str) -> None:
    cleaned = clean(text)
    assert cleaned in of_kind("number") or not any(c.isalpha() for c in cleaned)
