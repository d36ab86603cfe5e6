"""What a first pass learns of columns."""

from __future__ import annotations

from pipeline.audience.survey import MOST_VALUES, Survey


def test_a_profile_keeps_few_values_and_some_samples() -> None:
    survey = Survey.of(("phone", "n", "same"))
    survey.add([[f"+1212736{n:04}", str(n), " x "] for n in range(1000)])
    phone, n, same = survey.profiles
    assert (len(n.values), n.full) == (MOST_VALUES, True)
    assert (list(same.values), same.full) == (["x"], False)
    assert n.samples == ["0", "1", "2"]
    assert phone.looks_like_numbers
    assert phone.is_international
    assert not n.looks_like_numbers
    assert survey.rows == 1000


def test_rows_of_another_width_say_nothing_about_columns_they_do_not_have() -> None:
    survey = Survey.of(("a", "b"))
    survey.add([["1"], ["1", "2", "3"], ["4", "5"]])
    assert [list(profile.values) for profile in survey.profiles] == [["1", "4"], ["2", "5"]]
    assert survey.rows == 3


def test_numbers_without_country_code_are_numbers_and_not_international() -> None:
    survey = Survey.of(("phone",))
    survey.add([["0664 1234567"], ["(212) 736-5000"], ["'+43664123456"], [""]])
    assert survey.profiles[0].looks_like_numbers
    assert not survey.profiles[0].is_international
