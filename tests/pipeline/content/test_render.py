"""Templates: what they render, chunk by chunk, and what they say when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content.render import (
    TemplateError,
    compile_template,
    escape,
    with_opt_out_language,
    with_site_name,
)


def render(text: str, **columns: list[str]) -> list[str]:
    return compile_template(text).render_columns(columns, len(next(iter(columns.values()), [""])), {})


def test_fields_are_filled_and_empty_or_blank_values_give_the_default() -> None:
    texts = render("Hi {first_name|there}, {city}!", first_name=["Anna", "", "  "], city=["Oslo", "Rome", ""])
    assert texts == ["Hi Anna, Oslo!", "Hi there, Rome!", "Hi there, !"]


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        (r"\{", "{"),
        (r"\}", "}"),
        (r"\{name\}", "{name}"),
        (r"\{{name}\}", "{Anna}"),
        (r"\\ a\b \\{name}", r"\ a\b \Anna"),
        (r"only \${name}", "only $Anna"),
        (r"\[today] 50% off, 20% more", "[today] 50% off, 20% more"),
        ("{name}{name}", "AnnaAnna"),
        ("{ name }", "Anna"),
        ("{Name} {NAME}", "Anna Anna"),
        ("{name|x}", "Anna"),
        ("{nobody}", ""),
        ("{nobody|}", ""),
        ("{nobody|a|b: c}", "a|b: c"),
        ("{nobody | dear friend }", "dear friend"),
        ("{prénom|toi}", "toi"),
        ("{Prénom|toi} {姓名|您} {नाम|आप} {ชื่อ|คุณ} {имя|друг}", "toi 您 आप คุณ друг"),
    ],
)
def test_language(text: str, rendered: str) -> None:
    assert render(text, name=["Anna"]) == [rendered]


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("Hi {first_name", 3, "never closed"),
        ("Hi {", 3, "never closed"),
        ("50} off", 2, "closes nothing"),
        ("{a}}", 3, "closes nothing"),
        ("Hi {}", 3, "no name"),
        ("Hi { |x}", 3, "no name"),
        ("{first name}", 0, "'first name' is no name of a field"),
        ("{1st}", 0, "'1st' is no name of a field"),
        ("{foo:bar}", 0, "'foo:bar' is no name of a field"),
        ("{a {b}}", 3, "inside of a field"),
        ("x{a|{{y}}}", 4, "{{y}} is a placeholder of another system"),
        ("{link:}", 0, "no name"),
        ("{link:Big Sale}", 0, "'Big Sale' is no name of a link"),
        ("{link|here}", 0, "takes no default"),
        ("{opt_out|STOP}", 0, "takes no default"),
    ],
)
def test_errors_say_where_what_and_what_to_do(text: str, position: int, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(text)
    error = caught.value
    assert error.position == position
    assert says in error.what
    assert error.remedy
    assert str(error) == f"character {position + 1}: {error.what}; {error.remedy}"


def test_what_a_template_needs() -> None:
    template = compile_template("{b|x} {a} {link} {link:shop} {b} {link} {opt_out}")
    assert template.fields == ("b", "a")
    assert template.fields_without_default == ("a", "b")
    assert template.links == ("default", "shop")
    assert template.specials == ("link:default", "link:shop", "opt_out")
    assert compile_template("{a|}").fields_without_default == ()


def test_specials_come_from_their_own_columns_and_values_are_not_parsed_again() -> None:
    template = compile_template("{name}: {link} {link:shop} {opt_out}")
    specials = {"link:default": ["l0", "l1"], "link:shop": ["s0", "s1"], "opt_out": ["o0", "o1"]}
    columns = {"name": ["{link}", "{{"], "opt_out": ["no", "no"], "other": ["y", "z"]}
    assert template.render_columns(columns, 2, specials) == ["{link}: l0 s0 o0", "{{: l1 s1 o1"]


def test_a_text_without_its_link_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\{link:default\}"):
        compile_template("Buy {link}").render_columns({}, 1, {"link:shop": ["x"]})


@pytest.mark.parametrize("values", [[], ["x"], ["x"] * 3])
def test_a_column_of_another_length_is_refused(values: list[str]) -> None:
    with pytest.raises(ValueError, match="for 2 recipients"):
        compile_template("{a}").render_columns({"a": values}, 2, {})
    with pytest.raises(ValueError, match="for 2 recipients"):
        compile_template("{opt_out}").render_columns({}, 2, {"opt_out": values})


def test_no_recipients_no_texts() -> None:
    assert compile_template("{a} b").render_columns({"a": []}, 0, {}) == []
    assert compile_template("b").render_columns({}, 0, {}) == []


@given(st.text())
def test_an_escaped_text_renders_as_itself(text: str) -> None:
    assert render(escape(text)) == [text]


@given(st.text(st.sampled_from("{}|ab :link\\[]%*<>$@#_()=｛｝s") | st.characters()))
def test_any_text_compiles_or_points_at_the_character_that_is_wrong(text: str) -> None:
    wrong = None
    try:
        compile_template(text)
    except TemplateError as error:
        wrong = error.position
    assert wrong is None or text[wrong] in "{}[%*<$@#_(:｛［％"


_NAMES = st.sampled_from(["a", "b", "c"])
_PIECES = st.lists(st.one_of(st.text(), st.tuples(_NAMES, st.none() | st.sampled_from(["", "d", "d|x"]))))


@given(_PIECES, st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text(), "c": st.text()}), max_size=5))
def test_columns_render_as_recipients_one_by_one(
    pieces: list[str | tuple[str, str | None]], recipients: list[dict[str, str]]
) -> None:
    def written(piece: str | tuple[str, str | None]) -> str:
        if isinstance(piece, str):
            return escape(piece)
        name, default = piece
        return f"{{{name}}}" if default is None else f"{{{name}|{default}}}"

    def read(piece: str | tuple[str, str | None], recipient: dict[str, str]) -> str:
        if isinstance(piece, str):
            return piece
        value = recipient[piece[0]]
        return value if value.strip() else (piece[1] or "")

    template = compile_template("".join(map(written, pieces)))
    columns = {name: [recipient[name] for recipient in recipients] for name in "abc"}
    assert template.render_columns(columns, len(recipients), {}) == [
        "".join(read(piece, recipient) for piece in pieces) for recipient in recipients
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sale!", "Acme: Sale!"),
        ("  Sale!", "Acme: Sale!"),
        ("", "Acme: "),
        ("Acme: Sale!", "Acme: Sale!"),
        ("ACME sale", "ACME sale"),
        (" acme", " acme"),
        ("Acmeville opens", "Acme: Acmeville opens"),
        ("At Acme today", "Acme: At Acme today"),
    ],
)
def test_site_name_is_added_once(text: str, expected: str) -> None:
    assert with_site_name(text, "Acme") == expected
    assert with_site_name(expected, "Acme") == expected


def test_site_name_is_plain_text() -> None:
    text = with_site_name("Sale", "{Brace} & Co")
    assert render(text) == ["{Brace} & Co: Sale"]
    assert with_site_name(text, "{Brace} & Co") == text
    assert render(with_site_name("Sale", "[Acme]")) == ["[Acme]: Sale"]
    assert with_site_name("STRASSE 1", "Straße") == "STRASSE 1"
    assert with_site_name("Sale", " ") == "Sale"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sale", "Sale Reply STOP to end"),
        ("Sale\n", "Sale\nReply STOP to end"),
        ("", "Reply STOP to end"),
        ("Sale. reply  stop to END", "Sale. reply  stop to END"),
        ("Sale {opt_out}", "Sale {opt_out}"),
        (r"Sale \{opt_out\}", r"Sale \{opt_out\} Reply STOP to end"),
    ],
)
def test_opt_out_language_is_added_once(text: str, expected: str) -> None:
    assert with_opt_out_language(text, "Reply STOP to end ") == expected
    assert with_opt_out_language(expected, "Reply STOP to end") == expected


def test_opt_out_language_may_hold_the_opt_out_link() -> None:
    text = with_opt_out_language("Sale", "Leave: {opt_out}")
    assert compile_template(text).render_columns({}, 1, {"opt_out": ["lw.to/x"]}) == ["Sale Leave: lw.to/x"]
    assert with_opt_out_language("Sale", "") == "Sale"
