"""The incidents, and the judgment of what came of them."""

from __future__ import annotations

import pytest

from adapters.terminal import UserError
from loadtest.rehearsal import runbook
from loadtest.rehearsal.incident import Incident
from loadtest.rehearsal.incidents import ALL
from loadtest.rehearsal.notifying import Notifying
from loadtest.rehearsal.rules import FOLDER, Rules
from loadtest.rehearsal.run import chosen, rehearse
from loadtest.rehearsal.verdict import Outcome, split, summary

FASTER = 4.0


@pytest.mark.parametrize("incident", ALL, ids=lambda incident: incident.name)
def test_an_incident_has_its_alert_and_its_commands_stand_in_the_runbook(incident: Incident) -> None:
    assert incident.alert in Rules().alerts
    assert incident.commands
    assert not runbook.missing(incident.alert, incident.commands)


def test_each_incident_has_a_name_and_an_alert_of_its_own() -> None:
    assert len({incident.name for incident in ALL}) == len({incident.alert for incident in ALL}) == len(ALL)
    assert chosen("all") == ALL
    assert chosen("broker-dead")[0].alert == "KafkaDown"
    with pytest.raises(UserError, match="no incident `flood`"):
        chosen("flood")


def test_the_page_names_every_incident() -> None:
    page = (FOLDER.parents[1] / "docs" / "operating" / "rehearsing.md").read_text(encoding="utf-8")
    rows = {tuple(line.strip("| ").split(" | ")) for line in page.splitlines() if line.startswith("| `")}
    assert rows == {(f"`{item.name}`", item.what, item.alert) for item in ALL}


def series(**fired: range) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
    return {
        (("alertname", name), ("alertstate", "firing")): [(float(at), 1.0) for at in times]
        for name, times in fired.items()
    }


def test_consequences_are_told_from_others() -> None:
    fired = series(KafkaDown=range(0, 90, 5), LaneLate=range(10, 90, 5), DiskFull=range(20, 90, 5))
    assert split(fired, "KafkaDown", Notifying(), 5.0) == (["LaneLate"], ["DiskFull"])
    assert split(series(KafkaDown=range(0, 90, 5)), "KafkaDown", Notifying(), 5.0) == ([], [])


def test_an_alert_without_commands_in_its_runbook_fails_before_anything_is_started() -> None:
    wrong = Incident("x", "x", "KafkaDown", lambda stage: pytest.fail("it was begun"), ("longwave nonsense",), 1)
    (outcome,) = rehearse([wrong], FASTER)
    assert not outcome.ok
    assert "`longwave nonsense`" in outcome.line()
    assert summary([outcome]) == "0 of 1 incidents went as they should; not: x"
    assert summary([Outcome("y", "KafkaDown")]) == "1 of 1 incidents went as they should"


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("incident", ALL, ids=lambda incident: incident.name)
def test_the_alert_fires_and_its_runbook_mends_it(incident: Incident) -> None:
    said: list[str] = []
    (outcome,) = rehearse([incident], FASTER, said.append)
    assert outcome.ok, "\n".join(said)
    assert outcome.fired_after is not None
    assert outcome.resolved_after is not None
    assert outcome.others == []
