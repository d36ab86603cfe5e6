"""What every process says of itself."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path

from adapters import vitals
from schemas import metrics


def value(metric: metrics.Gauge) -> float:
    (family,) = metric.collect()
    return family.samples[0].value


def test_a_process_says_what_it_is_and_what_its_clock_shows() -> None:
    vitals.announce("ingress")
    labels = [sample.labels for family in metrics.BUILD.collect() for sample in family.samples]
    assert any(
        set_["process"] == "ingress" and set_["version"] and set_["python"].startswith("3.") for set_ in labels
    )
    before = time.time()
    assert before <= value(metrics.CLOCK) <= time.time()


def test_the_disk_is_asked_at_each_scrape_and_one_that_cannot_be_asked_fails_none(tmp_path: Path) -> None:
    vitals.announce_disk(tmp_path)
    assert 0 < value(metrics.DISK_FREE) <= value(metrics.DISK_SIZE)
    vitals.announce_disk(tmp_path / "absent")
    assert math.isnan(value(metrics.DISK_FREE))
    metrics.DISK_FREE.forget()
    metrics.DISK_SIZE.forget()


async def test_an_event_loop_that_is_held_shows() -> None:
    def seen() -> dict[str, float]:
        return {
            sample.labels.get("le", sample.name): sample.value
            for family in metrics.EVENT_LOOP_DELAY.collect()
            for sample in family.samples
        }

    before = seen()
    watching = asyncio.create_task(vitals.watch_event_loop())
    await asyncio.sleep(0)
    time.sleep(vitals.PERIOD + 0.3)  # noqa: ASYNC251 - a loop that is held is what is tested
    await asyncio.sleep(0.05)
    watching.cancel()
    after = seen()
    assert after["+Inf"] - before.get("+Inf", 0) == 1
    assert after["0.25"] - before.get("0.25", 0) == 0, "it was 0.3 s late"
