"""What other systems write for a name never goes out as it stands; what only resembles it does."""

from __future__ import annotations

import pytest

from pipeline.content.placeholders import find_foreign, find_in_link
from pipeline.content.template import Slot, TemplateError, parse

FOREIGN = {
    "{{first_name}}": "{first_name}",
    "{{ first_name }}": "{first_name}",
    "{{first name}}": "{first_name}",
    "{{ contact.first_name }}": "{first_name}",
    "{{ first_name | default: 'friend' }}": "{first_name|friend}",
    "{{ first_name | friend }}": "{first_name|friend}",
    "*|FNAME|*": "{first_name}",
    "[first_name]": "{first_name}",
    "[First Name]": "{first_name}",
    "[[name]]": "{name}",
    "[%name%]": "{name}",
    "%FNAME%": "{first_name}",
    "%DATE%": "{date}",
    "%%first_name%%": "{first_name}",
    "%recipient.city%": "{city}",
    "<<name>>": "{name}",
    "<name>": "{name}",
    "<%= name %>": "{name}",
    "${name}": "{name}",
    "@name@": "{name}",
    "#name#": "{name}",
    "__name__": "{name}",
    "[姓名]": "{姓名}",
    "[Prénom]": "{prénom}",
}


@pytest.mark.parametrize(("written", "spelling"), FOREIGN.items())
def test_a_placeholder_of_another_system_is_an_error_with_the_right_spelling(written: str, spelling: str) -> None:
    with pytest.raises(TemplateError, match="placeholder of another system") as caught:
        parse(f"Hi {written}, sale")
    assert caught.value.position == 3
    assert written in caught.value.what
    assert f"write {spelling} for the attribute" in caught.value.remedy
    # Both remedies work.
    parse(f"Hi {spelling}, sale")
    kept = caught.value.remedy.rpartition(", or ")[2].removesuffix(" for just these characters")
    if not written.startswith("$"):
        assert parse(f"Hi {kept}, sale") == (f"Hi {written}, sale",)


@pytest.mark.parametrize(
    "text",
    [
        "50% off, 20% more",
        "100%",
        "a@b.example and c@d.example",
        "I <3 you, 1 < 2 > 1",
        "#1 and #2 #sale",
        "<b>bold</b> <br> <img src=x>",
        "[1] (name) 《name》 【name】",
        "* | *",
        "$5 {price} order #{order}",
        "snake_case_name",
        r"\[today] \{\{x\}\} \*|X|* \%X% \<x> \#x# \@x@ \__x__",
    ],
)
def test_ordinary_text_has_no_placeholder(text: str) -> None:
    assert find_foreign(text) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://shop.example/?p={phone}", "{phone}"),
        ("https://shop.example/?p=%7Bphone%7D", "{phone}"),
        ("https://shop.example/?p=%7B%7B%20phone%20%7D%7D", "{{ phone }}"),
        ("https://shop.example/?e=*%7CEMAIL%7C*", "*|EMAIL|*"),
        ("https://shop.example/?n=%3Cname%3E", "<name>"),
        ("https://shop.example/?n=${name}", "${name}"),
        ("https://shop.example/?n=%FNAME%", "%FNAME%"),
        ("https://shop.example/?n={name|you}", "{name|you}"),
    ],
)
def test_a_placeholder_in_a_links_address(address: str, expected: str) -> None:
    assert find_in_link(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/a?filter[color]=red#top",
        "https://shop.example/?q=%7B%22a%22%3A1%7D",
        "https://shop.example/caf%C3%A9%20%ABcd%",
        "https://user@shop.example/@name@/",
    ],
)
def test_an_ordinary_address_has_none(address: str) -> None:
    assert find_in_link(address) is None


@pytest.mark.parametrize("written", ["{Prénom}", "{PRÉNOM|toi}", "{pre\u0301nom}"])
def test_a_name_is_found_however_it_is_typed(written: str) -> None:
    [slot] = parse(written)
    assert isinstance(slot, Slot)
    assert slot.key == "prénom"
