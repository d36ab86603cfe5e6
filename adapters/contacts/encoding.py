"""Which encoding a text file has: what its first bytes say, else UTF-8, else a guess that the operator is told.

The whole file is read once before a row of it is used, so that an encoding that does not fit refuses the file whole.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import charset_normalizer

from adapters.contacts.files import ContactFileError, Reading

_PIECE: Final = 1 << 18
_TELLING_BYTES: Final = 64 << 10
"""Most bytes of non-ASCII lines that are judged."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES: Final = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
    "cp1254": "Windows-1254",
    "cp1257": "Windows-1257",
    "mac_roman": "Mac Roman",
    "cp850": "DOS 850",
    "cp932": "Shift-JIS (Windows-932)",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "cp949": "Korean (Windows-949)",
}
_HOMES: Final = {
    "cp1250": "PL CZ SK HU RO HR SI RS BA",
    "cp1251": "RU BY UA BG KZ",
    "cp1253": "GR CY",
    "cp1254": "TR",
    "cp1257": "EE LV LT",
    "cp932": "JP",
    "gb18030": "CN",
    "big5": "TW HK",
    "cp949": "KR",
}
_MULTIBYTE: Final = ("cp932", "gb18030", "big5", "cp949")
_RARE: Final = frozenset("þÞðÐýÝ×÷ŸŽž¨¸´¯ªº¹²³¼½¾¢£¤¥¦§¬µ¶")
"""Characters of Windows-1252 that are hardly ever in a name: more likely another encoding."""

_ORDINARY: Final = frozenset("\u201c\u201d\u2018\u2019\u2013\u2014\u2026\u20ac\xa0«»°©®™·¡¿№")
"""Non-ASCII punctuation that is common in texts."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, what people call it, and, where it was guessed, texts by which the guess can be judged."""

    codec: str
    name: str
    guessed: bool = False
    samples: tuple[str, ...] = ()
    has_nul: bool = True
    """Whether there may be NUL characters in it."""
    errors: str = "strict"
    """What Python does about bytes that do not fit: in a lenient reading the rest of the line can be read."""


def encoding_of(path: Path, reading: Reading) -> Encoding:
    """The encoding of a text file: the one asked for, or what it is or seems to be.

    A lenient reading takes a file that no encoding fits as UTF-8 with unreadable places.

    Raises:
        ContactFileError: no encoding fits the whole file.
    """
    asked = reading.encoding
    with path.open("rb") as file:
        head = file.read(4)
    marked = next((codec for mark, codec in _MARKS if head.startswith(mark)), "")
    codec = _known(asked) if asked else marked or "utf-8"
    try:
        has_nul = _check(path, codec)
        return Encoding(codec, _called(codec), has_nul=has_nul)
    except UnicodeError as error:
        if not (asked or marked):
            guess = _guess(path, reading)
            if guess is not None:
                return guess
        if reading.lenient:
            return Encoding(codec, f"{_called(codec)} with unreadable places", errors=_lenience(codec))
        raise ContactFileError(_refusal(path, codec, error, asked=bool(asked))) from None


def _lenience(codec: str) -> str:
    return "replace" if codec.startswith(("utf-16", "utf-32")) else "surrogateescape"


def _known(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "a".encode(codec.name)
        codecs.getincrementaldecoder(codec.name)
    except (LookupError, UnicodeError, ValueError) as error:
        raise ContactFileError(f"--encoding {name!r} is no encoding of text: try utf-8, cp1252 or utf-16") from error
    return "utf-8-sig" if codec.name == "utf-8" else codec.name


def _called(codec: str) -> str:
    return _NAMES.get(codec, codec.removesuffix("-sig").upper())


def _check(path: Path, codec: str) -> bool:
    """Decode the whole file; whether there are NUL characters in it.

    Raises:
        UnicodeError: it is not all text in that encoding.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    has_nul = False
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            has_nul = "\0" in decoder.decode(piece) or has_nul
        decoder.decode(b"", final=True)
    return has_nul


def _guess(path: Path, reading: Reading) -> Encoding | None:
    """The encoding that fits the whole file best; None where several are mixed in it, or nothing fits."""
    header, telling = _telling_lines(path)
    if not telling or any(_is_utf8(line) for line in telling):
        return None
    sample = b"".join([header, *telling])
    codecs_by_fit = sorted((codec for codec in _NAMES if _decodes(sample, codec)), key=_Fit(sample, header, reading))
    for codec in codecs_by_fit:
        try:
            _check(path, codec)
        except UnicodeError:
            continue
        texts = [_excerpt(line.decode(codec, "replace")) for line in telling[:3]]
        return Encoding(codec, _called(codec), guessed=True, samples=tuple(texts))
    return None


def _telling_lines(path: Path) -> tuple[bytes, list[bytes]]:
    """The first line, and lines with bytes that are not ASCII, up to a bound."""
    telling: list[bytes] = []
    with path.open("rb") as file:
        header = file.readline(_TELLING_BYTES)
        size = len(header)
        if not header.isascii():
            telling.append(header)
        for line in _lines(file):
            if size > _TELLING_BYTES:
                break
            if not line.isascii():
                telling.append(line)
                size += len(line)
    return header, telling


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_TELLING_BYTES):
        yield line


def _is_utf8(line: bytes) -> bool:
    # A lone accented letter in Windows-1252 is never valid UTF-8.
    return _decodes(line, "utf-8")


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeError:
        return False
    return True


class _Fit:
    """Sorts codecs, the best first: fewest odd characters, headers that we know, the country's own; codecs of several
    bytes a letter then by what charset-normalizer finds least messy, the others by how common they are."""

    def __init__(self, sample: bytes, header: bytes, reading: Reading) -> None:
        self._sample, self._header, self._reading = sample, header, reading
        fitting = [codec for codec in _NAMES if _decodes(sample, codec)]
        matches: Any = charset_normalizer.from_bytes(sample, cp_isolation=fitting, threshold=1.0) if fitting else []
        self._mess = {match.encoding: match.chaos - match.coherence for match in matches}

    def __call__(self, codec: str) -> tuple[float, bool, float, int]:
        known = sum(self._reading.is_known(name) for name in _cells(self._header.decode(codec, "replace")))
        home = self._reading.country in _HOMES.get(codec, "").split()
        oddness = _oddness(self._sample.decode(codec, "replace")) - 10 * known - 2 * home
        order = list(_NAMES).index(codec)
        wide = codec in _MULTIBYTE
        return oddness, wide and not known, self._mess.get(codec, 1.0) if wide else 0.0, order


def _cells(header: str) -> Sequence[str]:
    for delimiter in ";\t|":
        header = header.replace(delimiter, ",")
    return [cell.strip().strip('"') for cell in header.split(",") if not cell.isascii()]


def _oddness(text: str) -> float:
    """How much of a text is unlikely in names and words, by its characters that are not ASCII."""
    odd = 0.0
    for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if char.isascii():
            continue
        kind = unicodedata.category(char)
        if kind in ("Cc", "Co", "Cn", "Cf"):
            odd += 3
        elif char in _ORDINARY:
            odd += 1.0 if before.isalpha() and after.isalpha() and char not in "\u2019·" else 0.1
        elif kind[0] not in "LM" or char in _RARE:
            odd += 1
        elif kind == "Lo":
            # An ideograph between Latin letters is two letters of another encoding.
            odd += 1.5 * ((before.isascii() and before.isalpha()) + (after.isascii() and after.isalpha()))
            odd += 2 * ("HALFWIDTH" in unicodedata.name(char, ""))
        else:
            odd += _oddness_of_letter(before, char, after)
    return odd


def _oddness_of_letter(before: str, char: str, after: str) -> float:
    latin = unicodedata.name(char, "").startswith("LATIN")
    odd = 0.0
    if latin:
        # Accented letters stand alone between plain ones; runs of them are another script.
        odd += 0.5 * (after.isalpha() and not after.isascii()) + 0.5 * (before.isalpha() and not before.isascii())
    else:
        odd += 1.0 * ((before.isascii() and before.isalpha()) + (after.isascii() and after.isalpha()))
    if before.islower() and char.isupper():
        odd += 1
    return odd


def _excerpt(line: str) -> str:
    place = next((i for i, char in enumerate(line) if not char.isascii()), 0)
    return line.strip()[max(0, place - 30) : place + 30]


def _refusal(path: Path, codec: str, error: UnicodeError, *, asked: bool) -> str:
    line, mixed = _first_bad_line(path, codec)
    where = f", line {line}" if line else ""
    if asked:
        what = f"is not text in {_called(codec)}, as --encoding says"
    elif mixed:
        what = (
            "is not UTF-8 while other lines are: the file was put together from several, or is damaged. Save it "
            "again as CSV UTF-8, or name one encoding with --encoding (for instance cp1252)"
        )
    else:
        what = (
            f"is not text in {_called(codec)} and no other encoding fits: save the file as CSV UTF-8, or name "
            "its encoding with --encoding"
        )
    return f"{path}{where} {what}. Nothing was taken from it"


def _first_bad_line(path: Path, codec: str) -> tuple[int, bool]:
    """The first line that does not decode (0 = unknown), and whether another one decodes with more than ASCII."""
    if codec.startswith(("utf-16", "utf-32")):
        return 0, False
    bad, good = 0, False
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), 1):
            if line.isascii():
                continue
            if _decodes(line, codec):
                good = True
            elif not bad:
                bad = number
            if bad and good:
                break
    return bad, good
