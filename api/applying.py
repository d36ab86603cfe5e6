"""Files of campaigns under version control: which campaign a file names, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from adapters.clock import now_ms
from api.documents import shown
from api.services import Services
from api.web.body import checked_as
from api.web.caller import caller
from api.web.refusal import ApiError
from pipeline.campaign.actions import is_allowed
from pipeline.campaign.file import FieldChange, changes
from pipeline.campaign.status_commands import only_draft, other_identity
from pipeline.identity.tokens import campaign_id_of
from schemas.campaign import CampaignDocument, DraftFile, DraftSpec, stored
from schemas.json import JsonObject


@dataclass(frozen=True, slots=True)
class CampaignChange:
    """What a file makes of the campaign `id`. `before`: None where there is none. `refused`: why nothing of it can be
    changed, "" where it can."""

    id: str
    before: CampaignDocument | None
    after: DraftSpec
    what: Literal["added", "changed", "same"]
    changes: Sequence[FieldChange]
    refused: str = ""


def file_of(value: JsonObject) -> DraftFile:
    """The checked file in a request.

    Raises:
        ApiError: 422 it is no campaign, or does not say which.
    """
    file = checked_as(DraftFile, value, now_ms())
    if (file.key is None) == (file.id is None):
        what = (
            'say which campaign this is: key = "spring-sale", a name of your own for it, or id = "…" of one that has '
            "no key (`longwave campaign show ID --toml`)"
        )
        problem = what if file.key is None else "a campaign with a key has no other id: take one of both out"
        raise ApiError(422, f"key: {problem}", fields=[{"field": "key", "error": problem}])
    return file


def change_of(services: Services, file: DraftFile, spec: DraftSpec) -> CampaignChange:
    """What a file would change of what there is now.

    Raises:
        ApiError: 404 there is no campaign of that id that the caller's key sees.
    """
    campaign = file.id or campaign_id_of(file.account, file.key or "")
    before = services.campaigns.get(campaign)
    if before is None and file.id is None:
        return CampaignChange(campaign, None, spec, "added", ())
    if before is None or not caller().sees(before.account):
        raise ApiError(404, f"no campaign {campaign!r}; see `longwave campaign list`")
    after = stored(spec)
    fields = changes(before.spec, after)
    if not fields:
        return CampaignChange(campaign, before, spec, "same", ())
    refused = other_identity(before, after)
    if not refused and not is_allowed("edit", before.status):
        refused = only_draft(before, "edited")
    return CampaignChange(campaign, before, spec, "changed", fields, refused)


def answer(change: CampaignChange, *, dry_run: bool) -> JsonObject:
    """A change as JSON; typed numbers as the caller may see them."""
    return {
        "id": change.id,
        "key": change.after.key,
        "name": change.after.name,
        "what": change.what,
        "changes": [_shown(item) for item in change.changes],
        "refused": change.refused,
        "dry_run": dry_run,
        "carried_out": not dry_run,
    }


def _shown(item: FieldChange) -> JsonObject:
    if item.field != "audience.numbers":
        return asdict(item)
    sides = {
        side: None if numbers is None else shown({"audience": {"numbers": numbers}})["audience"]["numbers"]
        for side, numbers in (("before", item.before), ("after", item.after))
    }
    return {"field": item.field, **sides}
