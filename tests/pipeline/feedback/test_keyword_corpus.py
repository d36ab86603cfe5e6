"""The corpus of keywords: no opt-out is overlooked, and what is wrongly stopped or held is listed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.feedback.keyword_corpus import Measured, measure, read_corpus, table

CORPUS = Path(__file__).with_name("keyword_corpus.csv")
FALSE_STOPS: set[str] = set()
NEEDLESS_HOLDS = {
    "Could you stop the delivery? I'll be away",
    "What's the scam? jk love you guys",
    "I never text and drive",
    "the T-stop near the store",
    "no más de dos",
    "não me mande o azul",
    "не присылайте до понедельника курьера",
    "please remove my name from the waiting list for Friday, I can't come",
    "You never text me back!",
    "you shut up lol",
    "shut up and take my money",
    "plus de pub ? c'est où le pub irlandais",
    "basta un messaggio quando arriva",
    "yeter mi?",
}


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(read_corpus(CORPUS.read_text(encoding="utf-8").splitlines(keepends=True)))


def test_no_opt_out_is_overlooked(measured: Measured) -> None:
    assert not [(sample.text, reading) for sample, reading in measured.misses]
    assert not [(sample.text, reading) for sample, reading in measured.others]


def test_false_stops_and_needless_holds_are_those_that_are_listed(measured: Measured) -> None:
    assert {sample.text for sample, _ in measured.false_stops} == FALSE_STOPS
    assert {sample.text for sample, _ in measured.needless_holds} == NEEDLESS_HOLDS


def test_the_corpus_is_large_and_has_both_classes_in_many_languages(measured: Measured) -> None:
    counts = measured.counts
    wanted = sum(n for (kind, _), n in counts.items() if kind in ("stop", "optout"))
    harmless = sum(n for (kind, _), n in counts.items() if kind in ("other", "looks", "start", "help"))
    assert wanted >= 400
    assert harmless >= 200
    assert len(measured.languages) >= 20


def test_the_documents_show_what_is_measured(measured: Measured) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operating" / "keywords.md").read_text(encoding="utf-8")
    assert "\n".join(table(measured)) in page


def test_a_corpus_with_an_unknown_class_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="row 3"):
        read_corpus(["class,language,text\n", "stop,en,STOP\n", "maybe,en,hm\n"])
