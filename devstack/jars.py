"""Apache Kafka's jars: fetched once with Maven into a cache that all clones share."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from adapters.terminal import UserError, note

VERSION = "4.1.0"
_POM = Path(__file__).with_name("pom.xml")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_DEBIAN = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
_APT = ("apt-get", "-o", "Acquire::Retries=3")


def cache() -> Path:
    """The folder of the jars: `$XDG_CACHE_HOME/longwave/kafka-VERSION` or `~/.cache/longwave/…`."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "longwave" / f"kafka-{VERSION}"


def complete() -> bool:
    """True when the jars are there (the folder appears by one rename, so it is whole or absent)."""
    return (cache() / f"kafka_2.13-{VERSION}.jar").is_file()


def ensure_program(name: str) -> str:
    """The path of `java` or `mvn`; installs the Debian package when run as root and it is missing.

    Raises:
        UserError: it is missing and cannot be installed from here.
    """
    program = shutil.which(name)
    if program:
        return program
    package = _DEBIAN[name]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        note(f"{name} is missing: installing {package} with apt-get (once, about a minute)")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run([*_APT, *step], env=environment, check=False, stdout=subprocess.DEVNULL)
        program = shutil.which(name)
    if not program:
        raise UserError(
            f"`{name}` was not found on PATH; the local Kafka needs Java 17 and, the first time, Maven. "
            f"Install them (Debian, Ubuntu: `sudo apt-get install {' '.join(_DEBIAN.values())}`), "
            "or use your own Kafka: set kafka.bootstrap and `longwave up --no-kafka`"
        )
    return program


def ensure() -> Path:
    """The folder with Kafka's jars, fetched with Maven if this machine has none yet (about 20 s).

    Raises:
        UserError: Java or Maven is missing, or Maven failed; the text has Maven's own last lines.
    """
    target = cache()
    if complete():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete():
            _fetch(target)
    return target


def _fetch(target: Path) -> None:
    ensure_program("java")
    mvn = ensure_program("mvn")
    note(f"fetching Apache Kafka {VERSION} with Maven into {target} (once, about 20 s)")
    fresh = Path(tempfile.mkdtemp(prefix="kafka-", dir=target.parent))
    try:
        command = [mvn, "-q", "-B", "-f", str(_POM), _COPY, "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise UserError(f"Maven could not fetch Apache Kafka {VERSION} (check the network, then repeat):\n{tail}")
        shutil.rmtree(target, ignore_errors=True)
        fresh.chmod(0o755)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
