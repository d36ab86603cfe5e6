"""The disk of ClickHouse, then of Kafka, fills up in the middle of a campaign and gets room again."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trouble.account import accounted
from tests.trouble.scene import QUIET, Scene, scene, wait_until

MEGABYTE = 1 << 20
NEARLY = 8 * MEGABYTE
"""Less than the endpoint keeps free of its small disk, and room for what it is writing."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    mounted: list[Path] = []
    try:
        with scene(tmp_path_factory.mktemp("disk"), QUIET) as made:
            for name, size in (("clickhouse", 256), ("kafka", 192)):
                mounted.append(made.data / name)
                move_to_small_disk(made, name, size)
            yield made
    finally:
        for folder in mounted:
            subprocess.run(["umount", str(folder)], check=False)
        if mounted:
            shutil.rmtree(mounted[0].parent, ignore_errors=True)


def move_to_small_disk(stage: Scene, name: str, megabytes: int) -> None:
    """Let a server go on with the same data on a disk of its own."""
    folder = stage.data / name
    with stage.down(name):
        moved = folder.with_name(f"{name}-before")
        folder.rename(moved)
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", f"{moved}/.", str(folder)], check=True)
        shutil.rmtree(moved)


@contextlib.contextmanager
def full(folder: Path, spare: int = 0) -> Iterator[None]:
    """No more than `spare` bytes are free on the disk of `folder` inside the block."""
    filler = folder / f"filler-{spare}"
    try:
        for size in (MEGABYTE, 512):
            with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                while shutil.disk_usage(folder).free - size >= spare:
                    file.write(bytes(size))
        yield
    finally:
        filler.unlink()


def logs(stage: Scene) -> dict[str, str]:
    return {file.stem: file.read_text(errors="replace") for file in (stage.data / "logs").iterdir()}


def since(before: dict[str, str], stage: Scene) -> dict[str, str]:
    """What each log has gained; none may have been flooded."""
    gained = {name: text[len(before.get(name, "")) :] for name, text in logs(stage).items()}
    sizes = {name: len(text) for name, text in gained.items()}
    assert max(sizes.values()) < 100_000, sizes
    return gained


def waiting_seconds(stage: Scene) -> float:
    """The writer's gauge of how long its insert has been waiting, the greatest of its steps."""
    url = f"http://127.0.0.1:{stage.settings.metrics_port - 1}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return max(float(line.split()[-1]) for line in lines if line.startswith("longwave_writer_waiting_seconds{"))


def test_the_disk_of_clickhouse_is_full(stage: Scene) -> None:
    before = logs(stage)
    with stage.sending(9000) as campaign:
        campaign.until_arrived(1500)
        disk = stage.data / "clickhouse"
        with contextlib.ExitStack() as fills:
            # It fills up, it is not full from one write to the next: chDB takes no notice when a write fails, so the
            # endpoint has stopped writing by then.
            fills.enter_context(full(disk, NEARLY))
            wait_until("the writer says why it waits", lambda: "is nearly full" in stage.log("writer"))
            fills.enter_context(full(disk))
            reached = campaign.arrived()
            wait_until("sending goes on", lambda: campaign.arrived() >= min(reached + 2000, campaign.recipients))
            wait_until("the gauge rises", lambda: waiting_seconds(stage) > 1)
            assert campaign.show()["figures"]["submitted"] < campaign.arrived()
        account = accounted(campaign)
    assert account.states == {"accepted": campaign.recipients}
    gained = since(before, stage)
    assert "writer-statuses waits for ClickHouse" in gained["writer"]
    assert not any("Traceback" in text for text in gained.values())
    assert stage.entry("writer")["restarts"] == 0
    wait_until("the gauge falls", lambda: waiting_seconds(stage) == 0)


def test_the_disk_of_kafka_is_full(stage: Scene) -> None:
    before = logs(stage)
    with stage.sending(9000) as campaign:
        campaign.until_arrived(1500)
        pid = stage.entry("kafka")["pid"]
        with full(stage.data / "kafka"):
            wait_until("Kafka gives up", lambda: stage.entry("kafka").get("pid") != pid)
            assert "kafka" in stage.longwave("status", code=1)
            campaign.until("the page says so", lambda shown: not shown["sources"]["kafka"]["ok"])
            held = campaign.arrived()
            assert held < campaign.recipients
        stage.restarted("kafka", pid)
        account = accounted(campaign)
    # What was in flight has a RESULT only if it could still be written when Kafka had come back.
    assert set(account.states) <= {"accepted", "unknown"}
    assert len(account.unknown) <= stage.window
    gained = since(before, stage)
    assert "No space left on device" in gained["kafka"]
    assert not any("Traceback" in text for name, text in gained.items())
