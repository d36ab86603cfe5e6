"""What the CLI prints of a review's texts."""

from __future__ import annotations

from cli.campaign.wording import review_lines


def test_a_review_shows_segments_and_replaced_characters() -> None:
    message = {
        "encoding": "gsm7", "units": 170, "most_parts": 2, "example": "Hi", "histogram": [[1, 1200], [2, 3]],
        "replaced": [
            {"character": "’", "by": "'", "texts": 1203},
            {"character": "\u200b", "by": "", "texts": 1},
        ],
    }  # fmt: skip
    review = {
        "sendable": 1203, "recipients": 1203, "segments": 1206, "cost": 0, "seconds": 1, "available": None, "most": 0,
        "skipped": {}, "expiring": 0, "texts": [message], "lateness": "", "warnings": [], "problems": [], "ok": True,
    }  # fmt: skip
    lines = list(review_lines(review))
    at = lines.index("longest text, gsm7, 170 units, 2 segments:")
    assert lines[at + 2 : at + 6] == [
        "  1 segment: 1,200 texts",
        "  2 segments: 3 texts",
        "  '’' is replaced by \"'\" in 1,203 of the texts",
        "  '\\u200b' is taken out in 1 of the texts",
    ]
