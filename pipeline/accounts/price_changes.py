"""Changes of a price list, as one pure function over its document; the rules are those of `changes`."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace as changed
from pydantic import ValidationError

from pipeline.accounts.transitions import Transition, answer_to, stale, wrong_fields
from schemas.accounts import Answers, PriceCommand, PriceListDocument, PriceListSpec, prices_key


def apply(
    known: PriceListDocument | None, answers: Answers | None, command: PriceCommand, used_by: Collection[str]
) -> Transition:
    """Apply a command. `used_by`: the accounts whose price list it is."""
    answer = answer_to(answers, command.id)
    if answer is not None:
        return Transition(answer.verdict, answer.error)
    if known is not None and known.command == command.id:
        return Transition("done")
    what = f"price list {command.name}"
    if command.spec is None and (known is None or known.removed):
        return Transition("absent", f"there is no {what}")
    if command.expected != (0 if known is None else known.revision):
        return stale(what, known)
    if command.spec is None and used_by and command.name != "default":
        return Transition("in_use", f"{what} holds for {', '.join(sorted(used_by)[:5])}: give them another one first")
    return _changed(known, command)


def _changed(known: PriceListDocument | None, command: PriceCommand) -> Transition:
    revision = max((0 if known is None else known.revision) + 1, command.at)
    if command.spec is None:
        assert known is not None, "refused before"
        after = changed(
            known, revision=revision, updated=command.at, by=command.by, command=command.id, removed=command.at
        )
        return Transition("done", writes=((prices_key(command.name), after),))
    try:
        form = PriceListSpec.model_validate(command.spec).model_dump(mode="json")
    except ValidationError as error:
        return Transition("wrong", wrong_fields(error.title, error))
    if known is not None and not known.removed and known.spec == form:
        return Transition("unchanged")
    after = PriceListDocument(
        name=command.name,
        spec=form,
        revision=revision,
        created=command.at if known is None or known.removed else known.created,
        updated=command.at,
        by=command.by,
        command=command.id,
    )
    return Transition("done", writes=((prices_key(command.name), after),))
