"""The checks of `longwave doctor`; every failing check says how to fix it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator

import psutil

from adapters import http
from adapters import settings as configuration
from adapters.errors import LongwaveError
from adapters.kafka import topics
from adapters.settings import Settings
from adapters.terminal import UserError
from cli.stack import doors, processes
from cli.stack.accounts import accounts
from cli.stack.findings import Finding
from devstack import in_force, jars, plan, ports, ready, record
from devstack.readiness import ask_all
from schemas.reasons import Reason
from schemas.topics import ALL

_DISK, _MEMORY = 5 << 30, 2 << 30
_ANSWER_SECONDS = 10.0
"""How long an aggregator may take to say whether it is there."""


def examine(settings: Settings) -> list[Finding]:
    """Run all checks; a failing check is a result, not an exception."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _processes,
        _in_force,
        _java,
        _ports,
        _kafka,
        _clickhouse,
        _aggregators,
        _mail,
        doors.examine,
        _accounts,
        _machine,
    ]
    return [finding for check in checks for finding in check(settings)]


def effective_text(settings: Settings) -> str:
    """The settings, one `name = value` per line, secrets masked."""
    return "\n".join(f"  {name} = {value}" for name, value in in_force.flat(in_force.masked(settings)))


def _in_force(settings: Settings) -> Iterator[Finding]:
    """Processes read the settings when they start; the file may have changed since."""
    running = in_force.running(settings.data)
    differences = in_force.differences(settings)
    for difference in differences:
        fix = f"restart it (`longwave down`, `longwave up`) if {configuration.config_file()} is right"
        yield Finding("settings in force", False, str(difference), fix)
    if running and not differences:
        yield Finding("settings in force", True, f"{', '.join(running)} run with what the settings say now")


def _processes(settings: Settings) -> Iterator[Finding]:
    """Whether each process of ours that runs on this data works now: one that was ready may no longer be."""
    running = in_force.running(settings.data)
    ours = [{"name": name, **left} for name, left in running.items() if name not in ("kafka", "clickhouse")]
    yield from processes.examine(ours, ask_all(settings, [entry["name"] for entry in ours]), settings.data)


def _java(settings: Settings) -> Iterator[Finding]:
    if "kafka" in plan.elsewhere(settings):
        return
    java = shutil.which("java")
    version = _major(java) if java else 0
    fix = "install Java 17 (Debian, Ubuntu: `sudo apt-get install openjdk-17-jre-headless`)"
    yield Finding("java", version >= 17, f"{java} (version {version})" if java else "not found", fix * (version < 17))
    if jars.complete():
        yield Finding("kafka jars", True, str(jars.cache()))
        return
    mvn = shutil.which("mvn")
    fix = (
        "" if mvn else "install Maven (Debian, Ubuntu: `sudo apt-get install maven`); `longwave up` then fetches them"
    )
    yield Finding("kafka jars", bool(mvn), f"not in {jars.cache()} yet; Maven: {mvn or 'not found'}", fix)


def _major(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    digits = said.partition('"')[2].partition(".")[0].partition('"')[0]
    return int(digits) if digits.isdigit() else 0


def _ports(settings: Settings) -> Iterator[Finding]:
    if record.Lock(settings.data.absolute()).is_held():
        yield Finding("ports", True, "held by the running stack")
        return
    wanted = [port for process in plan.make(settings, 1) for port in process.ports]
    try:
        ports.check(wanted)
    except UserError as error:
        yield Finding("ports", False, str(error), "as each line says")
    else:
        yield Finding("ports", True, f"free: {', '.join(str(port.number) for port in wanted)}")


def _kafka(settings: Settings) -> Iterator[Finding]:
    bootstrap = settings.kafka.bootstrap
    if not ready.kafka_answers(bootstrap):
        fix = "start it (`longwave up`, or your own brokers) or correct kafka.bootstrap"
        yield Finding("kafka", False, f"{bootstrap} does not answer", fix)
        return
    yield Finding("kafka", True, f"{bootstrap} answers")
    try:
        problems = [state.problem for state in topics.inspect(settings.kafka) if state.problem]
    except LongwaveError as error:
        problems = [str(error)]
    names = f"{len(ALL)} topics as the settings say"
    yield Finding("topics", not problems, "; ".join(problems) or names, "`longwave run topics`" * bool(problems))


def _clickhouse(settings: Settings) -> Iterator[Finding]:
    url = plan.clickhouse_url(settings)
    if not http.answers(f"{url}/ping"):
        fix = "start it (`longwave up`, or your own server) or correct clickhouse.host and clickhouse.port"
        yield Finding("clickhouse", False, f"{url} does not answer", fix)
        return
    yield Finding("clickhouse", True, f"{url} answers")
    try:
        missing = _unapplied(settings)
    except LongwaveError as error:
        fix = "`longwave run migrate`; if that fails check clickhouse.user, clickhouse.password, clickhouse.database"
        yield Finding("migrations", False, str(error), fix)
        return
    state = f"not applied: {', '.join(missing)}" if missing else "all applied"
    yield Finding("migrations", not missing, state, "`longwave run migrate`" * bool(missing))


def _unapplied(settings: Settings) -> list[str]:
    from adapters.clickhouse import Store
    from adapters.clickhouse.migrate import read

    store = Store(settings.clickhouse, timeout=10)
    try:
        applied = {number for (number,) in store.rows("SELECT number FROM migrations FINAL")}
    finally:
        store.close()
    return [migration.file for migration in read() if migration.number not in applied]


def _aggregators(settings: Settings) -> Iterator[Finding]:
    """Whether each aggregator account would take a message now; nothing is sent."""
    for name, reason in asyncio.run(_reasons(settings)).items():
        url = settings.aggregators[name].url
        fix = "start it (`longwave up` for the simulated one), or talk to the aggregator; campaigns wait meanwhile"
        if reason:
            yield Finding(f"aggregator {name}", False, f"{url} would take no message: {reason}", fix)
        else:
            yield Finding(f"aggregator {name}", True, f"{url} answers")


async def _reasons(settings: Settings) -> dict[str, str]:
    """By name of an aggregator account, why it would take no message, "" if it would."""
    from adapters.aggregators.factory import make_adapter

    async def ask(name: str) -> str:
        account = make_adapter(name, settings.aggregators[name])
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await account.check_health()
        except TimeoutError:
            return Reason.NO_ANSWER
        finally:
            await account.close()

    names = list(settings.aggregators)
    return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))


def _mail(settings: Settings) -> Iterator[Finding]:
    """Whether the mail server takes alerts from us now; nothing is sent."""
    from adapters.alerts.mail import Mail

    if not settings.smtp.is_on:
        return
    where = f"{settings.smtp.host}:{settings.smtp.port}"
    problem = asyncio.run(Mail(settings.smtp).check())
    if problem:
        fix = "start it, or correct [smtp]; alerts by e-mail are tried for 24 hours meanwhile"
        yield Finding("mail", False, f"{where} takes no e-mail from us: {problem}", fix)
    else:
        yield Finding("mail", True, f"{where} lets us in")


def _accounts(settings: Settings) -> Iterator[Finding]:
    finding = accounts(settings)
    if finding is not None:
        yield finding


def _machine(settings: Settings) -> Iterator[Finding]:
    folder = settings.data.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    fix = f"free some space there, or put `data` elsewhere (at least {_DISK >> 30} GB)"
    yield Finding("disk", free >= _DISK, f"{free / 2**30:.1f} GB free at {folder}", fix * (free < _DISK))
    memory = psutil.virtual_memory().available
    low = memory < _MEMORY
    yield Finding(
        "memory", not low, f"{memory / 2**30:.1f} GB available", "stop other programs, or use fewer workers" * low
    )
    yield _clock()


def _clock() -> Finding:
    """Quiet hours are in local time: with a wrong clock, messages may go out at night."""
    tool = shutil.which("timedatectl")
    if tool is None:
        return Finding("clock", True, "cannot check whether it is synchronized (no timedatectl)")
    said = subprocess.run(
        [tool, "show", "-p", "NTPSynchronized", "--value"], capture_output=True, text=True, check=False
    )
    answer = said.stdout.strip()
    if answer == "no":
        return Finding("clock", False, "not synchronized", "turn on NTP: `sudo timedatectl set-ntp true`")
    return Finding("clock", True, "synchronized" if answer == "yes" else "cannot check whether it is synchronized")
