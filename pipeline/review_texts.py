"""How long the texts of a campaign will be: counted exactly over a sample of recipients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.optout_links import LIKE_A_TOKEN
from pipeline.render import OPT_OUT, Template
from pipeline.segments import Encoding, count


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEstimate:
    """One message over the sample: `example` is the longest text, `encoding` and `units` are its."""

    example: str
    encoding: Encoding
    units: int
    mean_parts: float
    most_parts: int
    over_one: float
    """Share of the texts with more than one segment, 0..1."""
    culprit: str
    """First character that forces UCS-2, "" where none does."""


def estimate(template: Template, sample: Sequence[Mapping[str, str]], link: str) -> TextEstimate:
    """Renders the sample (one recipient without attributes where it is empty) and counts its segments."""
    rows = sample or [{}]
    n = len(rows)
    columns = {name: [row.get(name, "") for row in rows] for name in template.fields}
    specials = {key: [_optout_link(link) if key == OPT_OUT else link] * n for key in template.specials}
    texts = template.render_columns(columns, n, specials)
    counted = [count(text) for text in texts]
    longest = max(range(n), key=lambda i: (counted[i].parts, counted[i].units))
    parts = [c.parts for c in counted]
    return TextEstimate(
        example=texts[longest],
        encoding=counted[longest].encoding,
        units=counted[longest].units,
        mean_parts=sum(parts) / n,
        most_parts=max(parts),
        over_one=sum(p > 1 for p in parts) / n,
        culprit=_culprit(texts[longest]) if counted[longest].encoding == "ucs2" else "",
    )


def _optout_link(link: str) -> str:
    """An opt-out link as long as the real ones, beside a short link."""
    base, found, _ = link.rpartition("/c/")
    return f"{base}/o/{LIKE_A_TOKEN}" if found else link


def _culprit(text: str) -> str:
    return next((c for c in text if count(c).encoding == "ucs2"), "")
