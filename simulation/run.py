"""Runs campaigns from launch to the last receipt on a virtual clock, with production's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtest.aggregator.script import Script
from pipeline.audience.fanout import chunks
from pipeline.campaign.plan import CampaignPlan, Terms, compile_plan
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.unreachable import NOBODY, UnreachableNumbers
from pipeline.limits.smart_sending import identity_of, move, release
from schemas.campaign import CampaignDocument, CampaignSpec
from schemas.chunk import FanoutRange, Move, RecipientChunk, Release
from schemas.feedback import Consent, ConsentState
from schemas.lane import AccountTerms, Control, SenderTerms
from schemas.status import StatusChunk
from simulation.aftermath import Aftermath
from simulation.aggregator import ModelledAggregator
from simulation.audience import Audience
from simulation.breaker import SimulatedBreaker
from simulation.clock import Clock
from simulation.lane import SimulatedLane, World
from simulation.tally import Tally
from simulation.timeline import Timeline

DECIDED_PER_SECOND: Final = 30_000
"""Recipients that pass eligibility in a second (`longwave bench whole`)."""
CHUNKS_AT_ONCE: Final = 10
SLICES: Final = 2_500
"""Slices that a simulation is cut into at most, so that a day at a slow rate takes seconds."""
LONGEST_MS: Final = 400 * 86_400_000
REVISION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A campaign to be simulated, launched `delay_ms` after the start. `lane_terms`: (lane, what its log says of the
    account and the sender). `batch`, `in_flight`: messages in a request, and such requests at a time, at most."""

    id: str
    spec: CampaignSpec
    audience: Audience
    terms: Terms
    lane_terms: Sequence[tuple[int, AccountTerms | SenderTerms]]
    batch: int
    in_flight: int
    delay_ms: int = 0
    breaker_failures: int = 5
    """Failed batches in a row after which nothing more is submitted until the aggregator answers again."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of numbers at the start: smart-sending reservations by bucket, and who cannot be reached."""

    reservations: dict[int, bytes] = field(default_factory=dict)
    unreachable: UnreachableNumbers = NOBODY


@dataclass(slots=True)
class Outcome:
    """`tallies` in order of the launches; `ended` (ms) is when the last event had happened."""

    tallies: list[Tally]
    timelines: list[Timeline]
    plans: list[CampaignPlan]
    start: int
    ended: int
    events: int
    coarse: bool
    texts: list[Counter[str]]
    """What people wrote back to each, by what it was taken for; `opted_out`: whom that opted out."""
    outages: int
    """How often the circuit breaker opened."""


@dataclass(slots=True)
class _Running:
    launch: Launch
    plan: CampaignPlan
    tally: Tally
    waiting: Iterator[tuple[int, RecipientChunk]]
    timeline: Timeline = field(init=False)

    def __post_init__(self) -> None:
        page = self.launch.audience.page
        self.timeline = Timeline(self.tally, page, self.launch.terms.store_zone)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a simulation assumes. `script`: how the aggregator behaves; `start` in ms; `partitions`: of the topics;
    `exact`: slices as small as production's, however long that takes; `before`: what was known of numbers."""

    script: Script
    seed: int
    start: int
    partitions: int = 8
    exact: bool = False
    before: Before = field(default_factory=Before)


def simulate(launches: Sequence[Launch], conditions: Conditions) -> Outcome:
    """Run to the end.

    Raises:
        pipeline.campaign.plan.PlanError: a campaign cannot be sent as it is written.
    """
    return _Simulation(launches, conditions).run()


class _Simulation:
    def __init__(self, launches: Sequence[Launch], conditions: Conditions) -> None:
        script, start, before = conditions.script, conditions.start, conditions.before
        self._clock = Clock(start)
        self._start = start
        self._aggregator = ModelledAggregator(script, conditions.seed, start)
        self._breaker = SimulatedBreaker(self._clock, self._aggregator, launches[0].breaker_failures)
        self._table = dict(before.reservations)
        self._unreachable = before.unreachable
        self._optouts = OptOuts()
        for launch in launches:
            known: dict[ConsentState, NDArray[np.uint64]] = {
                "out": launch.audience.opted_out,
                "held": launch.audience.held,
            }
            for state, numbers in known.items():
                for number in numbers.tolist():
                    self._optouts.apply(_consent(launch.spec.account, number, state))
        self._campaigns = {
            launch.id: _running(launch, start + launch.delay_ms, conditions.partitions) for launch in launches
        }
        grain = 0 if conditions.exact or script.throttle.segments_per_second else self._grain()
        self._coarse = grain > 0
        self._aftermath = Aftermath(self._clock, self._tell, self._optouts, 60_000 if grain else 1000)
        self._lanes = self._made(launches, grain)

    def _grain(self) -> int:
        recipients = sum(len(campaign.launch.audience.page) for campaign in self._campaigns.values())
        return recipients // SLICES

    def _made(self, launches: Sequence[Launch], grain: int) -> dict[int, SimulatedLane]:
        quiet = {launch.spec.account: launch.terms.quiet for launch in launches}
        world = World(
            clock=self._clock,
            aggregator=self._aggregator,
            breaker=self._breaker,
            batch=launches[0].batch,
            in_flight=launches[0].in_flight,
            quiet=quiet.__getitem__,
            blocked=self._optouts.blocked_many,
            tell=self._tell,
            accepted=self._accepted,
        )
        lanes = sorted({lane for launch in launches for lane, _ in launch.lane_terms})
        return {lane: SimulatedLane(lane, world, grain) for lane in lanes}

    def run(self) -> Outcome:
        for running in self._campaigns.values():
            terms = [terms for _, terms in running.launch.lane_terms if isinstance(terms, SenderTerms)]
            rate = sum(sender.rate for sender in terms if sender.sender in running.launch.spec.senders)
            running.timeline.begin(self._start, running.tally.recipients / rate)
            self._clock.at_ms(self._start + running.launch.delay_ms, partial(self._launch, running))
        events = 0
        while (at := self._clock.next_ms()) is not None and at < self._start + LONGEST_MS:
            for running in self._campaigns.values():
                running.timeline.sample_until(at)
            self._clock.step()
            events += 1
        for running in self._campaigns.values():
            running.timeline.sample(self._clock.ms)
        campaigns = list(self._campaigns.values())
        return Outcome(
            tallies=[campaign.tally for campaign in campaigns],
            timelines=[campaign.timeline for campaign in campaigns],
            plans=[campaign.plan for campaign in campaigns],
            start=self._start,
            ended=self._clock.ms,
            events=events,
            coarse=self._coarse,
            outages=self._breaker.opened,
            texts=[self._aftermath.said[campaign.launch.id] for campaign in campaigns],
        )

    def _launch(self, running: _Running) -> None:
        plan, now = running.plan, self._clock.ms
        control = Control(
            campaign=plan.campaign, revision=REVISION, state="running", settings=plan.lane_settings(), at=now
        )
        for lane, terms in running.launch.lane_terms:
            self._lanes[lane].read(terms)
        for lane in running.launch.terms.lanes:
            self._lanes[lane].read(control)
        self._decide(running)

    def _decide(self, running: _Running) -> None:
        """The next chunks of a campaign pass eligibility."""
        passed = 0
        for _ in range(CHUNKS_AT_ONCE):
            following = next(running.waiting, None)
            if following is None:
                break
            chunk = following[1]
            passed += len(chunk.numbers)
            decision = decide(chunk, running.plan, self._table, self._optouts, self._clock.ms, self._unreachable)
            for status in decision.statuses:
                self._tell(status)
            for lane, work in decision.work:
                self._lanes[lane].read(work)
        if passed:
            self._clock.after(passed / DECIDED_PER_SECOND, lambda: self._decide(running))

    def _tell(self, effect: StatusChunk | Release | Move) -> None:
        if isinstance(effect, Move):
            move(self._table, effect.numbers, identity_of(effect.campaign, effect.message), effect.due)
        elif isinstance(effect, Release):
            release(self._table, effect.numbers, identity_of(effect.campaign, effect.message))
        else:
            self._campaigns[effect.campaign].tally.take(effect)

    def _accepted(self, key: tuple[str, int], ordinals: list[int], numbers: list[int]) -> None:
        codes = [""] * len(numbers)
        if self._aggregator.script.receipts:
            waits, codes = self._aggregator.receipts(numbers)
            self._aftermath.receipts(key, ordinals, waits.tolist(), codes)
        if self._campaigns[key[0]].plan.messages[key[1]].urls:
            self._aftermath.visits(key, ordinals, self._aggregator.visits(codes))
        self._aftermath.texts(
            key[0], self._campaigns[key[0]].launch.spec.account, numbers, self._aggregator.texts(codes)
        )


def _consent(account: str, number: int, state: ConsentState) -> Consent:
    return Consent(account=account, number=number, state=state, at=0, source="simulation")


def _running(launch: Launch, start: int, partitions: int) -> _Running:
    page = launch.audience.page
    document = CampaignDocument(
        id=launch.id,
        spec=launch.spec.model_dump(mode="json"),
        status="sending",
        revision=REVISION,
        created=start,
        updated=start,
        launched=start,
        launch_revision=REVISION,
        recipients=len(page),
        lanes=list(launch.terms.lanes),
        senders=list(launch.terms.senders),
    )
    plan = compile_plan(document, launch.terms)
    task = FanoutRange(campaign=launch.id, revision=REVISION, message=0, first=0, last=len(page))
    return _Running(launch, plan, Tally(launch.id, len(page)), chunks(task, page, partitions))
