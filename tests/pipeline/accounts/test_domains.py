"""Domains of an account: the parts of a limit over the lanes, whatever is late or comes twice; pools and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError

from pipeline.accounts.changes import apply
from pipeline.accounts.domains import behind, domain_terms, link_bases, pool_of, required_kinds, take_report
from pipeline.accounts.holding import Holding
from pipeline.accounts.transitions import WriteTerms
from schemas.accounts import AccountDocument, AccountSpec
from schemas.domains import DomainsDocument, DomainUse, HostName, LaneUse
from schemas.lane import DomainTerms
from tests.pipeline.accounts.making import AT, WORLD, change, command, held, kept

NAME = "go.example"
HOST: TypeAdapter[str] = TypeAdapter(HostName)


def listed(messages: int | None, **more: Any) -> dict[str, Any]:
    return {"domains": {NAME: {"messages": messages, **more}}}


class Lanes:
    """An account's step and its lanes, with what is on its way between them. Anything may come late, twice, or not at
    all; a lane takes only what is newer."""

    def __init__(self, limit: int, lanes: Sequence[int]) -> None:
        self.limit = limit
        self.holding = held(command(change(**listed(limit)), change("main", lanes=list(lanes))))
        self.lanes = {lane: _Lane() for lane in range(4)}
        self.sent: list[tuple[int, DomainTerms]] = []
        self.reports: list[DomainUse] = []
        self.starved: set[int] = set()
        self.number = 1
        self._tell(domain_terms(self.document, self.account, AT))

    @property
    def document(self) -> DomainsDocument:
        assert self.holding.domains is not None
        return self.holding.domains

    @property
    def account(self) -> AccountDocument:
        assert self.holding.account is not None
        return self.holding.account

    @property
    def carried(self) -> int:
        return sum(lane.used for lane in self.lanes.values())

    def _tell(self, terms: list[tuple[int, DomainTerms]]) -> None:
        self.sent += terms

    def change(self, limit: int, lanes: Sequence[int]) -> None:
        """A person raises the limit, or moves the sender."""
        self.limit = limit
        self.number += 1
        sender = self.holding.senders["main"]
        changes = [
            change(expected=self.account.revision, **listed(limit)),
            change("main", expected=sender.revision, lanes=list(lanes)),
        ]
        transition = apply(self.holding, command(*changes, at=AT + self.number, id=f"c{self.number}"), WORLD)
        assert transition.verdict in ("done", "unchanged"), transition.error
        self.holding = kept(self.holding, transition, f"c{self.number}")
        terms = [effect for effect in transition.effects if isinstance(effect, WriteTerms)]
        self._tell([(effect.lane, effect.record) for effect in terms if isinstance(effect.record, DomainTerms)])

    def land(self, n: int, *, again: bool) -> None:
        """A lane reads of limits."""
        if self.sent:
            lane, terms = self.sent[n % len(self.sent)]
            if not again:
                self.sent.remove((lane, terms))
            self.lanes[lane].take(terms)

    def carry(self, lane: int, messages: int) -> None:
        """A lane submits as many as it may."""
        own = self.lanes[lane]
        going = min(messages, own.left)
        own.used += going
        own.offset += 1
        if going < messages:
            self.starved.add(lane)

    def give_back(self, lane: int) -> None:
        """Some were not processed."""
        own = self.lanes[lane]
        own.used -= min(own.used, 2)
        own.offset += 1

    def report(self, lane: int) -> None:
        own = self.lanes[lane]
        starved = lane in self.starved and not own.left
        use = LaneUse(
            lane=lane,
            as_of=own.offset,
            revision=own.revision,
            used={NAME: own.used} if own.used else {},
            starved=["short"] if starved else [],
        )
        self.reports.append(DomainUse(account="demo", at=AT, use=use))

    def hear(self, n: int, *, again: bool) -> None:
        """The step reads a report."""
        if not self.reports:
            return
        report = self.reports[n % len(self.reports)]
        if not again:
            self.reports.remove(report)
        reported = take_report(self.document, self.account, report)
        self.holding = replace_domains(self.holding, reported.document)
        waiting = behind(self.document)
        self._tell(
            [(lane, terms) for lane, terms in domain_terms(self.document, self.account, AT) if lane in waiting]
        )

    def settle(self) -> None:
        """Everything arrives, until nothing changes."""
        for _ in range(60):
            before = (self.document, [(lane.used, lane.revision) for lane in self.lanes.values()])
            while self.sent:
                self.land(0, again=False)
            for lane in self.document.lanes:
                if lane in self.starved:
                    self.carry(lane, 1_000)
                else:
                    self.lanes[lane].offset += 1
                self.report(lane)
            while self.reports:
                self.hear(0, again=False)
            after = (self.document, [(lane.used, lane.revision) for lane in self.lanes.values()])
            if [use.used for use in before[0].uses] == [use.used for use in after[0].uses] and not self.sent:
                return
        raise AssertionError("the lanes do not come to rest")


class _Lane:
    def __init__(self) -> None:
        self.revision = 0
        self.allowed = 0
        self.used = 0
        self.offset = 0

    @property
    def left(self) -> int:
        return max(0, self.allowed - self.used)

    def take(self, terms: DomainTerms) -> None:
        self.offset += 1
        if terms.revision > self.revision:
            self.revision = terms.revision
            self.allowed = sum(limit.messages or 0 for limit in terms.domains)


def replace_domains(holding: Holding, document: DomainsDocument) -> Holding:
    return Holding(holding.account, holding.senders, holding.answers, document)


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["land", "land", "again", "carry", "carry", "give", "report", "hear", "hear", "twice", "raise"]
        ),
        st.integers(0, 30),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(limit=st.integers(0, 60), lanes=st.sets(st.integers(0, 3), min_size=1), history=steps)
@settings(max_examples=600, deadline=None)
def test_the_parts_of_a_limit_never_exceed_it_and_leave_nothing(
    limit: int, lanes: set[int], history: list[tuple[str, int, int]]
) -> None:
    world = Lanes(limit, sorted(lanes))
    for what, n, lane in history:
        match what:
            case "land" | "again":
                world.land(n, again=what == "again")
            case "carry":
                world.carry(lane, n)
            case "give":
                world.give_back(lane)
            case "report":
                world.report(lane)
            case "hear" | "twice":
                world.hear(n, again=what == "twice")
            case "raise":
                lanes = {lane, (lane + n) % 4}
                world.change(world.limit + n, sorted(lanes))
        assert world.carried <= world.limit
        assert sum(item.ceiling for item in world.document.allotments) <= world.limit
    hungry = sorted(lanes)[0]
    world.starved = {hungry}
    world.settle()
    assert world.carried == world.limit, "who has recipients gets all that is left, wherever it was"


def test_one_lane_has_the_whole_limit_at_once_and_a_lower_one_holds_at_once() -> None:
    world = Lanes(100, [2])
    assert [(lane, terms.domains[0].messages) for lane, terms in world.sent] == [(2, 100)]
    world.sent.clear()
    world.change(40, [2])
    assert [(lane, terms.domains[0].messages) for lane, terms in world.sent] == [(2, 40)]
    world.sent.clear()
    world.change(70, [2])
    assert [terms.domains[0].messages for _, terms in world.sent] == [40], "what it may have used meanwhile counts"
    world.settle()
    assert world.lanes[2].allowed == 70


def test_a_crossing_is_told_once_and_again_after_it_was_over() -> None:
    world = Lanes(100, [0])
    told: Counter[int] = Counter()
    for used, offset in [(89, 1), (90, 2), (90, 2), (95, 3), (95, 4)]:
        use = LaneUse(lane=0, as_of=offset, revision=1, used={NAME: used})
        reported = take_report(world.document, world.account, DomainUse(account="demo", at=AT, use=use))
        world.holding = replace_domains(world.holding, reported.document)
        told.update(reported.crossed.values())
    assert told == {1: 2}, "the report that came again names its crossing again"
    world.change(200, [0])
    for used, offset in [(96, 5), (180, 6)]:
        use = LaneUse(lane=0, as_of=offset, revision=1, used={NAME: used})
        reported = take_report(world.document, world.account, DomainUse(account="demo", at=AT, use=use))
        world.holding = replace_domains(world.holding, reported.document)
        told.update(reported.crossed.values())
    assert told == {1: 2, 3: 1}


def test_an_old_report_changes_nothing() -> None:
    world = Lanes(100, [0])
    new, old = (LaneUse(lane=0, as_of=offset, revision=1, used={NAME: offset}) for offset in (9, 5))
    document = take_report(world.document, world.account, DomainUse(account="demo", at=AT, use=new)).document
    again = take_report(document, world.account, DomainUse(account="demo", at=AT, use=old)).document
    assert again == document
    assert document.used() == {NAME: 9}


def test_pools_and_where_links_begin() -> None:
    spec = AccountSpec.model_validate(
        {
            "domains": {
                "go.example": {"messages": 100},
                "longer.shop.example": {"messages": 50},
                "off.shop.much-longer.example": {"active": False},
                "bye.example": {"kind": "opt-out"},
            }
        }
    )
    assert required_kinds(spec) == ["short", "opt-out"]
    bases = link_bases(spec, "https://s.example:8443")
    assert (bases.short, bases.opt_out) == ("https://longer.shop.example:8443", "https://bye.example:8443")
    document = DomainsDocument(
        account="demo",
        revision=1,
        lanes=[0],
        allotments=[],
        uses=[LaneUse(lane=0, as_of=1, revision=1, used={"go.example": 130, "longer.shop.example": 1})],
    )
    short, opt_out = pool_of(spec, document, "short"), pool_of(spec, document, "opt-out")
    assert short is not None
    assert opt_out is not None
    assert (short.limit, short.used, short.left) == (150, 101, 49), "one beyond its limit takes nothing from another"
    assert (opt_out.limit, opt_out.left, opt_out.is_nearly_used) == (None, None, False)
    plain = AccountSpec()
    assert (required_kinds(plain), pool_of(plain, None, "short")) == ([], None)
    assert link_bases(plain, "https://s.example").short == "https://s.example"
    assert required_kinds(AccountSpec(own_domains=True)) == ["short", "opt-out"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Go.Example.com", "go.example.com"),
        (" go.example.com. ", "go.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_kept_as_browsers_send_it(written: str, name: str) -> None:
    assert HOST.validate_python(written) == name


@pytest.mark.parametrize(
    "written",
    [
        "", "https://go.example", "go.example/x", "go.example:443", "10.0.0.1", "[::1]", "localhost", "go",
        "-go.example", "go-.example", "go..example", "go_1.example", "a b.example", "user@go.example", "*.example",
        "go.example?x",
        "x" * 61 + ".example", "⒈.example", "go.1",
    ],
)  # fmt: skip
def test_what_is_no_host_name_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        HOST.validate_python(written)


def test_a_domain_belongs_to_one_account_and_none_leads_to_the_phone_itself() -> None:
    taken = command(change(**listed(10)))
    for around, words in (
        ({"domain_owners": {NAME: "shop"}}, "is a domain of account shop"),
        ({"domain_owners": {NAME: "demo"}}, ""),
    ):
        transition = apply(Holding(), taken, replace_world(**around))
        assert words in transition.error
        assert (transition.verdict == "done") == (not words)
    local = command(change(domains={"go.localhost": {}}))
    assert "leads to each phone itself" in apply(Holding(), local, WORLD).error
    assert apply(Holding(), local, replace_world(is_local=True)).verdict == "done"


def replace_world(**more: Any) -> Any:
    from dataclasses import replace as changed

    return changed(WORLD, **more)


def test_a_command_that_comes_again_tells_the_lanes_again() -> None:
    again = command(change(**listed(10)), change("main"))
    first = apply(Holding(), again, WORLD)
    holding = kept(Holding(), first, "c1")
    second = apply(holding, again, WORLD)
    terms = [[effect for effect in item.effects if isinstance(effect, WriteTerms)] for item in (first, second)]
    domains = [[item for item in of if isinstance(item.record, DomainTerms)] for of in terms]
    assert domains[0] == domains[1] != []


def test_a_removed_account_leaves_its_lanes_without_domains() -> None:
    world = Lanes(10, [0])
    world.sent.clear()
    removal = command(replace(change(expected=world.account.revision), spec=None), at=AT + 9, id="c9")
    transition = apply(world.holding, removal, WORLD)
    assert transition.verdict == "done"
    terms = [effect.record for effect in transition.effects if isinstance(effect, WriteTerms)]
    assert [record.domains for record in terms if isinstance(record, DomainTerms)] == [[]]
