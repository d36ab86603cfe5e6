"""Documents and terms that several tests of the rules use."""

from __future__ import annotations

from typing import Any

from pipeline.accounts.prices import PriceList, compiled
from pipeline.campaign.plan import CampaignPlan, Terms, compile_plan
from pipeline.content.outgoing import everywhere
from pipeline.timing.quiet_hours import QuietHours
from schemas.accounts import PriceListSpec
from schemas.campaign import CampaignDocument, CampaignSpec, LaunchedSender, Wording

NOW = 1_800_000_000_000
HOUR = 3_600_000
ID = "0000000a"


def priced(other: str = "", **countries: str) -> PriceList:
    """A price list: credits per segment by country, and for all others ("": none)."""
    prices = {**countries, **({"*": other} if other else {})}
    entries = [{"from": "2000-01-01", "country": country, "price": price} for country, price in prices.items()]
    return compiled(PriceListSpec.model_validate({"prices": entries}))


MAIN = LaunchedSender(sender="main", country="US", lanes=[4, 2], rate=100.0)
TERMS = Terms(
    account_number=7,
    wording=Wording(site_name="Harbor & Pine"),
    store_zone="America/New_York",
    senders=[MAIN],
    prices=priced(US="0.0079", other="0.04"),
    links=everywhere("https://hp.example"),
    segments_per_second=100.0,
    quiet=QuietHours("none"),
)


def spec(text: str = "Hi {first_name|there}", **changes: Any) -> dict[str, Any]:
    """The JSON form of a spec with one message."""
    links = changes.pop("links", {})
    given = {"name": "Sale", "audience": {"lists": ["all"]}, "messages": [{"text": text, "links": links}], **changes}
    return CampaignSpec.model_validate(given).model_dump(mode="json")


def document(status: str = "sending", text: str = "Hi {first_name|there}", **changes: Any) -> CampaignDocument:
    """A document launched as revision 2 with 1,000 recipients; `changes` of its spec or of itself."""
    own = {name: changes.pop(name) for name in tuple(changes) if name in CampaignDocument.__struct_fields__}
    fields = {
        "id": ID,
        "spec": spec(text, **changes),
        "status": status,
        "revision": 5,
        "created": NOW - HOUR,
        "updated": NOW,
        "launched": NOW,
        "launch_revision": 2,
        "recipients": 1000,
        "lanes": [4, 2],
        "senders": [MAIN] if own.get("lanes", True) else [],
        **own,
    }
    return CampaignDocument(**fields)


def plan(**changes: Any) -> CampaignPlan:
    return compile_plan(document(**changes), TERMS)
