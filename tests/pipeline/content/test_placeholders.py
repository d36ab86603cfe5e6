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
    "[first_name|there]": "{first_name|there}",
    "[FNAME=there]": "{first_name|there}",
    "[FNAME = you all]": "{first_name|you all}",
    "[[ first name ]]": "{first_name}",
    "[*name*]": "{name}",
    "［name］": "{name}",
    "％name％": "{name}",
    "%first_name|there%": "{first_name|there}",
    "$first_name$": "{first_name}",
    "$$NAME$$": "{name}",
    "$(name)": "{name}",
    "$(contact.first_name)": "{first_name}",
    "%First-Name%": "{first_name}",
    "%first name%": "{first_name}",
    "%%Last Name%%": "{last_name}",
    "##name##": "{name}",
    "##FNAME##": "{first_name}",
    "@@name@@": "{name}",
    "((name))": "{name}",
    "(( first_name ))": "{first_name}",
    "%s": "{first_name}",
    "%1$s": "{first_name}",
    "%(name)s": "{name}",
    "%%=v(@name)=%%": "{name}",
    "%%=v(@FirstName)=%%": "{first_name}",
    "｛name｝": "{name}",
    "｛｛ first_name ｝｝": "{first_name}",
    "｛姓名｝": "{姓名}",
    ":first_name:": "{first_name}",
    ":phone:": "{phone}",
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
    if not written.startswith("${"):
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
        "$5, $ 5, 5$, US$5, $5-$10, from $5 to $10, $5$",
        "$ave$ big, $$$, $$ALE$$, A$AP, Ke$ha",
        "100%, 5 % off, 20%-30%, 10%off, %-sale, 50 %de plus, 100 %sur",
        "100 % sure, 50 % name brands, 20% first name 30%",
        "10:30, 10:30:15, 9:00-17:00, Mon:Fri:Sat, a:b:c, note: this",
        ":) :-) :( :D ;) :P :'( :o :* :/ (: ((: :)) :smile: :heart_eyes: :+1:",
        "(sale) ((sale)) ((50% off)) (a (b) c) (((hug)))",
        "@handle and @other_handle, @a @b, mail me@shop.example",
        "@handle@mastodon.example",
        "#sale #new #2026 #sale#deal ##new ### #1",
        "5#3#2 C# F#m",
        "a=b, [1|2], [|], 2 = 2, 3 == 3",
        "**bold** *only* today, 5*3*2, ***",
        "¯\\_(ツ)_/¯ ಠ_ಠ (>_<) <3 >:( ^_^ -_- (╯°□°)╯",
        "https://shop.example/a_b?x=1&y=%20#top",
        "「夏」（限定）〔1〕［１］{first_name|友}",
        "it's 5 o'clock; fish & chips; 1/2 price; R&B; AT&T",
        "{first_name|there}, {first_name|default customer}, {name|fallback plan}, {a|b|c}, {x|d: e}, {x|}",
        "{name|dear friend}, {name|Trimmer}, {name|escapees}",
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
        ("https://shop.example/?p=[phone]", "[phone]"),
        ("https://shop.example/[phone]", "[phone]"),
        ("https://shop.example/?p=[[phone]]", "[[phone]]"),
        ("https://shop.example/?p=%5Bphone%5D", "[phone]"),
        ("https://shop.example/?filter[color]=[phone]", "[phone]"),
        ("https://shop.example/?p=%255Bphone%255D", "[phone]"),
        ("https://shop.example/?[phone]", "[phone]"),
        ("https://shop.example/:phone", ":phone"),
        ("https://shop.example/u/:phone/sale", ":phone"),
        ("https://shop.example/?p=:phone", ":phone"),
        ("https://shop.example/?p=$PHONE$", "$PHONE$"),
        ("https://shop.example/?p=$phone", "$phone"),
        ("https://shop.example/?p=%24phone", "$phone"),
        ("https://shop.example/?p=$(phone)", "$(phone)"),
        ("https://shop.example/?p=@phone@", "@phone@"),
        ("https://shop.example/?p=@@phone@@", "@@phone@@"),
        ("https://user@shop.example/@name@/", "@name@"),
        ("https://shop.example/?p=((phone))", "((phone))"),
        ("https://shop.example/?p=%cell%", "%cell%"),
        ("https://shop.example/?p=%address%&x=1", "%address%"),
        ("https://shop.example/?p=%25cell%25", "%cell%"),
        ("https://shop.example/?p=%257Bphone%257D", "{phone}"),
        ("https://shop.example/?p=%25257Bphone%25257D", "{phone}"),
        ("https://shop.example/?p={phone", "{phone"),
        ("https://shop.example/?p={phone&x=1", "{phone"),
        ("https://shop.example/?p=%7Bphone", "{phone"),
        ("https://shop.example/?p=##phone##", "##phone##"),
        ("https://shop.example/?p=__phone__", "__phone__"),
        ("https://shop.example/?p=%s", "%s"),
        ("https://shop.example/?p=｛phone｝", "｛phone｝"),
        ("https://shop.example/?p=%%=v(@phone)=%%", "%%=v(@phone)=%%"),
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
        "https://user@shop.example/@name/video",
        "https://shop.example/?filter[color]=red&filter[size][]=m&x[]=1&y[a][b]=2",
        "https://shop.example/?filter%5Bcolor%5D=red&tags%5B%5D=a",
        "https://shop.example/?a[]",
        "https://[2001:db8::1]:8443/a",
        "https://shop.example:8443/10:30/a:b?t=12:00",
        "https://en.wiki.example/wiki/Stop_(disambiguation)",
        "https://en.wiki.example/wiki/Special:Search?x=a:b",
        "https://shop.example/?$filter=price&$top=5&cost=$5&cur=US$",
        "https://shop.example/__init__.py#a_b",
        "https://shop.example/#/route/a",
        "https://shop.example/?q=100%25&r=50%25off",
        "https://shop.example/?q=a%2Bb%26c%3Dd%23e",
        "https://shop.example/?mail=a%40b.example&c=%40handle",
        "https://shop.example/?next=https%3A%2F%2Fa.example%2F%3Fx%3D1",
        "https://shop.example/?u=https://a.example/b",
        "https://shop.example/?data={%22phone%22:1}",
    ],
)
def test_an_ordinary_address_has_none(address: str) -> None:
    assert find_in_link(address) is None


@pytest.mark.parametrize("written", ["{Prénom}", "{PRÉNOM|toi}", "{pre\u0301nom}"])
def test_a_name_is_found_however_it_is_typed(written: str) -> None:
    [slot] = parse(written)
    assert isinstance(slot, Slot)
    assert slot.key == "prénom"


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ("{first_name|default:'there'}", "{first_name|there}"),
        ("{first_name | default: 'there'}", "{first_name|there}"),
        ("{first_name|default:there}", "{first_name|there}"),
        ('{first_name|default "there"}', "{first_name|there}"),
        ("{first_name|default=there}", "{first_name|there}"),
        ("{first_name|default('there')}", "{first_name|there}"),
        ("{first_name|DEFAULT: there}", "{first_name|there}"),
        ("{first_name|fallback:there}", "{first_name|there}"),
        ("{first_name|fallback=“there”}", "{first_name|there}"),
        ("{first_name|default}", "{first_name|there}"),
        ("{first_name||there}", "{first_name|there}"),
        ("{first_name | | there}", "{first_name|there}"),
        ("{first_name||}", "{first_name|there}"),
        ("{first_name|upcase}", "{first_name|there}"),
        ("{first_name|capitalize|default:'friend'}", "{first_name|friend}"),
        ("{first_name|upcase|friend}", "{first_name|friend}"),
    ],
)
def test_a_default_as_another_system_writes_it_is_an_error_with_the_right_spelling(
    written: str, spelling: str
) -> None:
    with pytest.raises(TemplateError, match="a default as another system writes it") as caught:
        parse(f"Hi {written}, sale")
    assert caught.value.position == 3
    assert caught.value.remedy == f"write {spelling}"
    parse(f"Hi {spelling}, sale")


@pytest.mark.parametrize(
    "default", ["there", "a|b", "default customer", "fallback plan", "Trimmer", "d: e", "(you)", ""]
)
def test_a_default_of_ours_is_taken_as_it_stands(default: str) -> None:
    assert parse(f"{{name|{default}}}") == (Slot("name", default),)
