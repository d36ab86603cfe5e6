"""The forecast of a campaign as a result and a sentence: finish, recipients not reached, limiting constraint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.insight.forecast import CompetingCampaign, Flow, Group, Held, Precedence, flow
from pipeline.timing import tz
from schemas.times import to_minute

Binding = Literal["rate", "other_campaigns", "quiet_hours", "deadline", "nobody"]
_WORTH_SAYING_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked. `limit`: segments/s that the sender is configured with, `rate` what its lanes keep up of it;
    `begin`, `deadline` in ms. Windows are known up to `horizon` (ms), `days` after the campaign may begin."""

    sender: str
    limit: float
    rate: float
    begin: int
    deadline: int | None
    horizon: int
    days: int
    precedence: Precedence
    groups: Sequence[Group]
    competitors: Sequence[CompetingCampaign] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneForecast:
    """One zone: `finish` (ms) is None where `unreached` are left."""

    zone: str
    recipients: int
    finish: int | None
    unreached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`finish` (ms): when the last is handed over, None where `unreached` are not, before the deadline or as far as
    is known. `seconds` from `begin` to the finish, or to the deadline. `needs`: seconds that the sender's limit alone
    takes. Nothing is known of the time after `horizon` (ms); `beyond_horizon`: the finish of those unreached, or that
    there is none, lies there."""

    recipients: int
    segments: int
    begin: int
    finish: int | None
    seconds: float | None
    needs: float
    unreached: int
    horizon: int
    beyond_horizon: bool
    binding: Binding
    why: str
    zones: tuple[ZoneForecast, ...]


def forecast(question: Question) -> Forecast:
    """The forecast of a campaign."""
    asked = question
    segments = sum(group.segments for group in asked.groups)
    stop = asked.horizon if asked.deadline is None else min(asked.deadline, asked.horizon)
    flow = _flow(asked, asked.groups, asked.competitors, stop)
    unreached = round(sum(flow.left))
    beyond = asked.deadline is None or asked.deadline > asked.horizon
    alone = asked.begin + 1000 * segments / asked.rate
    crowded = _end(_flow(asked, _open(asked.groups), asked.competitors, None))
    whole = flow if stop == asked.horizon else _flow(asked, asked.groups, asked.competitors, asked.horizon)
    binding = _binding(asked, alone, crowded, _known_end(asked, whole, crowded), unreached)
    end = flow.finish if flow.finish is not None or beyond else asked.deadline
    return Forecast(
        recipients=round(sum(group.recipients for group in asked.groups)),
        segments=round(segments),
        begin=asked.begin,
        finish=flow.finish,
        seconds=None if end is None else (end - asked.begin) / 1000,
        needs=segments / asked.limit,
        unreached=unreached,
        horizon=asked.horizon,
        beyond_horizon=beyond and flow.finish is None,
        binding=binding,
        why=_why(asked, alone, crowded, whole, unreached),
        zones=_zones(asked.groups, flow),
    )


def _known_end(asked: Question, whole: Flow, crowded: float) -> float:
    """The end as far as it is known: the effect of quiet hours after the horizon is not."""
    return max(float(asked.horizon), crowded) if whole.finish is None else float(whole.finish)


def _flow(
    asked: Question, groups: Sequence[Group], competitors: Sequence[CompetingCampaign], deadline: int | None
) -> Flow:
    return flow(groups, asked.rate, asked.begin, asked.precedence, competitors, deadline)


def _open(groups: Sequence[Group]) -> list[Group]:
    return [Group(group.zone, group.recipients, group.segments) for group in groups]


def _end(flow: Flow) -> float:
    return float("inf") if flow.finish is None else float(flow.finish)


def _binding(asked: Question, alone: float, crowded: float, whole: float, unreached: int) -> Binding:
    if not asked.groups:
        return "nobody"
    costs: dict[Binding, float] = {
        "rate": alone - asked.begin,
        "other_campaigns": crowded - alone,
        "quiet_hours": whole - crowded,
    }
    if unreached and asked.deadline is not None and alone - asked.begin <= 0:
        return "deadline"
    return max(costs, key=lambda name: costs[name])


def _why(asked: Question, alone: float, crowded: float, whole: Flow, unreached: int) -> str:
    if not asked.groups:
        return "no recipients to send to"
    needs = (alone - asked.begin) / 1000
    parts = [f"{asked.sender} {asked.limit:g} segments/s: needs {duration(needs)}"]
    if crowded - alone > _WORTH_SAYING_MS:
        names = ", ".join(competitor.name for competitor in asked.competitors[:3])
        more = f" and {len(asked.competitors) - 3} more" if len(asked.competitors) > 3 else ""
        parts.append(f"other campaigns on its lanes add {duration((crowded - alone) / 1000)} ({names}{more})")
    if _known_end(asked, whole, crowded) - crowded > _WORTH_SAYING_MS:
        parts.append(_quiet(whole, asked.begin))
    if unreached and asked.deadline is not None and asked.deadline <= asked.horizon:
        parts.append(f"{unreached:,} are not reached before the deadline at {to_minute(asked.deadline)}")
    elif unreached:
        parts.append(_beyond(asked, unreached))
    return "; ".join(parts)


def _beyond(asked: Question, unreached: int) -> str:
    reached = round(sum(group.recipients for group in asked.groups)) - unreached
    return (
        f"the finish is later than the {asked.days} days of the forecast: by {to_minute(asked.horizon)} {reached:,} "
        f"are submitted, and the finish of the other {unreached:,} is not known"
    )


def _quiet(whole: Flow, begin: int) -> str:
    """The window that closed on the most recipients, else the one that opened last."""
    closed = [held for held in whole.held if held.at > begin and held.recipients >= 1]
    if closed:
        return _closing(max(closed, key=lambda held: held.recipients))
    waited = max(whole.held, key=lambda held: float("inf") if held.until is None else held.until, default=None)
    if waited is None:
        return "some recipients are never outside quiet hours"
    if waited.until is None:
        return f"quiet hours never end in {waited.zone}"
    return f"window opens at {_local(waited.until, waited.zone)} in {waited.zone} for {waited.recipients:,.0f}"


def _closing(held: Held) -> str:
    text = f"window closes at {_local(held.at, held.zone)} in {held.zone} with {held.recipients:,.0f} still waiting"
    return text if held.until is None else f"{text}, opens again {_local(held.until, held.zone, day=True)}"


def _zones(groups: Sequence[Group], flow: Flow) -> tuple[ZoneForecast, ...]:
    by_zone: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        by_zone.setdefault(group.zone, []).append(index)
    return tuple(_zone(name, groups, flow, here) for name, here in by_zone.items())


def _zone(name: str, groups: Sequence[Group], flow: Flow, here: Sequence[int]) -> ZoneForecast:
    unreached = round(sum(flow.left[index] for index in here))
    ends = [end for index in here if (end := flow.ends[index]) is not None]
    return ZoneForecast(
        zone=name,
        recipients=round(sum(groups[index].recipients for index in here)),
        finish=max(ends) if ends and not unreached else None,
        unreached=unreached,
    )


def duration(seconds: float) -> str:
    """`18 h 31 min`, `4 min 10 s`, `2 d 3 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _local(at: int, zone: str, day: bool = False) -> str:
    return f"{tz.local(at, zone):{'%a %H:%M' if day else '%H:%M'}}"
