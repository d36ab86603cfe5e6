"""API and ingress as processes with a certificate: who asks them by HTTPS, and what a start with a wrong one says."""

from __future__ import annotations

import contextlib
import ssl
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters import http
from adapters.doors.tls import Pair
from adapters.http import believing
from adapters.settings import Settings, load
from adapters.terminal import UserError
from cli.client import api_of
from devstack import plan, ready
from tests.adapters.doors.test_tls import CA, written
from tests.api.live import set_all
from tests.stack import PATIENCE, environment, running

NOWHERE = "127.0.0.1:9"
"""Where no Kafka answers."""


def variables(folder: Path, name: str, pair: Pair) -> dict[str, str]:
    ca = folder / "ca.pem"
    ca.write_bytes(CA.cert_pem.bytes())
    prefix = f"LONGWAVE_{name.upper()}__"
    return {
        **environment(folder, kafka_bootstrap=NOWHERE),
        f"{prefix}CERTIFICATE": str(pair.certificate),
        f"{prefix}PRIVATE_KEY": str(pair.private_key),
        f"{prefix}CA": str(ca),
    }


@contextlib.contextmanager
def serving(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    given = variables(folder, name, written(folder))
    set_all(monkeypatch, given)
    with running(["run", name], given, folder) as child:
        url = f"{getattr(load(), name).url}/healthz"
        ready.wait_for(
            name,
            lambda: http.page(url, trust=http.believing_all()) != "",
            lambda: child.poll() is None,
            timeout=PATIENCE,
        )
        yield


def test_the_command_line_asks_the_api_by_https_and_believes_whom_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, "api", monkeypatch):
        settings = load()
        url = settings.api.url
        assert url.startswith("https://127.0.0.1:")
        with pytest.raises(UserError, match="the keys cannot be read yet"):  # so it was answered
            api_of(settings).get("/v1/campaigns")
        with pytest.raises(UserError, match=r"not to be trusted .* name that in api\.ca"):
            api_of(changed(settings, ca=None)).get("/v1/campaigns")
        with pytest.raises(UserError, match=r"api\.ca: .* holds no certificates"):
            api_of(changed(settings, ca=tmp_path / "log")).get("/v1/campaigns")
        with pytest.raises(UserError, match="cannot reach"):
            api_of(changed(settings, public_url=url.replace("https:", "http:"))).get("/v1/campaigns")
        metrics = http.page(f"{plan.base_url(settings, 'api')}/metrics")
        assert 89 < float(metrics.partition('longwave_certificate_days{server="api"} ')[2].split()[0]) < 91


def changed(settings: Settings, **api: Any) -> Settings:
    return settings.model_copy(update={"api": settings.api.model_copy(update=api)})


def test_the_ingress_answers_by_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, "ingress", monkeypatch):
        url = load().ingress.url
        with pytest.raises(urllib.error.HTTPError) as caught:
            http.request(f"{url}/c/x", timeout=10, trust=believing(load().ingress.ca))
        with caught.value as answer:
            assert answer.code in (404, 503)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        with pytest.raises(urllib.error.URLError) as refused:
            http.request(f"{url}/healthz", timeout=10)
        assert isinstance(refused.value.reason, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("name", ["api", "ingress"])
def test_a_start_with_a_certificate_that_has_ended_says_so(name: str, tmp_path: Path) -> None:
    given = variables(tmp_path, name, written(tmp_path, days=0))
    with running(["run", name], given, tmp_path) as child:
        assert child.wait(PATIENCE) == 1
    said = (tmp_path / "log").read_text()
    assert "chain.pem ended at 20" in said
    assert "Traceback" not in said
