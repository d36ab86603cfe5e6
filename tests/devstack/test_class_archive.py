"""The archive of Kafka's classes: made with a real broker, used by the JVM, done without where there can be none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from devstack import class_archive, jars


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own with the jars of this machine, and no archive yet."""
    real = jars.ensure()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = jars.cache()
    own.parent.mkdir(parents=True)
    own.symlink_to(real)
    return own


def test_it_is_made_once_and_the_jvm_takes_kafkas_classes_from_it(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    java = jars.ensure_program("java")
    options = class_archive.options(cache, java)
    assert "preparing Kafka's classes" in capsys.readouterr().err
    assert class_archive.options(cache, java) == options
    assert not capsys.readouterr().err
    assert sorted(item.suffix for item in cache.parent.iterdir() if item != cache) == [".jsa", ".lock"]
    tool = ["-cp", f"{cache}/*", "kafka.tools.StorageTool", "random-uuid"]
    shown = ["-XX:+UseSerialGC", "-Xlog:class+load", "-Xshare:on"]
    said = subprocess.run([java, *options, *shown, *tool], capture_output=True, text=True, check=True).stdout
    loaded = [line for line in said.splitlines() if " org.apache.kafka." in line]
    assert any("shared objects file (top)" in line for line in loaded), said[-2000:]


def test_a_broker_that_does_not_start_leaves_nothing_and_kafka_goes_on_without(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    java = programs / "java"
    java.write_text("#!/bin/sh\necho no room for the heap >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    assert shutil.which("java") == str(java)
    assert class_archive.options(cache, str(java)) == []
    assert "Kafka starts without: Kafka ended before it was ready" in capsys.readouterr().err.replace("\n", " ")
    assert [item.suffix for item in cache.parent.iterdir() if item != cache] == [".lock"]


def test_a_jvm_that_could_make_none_is_not_asked_again(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    java = jars.ensure_program("java")
    class_archive._path(cache, java).touch()
    assert class_archive.options(cache, java) == []
    assert not capsys.readouterr().err
