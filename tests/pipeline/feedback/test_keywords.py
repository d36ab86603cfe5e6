"""What inbound texts mean: the words that 47 CFR 64.1200, the CWTA and carriers name, however they are
written, and what is left to a person."""

from __future__ import annotations

import time
import unicodedata
from datetime import date
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.feedback.keyword_words import FAMILIES
from pipeline.feedback.keywords import KEYWORDS, Reading, classify

STOP = [
    "STOP",
    "UNSUBSCRIBE",
    "END",
    "QUIT",
    "STOPALL",
    "REVOKE",
    "OPTOUT",
    "CANCEL",
    "ARRET",
    "OPT-OUT",
    "REMOVE",
    "TD",
]
START = ["START", "YES", "UNSTOP"]
HELP = ["HELP", "INFO"]
ALL = [(word, "stop") for word in STOP] + [(word, "start") for word in START] + [(w, "help") for w in HELP]
LEADING = ["STOP", "STOPALL", "UNSUBSCRIBE", "ARRET", "OPTOUT", "OPT-OUT", "OPT OUT", "REVOKE"]


@pytest.mark.parametrize(("word", "intent"), ALL)
def test_every_word_of_the_field(word: str, intent: str) -> None:
    for text in (word, word.lower(), word.title(), f"  {word}.\n", f"«{word}» !!!", f"{word} 👍", " ".join(word)):
        assert classify(text).intent == intent, text


_DECORATION = st.text(st.sampled_from(" .,!?-_*'\"\t\n\u200b\u00a0👍\ufe0f…"), max_size=3)
_ACCENTS = st.lists(st.sampled_from(["", "\u0301", "\u0302", "\u0327"]), min_size=11, max_size=11)


@settings(deadline=None)
@given(st.sampled_from(ALL), st.data(), _ACCENTS)
def test_case_spaces_punctuation_and_accents_do_not_matter(
    pair: tuple[str, str], data: st.DataObject, accents: list[str]
) -> None:
    word, intent = pair
    text = data.draw(_DECORATION)
    for char, accent in zip(word, accents, strict=False):
        text += data.draw(st.sampled_from([char, char.lower()])) + accent + data.draw(_DECORATION)
    assert classify(text).intent == intent
    assert classify(unicodedata.normalize("NFC", text)).intent == intent


@pytest.mark.parametrize("word", LEADING)
def test_an_unambiguous_first_word_is_a_stop_whatever_follows(word: str) -> None:
    for tail in (" texting me", ", I said", "! wrong number", " au 36111", "\nSent from my phone", " yes"):
        assert classify(word + tail).intent == "stop", word + tail


@pytest.mark.parametrize(
    "text",
    [
        "Arrêt",
        "ARRE\u0302T",
        "stop",
        "Please stop",
        "stop, thank you!",
        "Pls cancel",
        "ARRET s'il vous plaît",
        "Unsubscribe me",
        "Opt-out of this",
        "S.T.O.P",
    ],
)
def test_stops_as_people_write_them(text: str) -> None:
    assert classify(text).intent == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!",
        "👍",
        "please",
        "Thanks!",
        "Cancel my 3 pm appointment",
        "End of the week is fine",
        "Remove the onions",
        "Quit joking",
        "yes but not today",
        "start tomorrow",
        "help me choose",
        "info about shoes",
        "don't stop",
        "nonstop",
        "stopwatch",
        "stoppage",
        "opt in",
        "out",
        "unstoppable",
        "the bus stop",
        "yesterday",
    ],
)
def test_what_is_left_to_a_person(text: str) -> None:
    assert classify(text).intent == "other"


def test_help_in_french() -> None:
    assert classify("Aide").intent == "help"


@settings(deadline=None)
@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    assert classify(text).intent in {"stop", "start", "help", "doubtful", "other"}


def test_a_very_long_text_is_read_to_a_limit() -> None:
    assert classify("stop " + "x" * 1_000_000).intent == "doubtful"
    assert classify("x " * 1_000_000).intent == "other"
    assert classify("x " * 2000 + "stop").intent == "doubtful"


@pytest.mark.parametrize("unit", ["ё", "ab*cd ", "a*", "a-b ", "don't want ", "no texts. "])
def test_no_text_takes_long(unit: str) -> None:
    start = time.process_time()
    classify(unit * 10_000)
    assert time.process_time() - start < 2


def test_every_entry_says_where_it_comes_from_and_since_when() -> None:
    assert all(keyword.source and keyword.language for keyword in KEYWORDS)
    assert all(type(keyword.valid_from) is date for keyword in KEYWORDS)
    words = [(keyword.word, keyword.language) for keyword in KEYWORDS]
    assert len(set(words)) == len(words)
    assert {keyword.word: classify(keyword.word).intent for keyword in KEYWORDS} == {
        keyword.word: keyword.family for keyword in KEYWORDS
    }


def test_every_family_says_where_it_comes_from_and_its_phrases_are_read_as_it_says() -> None:
    assert all(family.source and family.language and type(family.valid_from) is date for family in FAMILIES)
    for family in FAMILIES:
        phrases = [" ".join(filter(None, parts)) for parts in product(*family.slots)]
        # A phrase that the lists have is what they say: of thousands, some of each family.
        for phrase in phrases[:: 1 + len(phrases) // 20]:
            assert classify(phrase).intent in {"stop", "doubtful"}, phrase
        read = [classify(phrase).intent for phrase in phrases[:: 1 + len(phrases) // 20]]
        wanted = "doubtful" if family.kind == "doubt" else "stop"
        assert read.count(wanted) > 0.6 * len(read), (phrases[0], read)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("désabonner", "stop"),
        ("Parar.", "stop"),
        ("¡ALTO!", "stop"),
        ("baja, por favor", "stop"),
        ("Stopp!!", "stop"),
        ("abmelden", "stop"),
        ("Afmelden", "stop"),
        ("sair", "stop"),
        ("¿Ayuda?", "help"),
        ("Hilfe", "help"),
        ("Voy a cancelar mi cita de las 3", "other"),
    ],
)
def test_words_of_other_languages_count_when_they_stand_alone(text: str, intent: str) -> None:
    assert classify(text).intent == intent


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("STOP", Reading("stop", "STOP", "alone")),
        ("Please stop texting me", Reading("stop", "STOP", "with words that change nothing")),
        ("STPO", Reading("stop", "STOP", "misspelled")),
        ("Stop! My list of texts is long enough", Reading("stop", "STOP", "a sentence of its own")),
        ("Who is this? stop", Reading("doubtful", "STOP", "in a longer text")),
        ("I will call my lawyer", Reading("doubtful", "lawyer", "looks like an opt-out")),
        ("cancel my text alerts at noon", Reading("doubtful", "CANCEL", "beside words about messages")),
        ("cancel my 3 pm", Reading("other", "", "")),
        ("yes please", Reading("start", "YES", "with courtesy")),
    ],
)
def test_a_reading_says_which_word_and_rule_decided(text: str, reading: Reading) -> None:
    assert classify(text) == reading


@settings(deadline=None)
@given(st.sampled_from(["start", "yes", "unstop", "help"]), st.text(st.sampled_from("stopabc ?!.\u200b"), max_size=9))
def test_nobody_is_let_in_again_by_a_text_that_has_a_stop_word(word: str, rest: str) -> None:
    assert classify(f"{word} {rest} stop").intent != "start"


@settings(deadline=None)
@given(st.text(max_size=80))
def test_a_stop_word_on_its_own_is_never_overlooked_in_any_context(around: str) -> None:
    assert classify(f"{around} unsubscribe {around}").intent in {"stop", "doubtful"}


@pytest.mark.parametrize(
    "text",
    [
        "Retirez-moi de votre liste", "retirez moi", "Enlevez-moi svp", "take-me-off-your-list", "opt-me-out",
        "OPT-OUT",
        "un-sub-scribe", "stop-sms", "N'écrivez-plus", "désinscrivez‑moi", "effacez–moi",
    ],
)  # fmt: skip
def test_a_hyphen_stands_for_nothing_or_for_a_blank_and_the_stricter_reading_counts(text: str) -> None:
    assert classify(text).intent == "stop"


@pytest.mark.parametrize(
    "text", ["non-stop", "one-stop shop", "pit-stop", "opt-in", "week-end", "re-start", "T-shirt"]
)
def test_a_hyphen_makes_no_stop_of_ordinary_words(text: str) -> None:
    assert classify(text).intent == "other"


@pytest.mark.parametrize("text", ["st*p", "ST*P!", "f*ck off", "unsubscr*be", "*STOP*", "**stop**", "S*T*O*P"])
def test_hidden_letters_are_read(text: str) -> None:
    assert classify(text).intent == "stop"


@pytest.mark.parametrize("text", ["5*3", "***WOW***", "cl*ck", "size 8*10", "a * b"])
def test_asterisks_hide_no_other_words(text: str) -> None:
    assert classify(text).intent == "other"


@pytest.mark.parametrize(
    "text",
    ["CТОП", "cтоп", "Cтoп", "CTОП", "ст0п", "oтпиcaтьcя", "HЕ ПИШИTE", "ΣTOΠ", "STОP", "ꓢꓔꓳꓑ", "ᏚᎢᎾᏢ"],
)  # fmt: skip
def test_letters_of_another_script_within_a_word(text: str) -> None:
    assert classify(text).intent == "stop"


@pytest.mark.parametrize("negation", ["do not", "don't", "dont", "don t", "never"])
@pytest.mark.parametrize("verb", ["text", "txt", "message", "msg", "contact", "write to", "bother", "spam"])
@pytest.mark.parametrize("whom", ["me", "us", "this number", "my phone"])
def test_a_family_of_phrases_is_a_stop_in_all_its_members(negation: str, verb: str, whom: str) -> None:
    assert classify(f"Please {negation} {verb} {whom} anymore").intent == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "no thanks", "No, thank you", "No gracias", "non merci", "nein danke", "no grazie", "não obrigado",
        "nee bedankt", "nie dziękuję", "нет спасибо", "nej tack", "nej tak", "ei kiitos", "ne děkuji", "nu mulțumesc",
        "hayır teşekkürler", "όχι ευχαριστώ", "不用了", "結構です", "لا شكرا", "לא תודה", "không cảm ơn",
    ],
)  # fmt: skip
def test_no_thanks_holds_the_number_in_every_language(text: str) -> None:
    """It may mean the offer, or all messages: no stop, and nothing is sent until a person has looked."""
    assert classify(text).intent == "doubtful"


@pytest.mark.parametrize(
    "text",
    [
        "I hate these texts",
        "ras le bol de vos pubs",
        "harta de sus mensajes",
        "stufo dei vostri sms",
        "надоели ваши смс",
    ],
)
def test_a_refusal_that_speaks_of_messages_holds(text: str) -> None:
    assert classify(text).intent == "doubtful"


@pytest.mark.parametrize(
    "text",
    ["I hate Mondays", "I don't want the red one", "why did I not get your text?", "I got no message", "my list?"],
)
def test_a_refusal_of_something_else_or_a_word_about_messages_alone_holds_nothing(text: str) -> None:
    assert classify(text).intent == "other"
