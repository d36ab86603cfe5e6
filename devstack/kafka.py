"""One local Apache Kafka: broker and controller in one JVM (KRaft), with settings for a small machine."""

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from adapters.terminal import UserError
from devstack import class_archive, jars

_HEAP = "512m"
_JVM = (
    f"-Xmx{_HEAP}",
    "-Xms128m",
    "-XX:+UseSerialGC",
    # The quick compiler alone: on two cores the optimising one costs more CPU than it saves in the first minutes.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Duser.timezone=UTC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
delete.topic.enable=true
num.network.threads=2
num.io.threads=4
background.threads=2
num.replica.fetchers=1
num.recovery.threads.per.data.dir=2
log.cleaner.threads=1
log.cleaner.backoff.ms=5000
log.segment.bytes=134217728
log.segment.delete.delay.ms=5000
log.cleaner.dedupe.buffer.size=16777216
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.max.session.timeout.ms=300000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
offsets.topic.segment.bytes=16777216
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1
default.replication.factor=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def controller_port(port: int) -> int:
    """The controller listens beside the broker, on the next port, on 127.0.0.1 only."""
    return port + 1


def prepare(data: Path, host: str, port: int, record: Path | None = None) -> list[str]:
    """Make `data` ready (jars, properties, formatted storage) and give the command that runs the broker.

    Idempotent; what is in `data` is kept. `record`: where the JVM is to leave its archive of classes at its end
    (`devstack.class_archive`), instead of using one.

    Raises:
        UserError: Java, Maven or the jars cannot be had, or the storage cannot be formatted.
    """
    folder, java = jars.ensure(), jars.ensure_program("java")
    classes = class_archive.options(folder, java) if record is None else []
    command = [java, *_JVM, *classes, "-cp", f"{folder}/*"]
    config = _configured(data.absolute(), host, port, command)
    recording = [] if record is None else [f"-XX:ArchiveClassesAtExit={record}"]
    return [*command, *recording, "kafka.Kafka", str(config)]


def run(data: Path, host: str, port: int, record: Path | None = None) -> None:
    """Become the broker: this process is replaced by the JVM, so its pid and its parent stay the same."""
    command = prepare(data, host, port, record)
    os.execv(command[0], command)


def _configured(data: Path, host: str, port: int, command: list[str]) -> Path:
    """The properties of a broker whose storage in `data` is formatted."""
    logs = data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    config = data / "server.properties"
    config.write_text(_PROPERTIES.format(host=host, port=port, controller=controller_port(port), logs=logs))
    if not (logs / "meta.properties").is_file():
        _format(command, config)
    return config


def _format(command: list[str], config: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(config)]
    done = subprocess.run([*command, *tool], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Kafka's storage could not be formatted ({config}):\n{(done.stdout + done.stderr)[-2000:]}")
