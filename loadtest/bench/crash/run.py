"""`longwave bench crash`: kill anything at any moment, again and again, and hold all accounts against each other."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from aiokafka.partitioner import murmur2

from cli.client import api_of
from loadtest.bench.campaigns import fill, wait_until
from loadtest.bench.crash.account import Account
from loadtest.bench.crash.arrivals import Arrivals
from loadtest.bench.crash.findings import Findings, Recovery
from loadtest.bench.crash.killer import Killer, Struck
from loadtest.bench.crash.load import Load
from loadtest.bench.crash.plan import Blow
from loadtest.bench.crash.recovery import Back, back
from loadtest.bench.crash.stops import Stops
from loadtest.bench.crash.unknowns import claims, left_unknown
from loadtest.bench.stack import Stack, private_stack
from pipeline.limits.rate import most_unknown
from schemas.wire import CHUNK_LIMIT

RATE: Final = 1000
"""Segments per second of a lane: slices of 100 messages, ten a second, so that a pause shows at once."""
AUDIENCE: Final = "crash"
PATIENCE: Final = 240.0
"""Seconds after a blow within which every lane must send again, else the run ends there."""
END_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What is killed: campaigns of `recipients` each under `policy` over `lanes` on `workers`, with `backlog` seconds
    of work always waiting. `seed` is for the order and the moments of the blows."""

    policy: str
    recipients: int = 100_000
    seed: int = 1
    lanes: tuple[int, ...] = (0, 1, 2, 3)
    backlog: int = 25
    workers: int = 2
    stops_per_second: float = 5.0
    """STOPs of people who wait for a message, texted all the time."""


def carried_out(setting: Setting, blows: list[Blow], report: Callable[[str], None]) -> Findings:
    """The blows one after the other, on a stack of their own."""
    with tempfile.TemporaryDirectory(prefix="longwave-crash-") as name:
        folder = Path(name)
        script = folder / "script.toml"
        script.write_text(_script(setting.policy))
        with private_stack(_settings(setting), workers=setting.workers, script=script) as stack:
            return _Run(stack, setting, report).through(blows, folder)


class _Run:
    def __init__(self, stack: Stack, setting: Setting, report: Callable[[str], None]) -> None:
        self._stack = stack
        self._report = report
        window = most_unknown(RATE, CHUNK_LIMIT, stack.settings.worker.in_flight)
        self._findings = Findings(policy=setting.policy, window=window)
        self._arrivals = Arrivals(stack.settings.data / "aggregator", list(setting.lanes), setting.recipients)
        backlog = setting.backlog * RATE * len(setting.lanes)
        self._load = Load(stack.settings, AUDIENCE, setting.recipients, setting.policy, backlog)
        self._load.taken = lambda: self._arrivals.taken
        self._killer = Killer(stack, setting.seed, self._coordinating)
        sender = stack.sender().number
        self._stops = Stops(stack.settings, sender, setting.recipients, setting.stops_per_second, setting.seed)
        fill(stack.settings, AUDIENCE, setting.recipients)

    def through(self, blows: list[Blow], folder: Path) -> Findings:
        began = time.monotonic()
        self._load.start()
        try:
            wait_until("every lane sends", self._all_send, PATIENCE)
            self._stops.start()
            self._blows(blows)
        finally:
            self._stops.stop()
            self._load.stop()
        self._report(f"{len(blows)} blows in {time.monotonic() - began:.0f} s; waiting for the campaigns' ends")
        self._end()
        self._account(folder)
        self._findings.seconds = time.monotonic() - began
        return self._findings

    def _blows(self, blows: list[Blow]) -> None:
        """All of them; after one from which a lane does not come back, the others are left out."""
        for number, blow in enumerate(blows, 1):
            try:
                self._one(number, len(blows), blow)
            except RuntimeError as error:
                self._findings.trouble.append(str(error))
                self._report(str(error))
                self._keep_logs()
                return

    def _one(self, number: int, of: int, blow: Blow) -> None:
        self._rest(blow.pause)
        struck = self._killer.strike(blow)
        backs = self._recovered(struck)
        recovery = Recovery(
            blow.kind,
            struck.at,
            longest=max(back_.longest for back_ in backs),
            settled=max(back_.settled for back_ in backs),
            since_death=None if struck.death is None else self._longest_since(struck.death),
        )
        self._findings.recoveries.append(recovery)
        hit = ", ".join(struck.hit) or "-"
        self._report(
            f"{number:3}/{of} {blow.kind:11} {hit:10} longest pause of a lane {recovery.longest:5.1f} s, "
            f"all steady after {recovery.settled:5.1f} s, {self._arrivals.taken:,} taken"
        )

    def _recovered(self, struck: Struck) -> list[Back]:
        until = time.monotonic() + PATIENCE
        while True:
            self._arrivals.catch_up()
            backs = self._backs(struck.at)
            if all(backs) and self._killer.recovered(struck):
                return [back_ for back_ in backs if back_ is not None]
            if time.monotonic() > until:
                still = [lane for lane, back_ in zip(self._arrivals.times, backs, strict=True) if back_ is None]
                states = {name: entry["state"] for name, entry in self._stack.entries().items()}
                raise RuntimeError(f"{PATIENCE:.0f} s after {struck} lanes {still} do not send steadily; {states}")
            time.sleep(0.1)

    def _backs(self, since: float) -> list[Back | None]:
        """Of each lane, what its arrivals from `since` on say."""
        return [back(times, since, time.time()) for times in self._arrivals.times.values()]

    def _longest_since(self, death: float) -> float:
        """The longest pause of any lane from then on; all are back."""
        return max(back_.longest for back_ in self._backs(death) if back_ is not None)

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._arrivals.catch_up()
            time.sleep(0.05)

    def _all_send(self) -> bool:
        self._arrivals.catch_up()
        return all(back(times, times[0], time.time()) if times else False for times in self._arrivals.times.values())

    def _coordinating(self) -> int:
        """Partition of the commands of the newest campaign."""
        hashed: int = murmur2(self._load.campaigns[-1].encode())
        return (hashed & 0x7FFFFFFF) % self._stack.settings.kafka.partitions

    def _end(self) -> None:
        def ended() -> bool:
            self._load.look()
            shown = [self._load.shown.get(campaign, {}) for campaign in self._load.campaigns]
            return all(document.get("status") == "finished" for document in shown)

        try:
            wait_until("all campaigns are finished", ended, END_SECONDS, pause=0.5)
        except RuntimeError as error:
            left = {
                document_["id"]: {
                    "status": document_["status"],
                    **{k: n for k, n in document_["figures"]["states"].items() if n},
                }
                for document_ in self._load.shown.values()
                if document_["status"] != "finished" and document_["figures"]
            }
            self._findings.trouble.append(f"{error}: {left}"[:2000])
            self._keep_logs()

    def _keep_logs(self) -> None:
        kept = tempfile.mkdtemp(prefix="longwave-crash-logs-")
        shutil.copytree(self._stack.settings.data / "logs", kept, dirs_exist_ok=True)
        self._report(f"the stack's logs are in {kept}")

    def _account(self, folder: Path) -> None:
        self._arrivals.catch_up()
        findings, load = self._findings, self._load
        client = api_of(self._stack.settings, timeout=120.0)
        account = findings.account = Account()
        for campaign in load.campaigns:
            shown = client.get(f"/v1/campaigns/{campaign}")
            if not shown["recipients"]:
                findings.trouble.append(f"the audience of {campaign} was never frozen; it is {shown['status']}")
                continue
            taken = self._arrivals.counts.get(campaign, np.zeros(shown["recipients"], np.uint8))
            account.add(client, shown, taken, folder)
        findings.campaigns = len(load.campaigns)
        findings.stopped = self._stops.outcome(self._arrivals.last)
        findings.key_hits = self._arrivals.key_hits
        findings.looks, findings.refused, findings.unbalanced = load.looks, load.refused, load.unbalanced
        settings = self._stack.settings
        findings.attribute(left_unknown(settings.kafka, claims(settings.data / "logs")))


def _settings(setting: Setting) -> str:
    return f"""
kafka.partitions = 4
kafka.lanes = {len(setting.lanes)}
aggregators.local.idempotency_keys = {str(setting.policy == "resend-with-key").lower()}
[accounts.demo]
site_name = "Harbor & Pine"
replies = {{ stopped = "" }}
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = {RATE * len(setting.lanes)}
lanes = {list(setting.lanes)}
"""


def _script(policy: str) -> str:
    return f"""
seed = 1
idempotency_keys = {str(policy == "resend-with-key").lower()}
latency = {{ median = 0.2, sigma = 0.4 }}
[receipts]
delay = {{ median = 1.0, sigma = 0.5, least = 0.1 }}
"""
