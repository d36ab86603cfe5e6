"""The texts that go out. Eligibility counts exactly what a lane submits: one function makes both from one
template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from pipeline.content.characters import replace_characters
from pipeline.content.render import OPT_OUT, compile_template
from pipeline.content.segments import count_many, is_gsm7
from pipeline.identity.optout_links import LIKE_A_TOKEN as LIKE_AN_OPT_OUT
from pipeline.identity.optout_links import optout_tokens
from pipeline.identity.tokens import TOKEN_LENGTH, Ordinals, click_tokens
from schemas.domains import KINDS, DomainKind
from schemas.lane import LaneMessage

_LIKE_A_TOKEN: Final = "0" * TOKEN_LENGTH
"""Stands for a token where only the length counts: all its characters take one septet, as those of base64url do."""


@dataclass(frozen=True, slots=True)
class LinkBases:
    """The URLs that links begin with, without a slash at their end: of short links, and of those that opt out."""

    short: str
    opt_out: str


def everywhere(url: str) -> LinkBases:
    """All links begin with one URL."""
    return LinkBases(url, url)


def on_domain(url: str, domain: str) -> str:
    """The installation's public URL with another host name: scheme and port stay, since it is the same ingress."""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{domain}{port}"))


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """What makes the links of texts: the secret `key` that signs their tokens, and where they lead."""

    key: bytes = field(repr=False)
    bases: LinkBases


class Renderer:
    """One message of a campaign, compiled. Immutable."""

    __slots__ = ("_indices", "_is_plain", "_opts_out", "_template", "fields", "literals", "replaces_characters")

    def __init__(self, message: LaneMessage) -> None:
        self._template = compile_template(message.text)
        self._indices = {f"link:{name}": message.links.index(name) for name in self._template.links}
        self._opts_out = OPT_OUT in self._template.specials
        self.fields: Final = self._template.fields
        """Attributes of contacts that the text needs."""
        self.literals: Final = self._template.literals
        """What is the same in all texts, and the defaults."""
        self.replaces_characters: Final = message.replaces_characters
        self._is_plain: Final = is_gsm7("".join(self.literals))

    def render(
        self,
        campaign: str,
        message: int,
        ordinals: Ordinals,
        columns: Mapping[str, Sequence[str]],
        signer: LinkSigner,
        numbers: Sequence[int] = (),
    ) -> list[str]:
        """The text of each recipient, in the order of `ordinals`; `columns`: attribute -> a value for each.

        A link is `BASE/c/TOKEN`; `{opt_out}` is `BASE/o/TOKEN` and needs `numbers`.
        """
        links = {
            key: _urls(signer.bases.short, click_tokens(signer.key, campaign, message, index, ordinals))
            for key, index in self._indices.items()
        }
        if self._opts_out:
            links[OPT_OUT] = _urls(signer.bases.opt_out, optout_tokens(signer.key, campaign, numbers), "o")
        return self._replaced(self._template.render_columns(columns, len(ordinals), links), columns)

    def lengths(self, columns: Mapping[str, Sequence[str]], n: int, bases: LinkBases) -> list[str]:
        """The texts of n recipients with links that are as long as the real ones, but lead nowhere."""
        return self._replaced(self.written(columns, n, bases), columns)

    def written(self, columns: Mapping[str, Sequence[str]], n: int, bases: LinkBases) -> list[str]:
        """The same before characters are replaced."""
        links = dict.fromkeys(self._indices, _urls(bases.short, [_LIKE_A_TOKEN]) * n)
        if self._opts_out:
            links[OPT_OUT] = _urls(bases.opt_out, [LIKE_AN_OPT_OUT], "o") * n
        return self._template.render_columns(columns, n, links)

    def segments(self, columns: Mapping[str, Sequence[str]], n: int, bases: LinkBases) -> NDArray[np.uint16]:
        """Segments of the text that `render` gives each of n recipients (tokens are not made: quicker)."""
        return count_many(self.lengths(columns, n, bases))

    def _replaced(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[str]:
        # Links are of plain characters.
        if not self.replaces_characters or (self._is_plain and self._are_plain(columns)):
            return texts
        return replace_characters(texts)

    def _are_plain(self, columns: Mapping[str, Sequence[str]]) -> bool:
        return all(is_gsm7("".join(columns.get(name, ()))) for name in self.fields)


def compile_lane_message(message: LaneMessage) -> Renderer:
    """The renderer of a lane's message.

    Raises:
        pipeline.content.render.TemplateError: the text is not a valid template.
        ValueError: it has a link that `message.links` does not name.
    """
    return Renderer(message)


@lru_cache(maxsize=4096)
def domain_kinds(text: str) -> tuple[DomainKind, ...]:
    """The kinds of domains that the links of a message's text need.

    Raises:
        pipeline.content.render.TemplateError: the text is not a valid template.
    """
    template = compile_template(text)
    needs = {"short": bool(template.links), "opt-out": OPT_OUT in template.specials}
    return tuple(kind for kind in KINDS if needs[kind])


def _urls(base: str, tokens: list[str], kind: str = "c") -> list[str]:
    prefix = f"{base}/{kind}/"
    return [prefix + token for token in tokens]
