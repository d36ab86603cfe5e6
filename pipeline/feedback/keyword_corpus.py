"""How well the keyword rules do on a corpus of texts whose right reading is known.

A corpus is CSV with the columns class, language and text. Classes: `stop` (a plain opt-out, which must be read as
stop), `optout` (one in a longer text, which must be stop or doubtful), `looks` (only looks like one: anything but a
stop), `start`, `help`, and `other` (harmless).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pipeline.feedback.keywords import Reading, classify

CLASSES: Final = ("stop", "optout", "looks", "start", "help", "other")
INTENTS: Final = ("stop", "doubtful", "start", "help", "other")
_RIGHT: Final[dict[str, frozenset[str]]] = {
    "stop": frozenset({"stop"}),
    "optout": frozenset({"stop", "doubtful"}),
    "looks": frozenset({"doubtful", "other", "help"}),
    "start": frozenset({"start"}),
    "help": frozenset({"help"}),
    "other": frozenset({"other", "doubtful"}),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One text of a corpus."""

    kind: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The corpus by class and reading, and the texts that were read wrongly."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    languages: frozenset[str] = frozenset()
    misses: list[tuple[Sample, Reading]] = field(default_factory=list)
    """Opt-outs that nothing would come of, and plain ones that are only held."""
    false_stops: list[tuple[Sample, Reading]] = field(default_factory=list)
    """Read as stop, though they are none."""
    needless_holds: list[tuple[Sample, Reading]] = field(default_factory=list)
    """Harmless, and held until an operator has looked."""
    others: list[tuple[Sample, Reading]] = field(default_factory=list)
    """Read wrongly in another way."""


def read_corpus(lines: Iterable[str]) -> list[Sample]:
    """The samples of a CSV. Raises ValueError, naming the row, for a class that there is not."""
    samples: list[Sample] = []
    for row in csv.DictReader(lines):
        if row.get("class") not in CLASSES or not row.get("text"):
            raise ValueError(f"row {len(samples) + 2}: class {row.get('class')!r}, text {row.get('text')!r}")
        samples.append(Sample(row["class"], row.get("language") or "und", row["text"]))
    return samples


def measure(samples: Iterable[Sample]) -> Measured:
    """Read every sample and compare with what it is."""
    measured = Measured()
    languages = set()
    for sample in samples:
        reading = classify(sample.text)
        measured.counts[sample.kind, reading.intent] += 1
        languages.add(sample.language)
        if (kept := _wrong(sample, reading, measured)) is not None:
            kept.append((sample, reading))
    return Measured(
        measured.counts,
        frozenset(languages - {"und"}),
        measured.misses,
        measured.false_stops,
        measured.needless_holds,
        measured.others,
    )


def _wrong(sample: Sample, reading: Reading, measured: Measured) -> list[tuple[Sample, Reading]] | None:
    """The list that a sample belongs in, None where it was read rightly."""
    if sample.kind == "other" and reading.intent == "doubtful":
        return measured.needless_holds
    if reading.intent in _RIGHT[sample.kind]:
        return None
    if sample.kind in ("stop", "optout"):
        return measured.misses
    return measured.false_stops if reading.intent == "stop" else measured.others


def table(measured: Measured) -> list[str]:
    """The figures as the lines of a Markdown table and lists, as docs/operating/keywords.md has them."""
    total = sum(measured.counts.values())
    lines = [
        f"{total} texts in {len(measured.languages)} languages.",
        "",
        "| class | texts | " + " | ".join(f"read as {intent}" for intent in INTENTS) + " |",
        "|---" * (len(INTENTS) + 2) + "|",
    ]
    for kind in CLASSES:
        row = [measured.counts[kind, intent] for intent in INTENTS]
        lines.append(f"| {kind} | {sum(row)} | " + " | ".join(map(str, row)) + " |")
    for title, wrong in (
        ("Misses", measured.misses),
        ("False stops", measured.false_stops),
        ("Needless holds", measured.needless_holds),
        ("Other mistakes", measured.others),
    ):
        lines += ["", f"{title}: {len(wrong)}"]
        lines += [
            f"- `{sample.text}` ({sample.language}): {reading.word}, {reading.rule}" for sample, reading in wrong
        ]
    return lines
