"""A stack that several files share, since its start takes as long as one of their tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sharing import SCRIPTED_STAGE, SHARED_STAGE, shared
from tests.stack import free_ports
from tests.trouble.scene import AUTO, HELP, QUIET, SETTINGS, Scene, scene


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """The logs that a stage leaves say what each process was doing when a test of it failed."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if report.when == "call" and report.failed and isinstance(stage, Scene):
        stage.write_stacks()
    return report


SHARED_SETTINGS = f"""
worker.checkpoint_bytes = 100000000
{SETTINGS.replace("kafka.lanes = 2", "kafka.lanes = 4")}
[accounts.lawful]
site_name = "Harbor & Pine"
quiet_reading = "cautious"
[accounts.lawful.senders.main]
number = "+18885550101"
segments_per_second = 1500
lanes = [2]
[accounts.race]
site_name = "Harbor & Pine"
caps = {{day = 3}}
[accounts.race.senders.main]
number = "+18885550102"
segments_per_second = 1500
lanes = [3]
"""
"""No checkpoint deletes what a test reads back; an account with quiet hours, and one with a cap."""


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("shared")
    actual: Scene = shared(SHARED_STAGE, lambda: scene(folder, QUIET, changes=SHARED_SETTINGS))
    return actual


SCRIPTED_SETTINGS = f"""{SETTINGS}
[accounts.demo.replies]
auto = "{AUTO}"
help = "{HELP}"
per_hour = 3
"""
ALERTED = """
[accounts.alerted]
site_name = "Harbor & Pine"
[accounts.alerted.senders.main]
number = "+18885550103"
segments_per_second = 20
[accounts.alerted.senders.other]
number = "+18885550104"
"""
"""An account whose campaign can be suspended while it has a sender left for alerts."""


@pytest.fixture(scope="module")
def scripted_stage(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Whoever takes it says how its aggregator behaves (`Scene.scripted`)."""
    folder = tmp_path_factory.mktemp("scripted")
    mail = f'smtp.host = "127.0.0.1"\nsmtp.port = {free_ports(1)[0]}\nsmtp.security = "none"\n'
    changes = f"{mail}{SCRIPTED_SETTINGS}{ALERTED}"
    actual: Scene = shared(SCRIPTED_STAGE, lambda: scene(folder, QUIET, changes=changes))
    return actual
