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
        ("43664123456.125", "AT", "not_a_number"),
        ("+43664123456.0001", "", "not_a_number"),
        ("43664123456.1250", "", "not_a_number"),
        ("2127365000.333333", "US", "not_a_number"),
        ("43664123456.0000", "AT", ANNA),
        # capped by a database
        ("2147483647", "US", "digits_lost"),
        ("'2147483647", "US", "digits_lost"),
        ("2147483647.0", "US", "digits_lost"),
        ("-2147483648", "US", "digits_lost"),
        ("4294967295", "US", "digits_lost"),
        ("4294967295", "", "digits_lost"),
        ("+12147483647", "", Accepted(12147483647, "US")),
        ("(214) 748-3647", "US", Accepted(12147483647, "US")),
        ("2147483646", "US", Accepted(12147483646, "US")),
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
        ("0664 1234567 (8)", "AT", "several_numbers"),
        ("0664 1234567(68)", "AT", "several_numbers"),
        ("0664 1234567 [8]", "AT", "several_numbers"),
        ("0664 1234567 (8", "AT", "several_numbers"),
        ("0664 1234567 8)", "AT", "several_numbers"),
        ("+43 664 1234567 (8)", "", "several_numbers"),
        ("0043 664 1234567 (8)", "", "several_numbers"),
        ("0664 1234567 ~8", "AT", "several_numbers"),
        ("0664 1234567~8", "AT", "several_numbers"),
        ("0664 1234567·8", "AT", "several_numbers"),
        ("0151 2345678 (2)", "DE", "several_numbers"),
        ("+62 812 345 678 (9)", "", "several_numbers"),
        ("+43 664 123 45 67-8", "", "extension"),
        ("+43 664 123 45 67 - 8", "", "extension"),
        ("+43 664 123 45 67\u20118", "", "extension"),
        ("+62 812 345 678-9", "", "extension"),
        ("0664-123-45-67-8", "AT", "extension"),
        ("0664.123.4567.8", "AT", "extension"),
        ("030 1234-12", "DE", "extension"),
        ("0171 1234567..8", "DE", "extension"),
        ("0171 1234567..89", "DE", "several_numbers"),
        ("2) 0171 234567", "DE", "several_numbers"),
        ("(2) 0171 234567", "DE", "several_numbers"),
        ("[2] 0171 234567", "DE", "several_numbers"),
        ("2. 0171 234567", "DE", "several_numbers"),
        ("2: 0171 234567", "DE", "several_numbers"),
        ("2 - 0171 234567", "DE", "several_numbers"),
        ("2 0171 234567", "DE", "several_numbers"),
        ("12) 0171 2345678", "DE", "several_numbers"),
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


USUAL = {
    ("US", 12127365000): [
        "(212) 736-5000",
        "212-736-5000",
        "212.736.5000",
        "+1 (212) 736-5000",
        "1-212-736-5000",
        "1 (212) 736-5000",
        "+1-212-736-5000",
        "1.212.736.5000",
        "+1 212.736.5000",
        "(212)736-5000",
        "[212] 736-5000",
        "212 736 5000",
        "(212) 736 - 5000",
        "(1) 212 736 5000",
        "+1(212)7365000",
        "001 212 736 5000",
    ],
    ("GB", 447400123456): [
        "07400 123456",
        "07400-123456",
        "07400 123-456",
        "+44 (0)7400 123456",
        "+44 (0) 7400 123456",
        "0044 (0)7400 123456",
        "+44-7400-123456",
        "(07400) 123456",
        "+44.7400.123456",
        "44 (0)7400 123456",
        "07400/123456",
        "(+44) 7400 123 456",
    ],
    ("DE", 491712345678): [
        "0171 2345678",
        "0171/2345678",
        "0171-2345678",
        "(0171) 2345678",
        "+49 (0)171 2345678",
        "+49 (171) 2345678",
        "0049 (0) 171 2345678",
        "+49-171-2345678",
        "0171/234 56 78",
        "0171.2345678",
        "0171 23 45 67 8",
        "(+49) 171 2345678",
        "49 0171 2345678",
        "(49) 0171 2345678",
        "0171 - 234 56 78",
        "+49(0)171-2345678",
    ],
    ("FR", 33612345678): [
        "06 12 34 56 78",
        "06.12.34.56.78",
        "06-12-34-56-78",
        "+33 (0)6 12 34 56 78",
        "+33(0)612345678",
        "06. 12. 34. 56. 78",
        "(06) 12 34 56 78",
        "(+33) 6 12 34 56 78",
        "+33.6.12.34.56.78",
        "+33-6-12-34-56-78",
        "06 12 345 678",
        "0033(0)6 12 34 56 78",
    ],
    ("IT", 393331234567): [
        "333 1234567",
        "333-1234567",
        "333/1234567",
        "333.1234567",
        "+39 333 12 34 567",
        "333-123-4567",
        "+39-333-1234567",
        "0039 333 1234567",
        "333.123.4567",
        "(333) 1234567",
        "+39 (333) 1234567",
    ],
    ("BR", 5511987654321): [
        "(11) 98765-4321",
        "+55 (11) 98765-4321",
        "+55 11 (9) 8765-4321",
        "11 9.8765-4321",
        "+55 (11) 9 8765-4321",
    ],
    ("RU", 79161234567): ["+7 (916) 123-45-67", "+7 916 123-45-67", "+7(916)1234567"],
    ("TR", 905321234567): ["0 (532) 123 45 67", "0(532) 123 45 67", "+90 (532) 123 45 67"],
    ("BE", 32475123456): [
        "0475/12.34.56",
        "0475/12 34 56",
        "+32 (0)475 12 34 56",
        "0475-12-34-56",
        "+32 475/12.34.56",
    ],
    ("AT", 436641234567): ["0664/123 45 67", "+43 (0)664/1234567", "(0664) 123 45 67", "+43 (664) 1234567"],
    ("NL", 31612345678): ["06-12345678", "06 - 12345678", "+31 (0)6 12345678", "06-12 34 56 78"],
    ("IE", 353871234567): ["087 123 4567", "+353 (0)87 123 4567", "00353 (0)87 123 4567", "(087) 123 4567"],
    ("AU", 61412345678): ["0412 345 678", "+61 (0)412 345 678", "0412-345-678"],
    ("UA", 380671234567): ["+38 (067) 123-45-67", "067 123-45-67"],
    ("JP", 819012345678): ["090-1234-5678", "+81 (0)90-1234-5678"],
    ("AR", 5491123456789): ["011 15-2345-6789", "+54 9 (11) 2345-6789", "(011) 15 2345-6789"],
}


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [(text, country, number) for (country, number), texts in USUAL.items() for text in texts],
)
def test_usual_ways_to_write_a_number_stay_valid(text: str, country: str, number: int) -> None:
    assert read(text, country) == Accepted(number, country)


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
