"""The texts of a campaign as they go out, and the problems that do not depend on the recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.content.placeholders import find_in_link
from pipeline.content.render import Template, TemplateError, compile_template, with_opt_out_language, with_site_name
from pipeline.content.template import ForeignPlaceholder
from schemas.campaign import DraftSpec, Wording

PLAIN: Final = Wording(site_name="")
"""Where no account is known: its texts as they are written."""

NOBODY_REACHED: Final = "nobody_reached"
PLACEHOLDER: Final = "placeholder"
"""Code of a placeholder of another system, or one that is never filled in: even a draft with it is refused."""

MISSING: Final = "missing"
"""Code of what a draft lacks (`pipeline.campaign.completeness`)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` in the spec (`messages.0.text`) and `what` is wrong or worth knowing, with what to do. `code` names the
    findings that need special treatment, "" for all others."""

    where: str
    what: str
    code: str = ""


def effective_text(text: str, wording: Wording, opt_out_language: str) -> str:
    """The template as it goes out: the site's name in front where the account wants it there, opt-out language at the
    end.

    Raises TemplateError.
    """
    named = with_site_name(text, wording.site_name) if wording.site_name_rule == "add" else text
    return with_opt_out_language(named, opt_out_language)


def lacks_site_name(template: Template, wording: Wording) -> bool:
    """Whether an account wants its name in each text, and this one has it nowhere; case does not count."""
    name = wording.site_name.strip().casefold()
    written = "\n".join(template.literals).casefold()
    return wording.site_name_rule == "check" and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", written)


def replaces_characters(spec: DraftSpec, wording: Wording) -> bool:
    """Whether characters that force UCS-2 are replaced in a campaign's texts."""
    return wording.replaces_characters if spec.replace_characters is None else spec.replace_characters


def check_texts(spec: DraftSpec, wording: Wording) -> tuple[list[Template | None], list[Finding]]:
    """The template of each message as it goes out (None where it is none, or is still to be written), and all that is
    wrong with texts and links: nothing of it may be launched."""
    problems: list[Finding] = []
    templates = [_template(index, spec, wording, problems) for index in range(len(spec.messages))]
    return templates, problems


def _template(index: int, spec: DraftSpec, wording: Wording, problems: list[Finding]) -> Template | None:
    message = spec.messages[index]
    where = f"messages.{index}.text"
    problems += _placeholders(index, message.links)
    if not message.text:
        return None
    try:
        compile_template(message.text)
    except TemplateError as error:
        problems.append(_problem(where, error))
        return None
    try:
        template = compile_template(effective_text(message.text, wording, spec.opt_out_language))
    except TemplateError as error:
        problems.append(_problem("opt_out_language", error))
        return None
    problems += _unaddressed(index, template, message.links)
    return template


def _unaddressed(index: int, template: Template, links: Mapping[str, object]) -> list[Finding]:
    return [
        Finding(
            f"messages.{index}.text",
            f"{'{link}' if name == 'default' else f'{{link:{name}}}'} has no address; "
            f'add links = {{{name} = "https://…"}} to the message',
        )
        for name in template.links
        if name not in links
    ]


def _placeholders(index: int, links: Mapping[str, object]) -> list[Finding]:
    problems = []
    for name, address in links.items():
        written = find_in_link(str(address))
        if written:
            what = (
                f"{written} is not filled in where a link leads to: everybody would be led to just these characters"
            )
            remedy = "take it out; clicks are counted by recipient without it"
            problems.append(Finding(f"messages.{index}.links.{name}", f"{what}; {remedy}", PLACEHOLDER))
    return problems


def _problem(where: str, error: TemplateError) -> Finding:
    return Finding(where, str(error), PLACEHOLDER if isinstance(error, ForeignPlaceholder) else "")
