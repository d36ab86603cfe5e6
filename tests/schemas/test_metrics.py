"""Each metric is declared once, with a meaning, under our prefix."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from schemas import metrics


def test_each_metric_has_a_name_of_ours_and_a_meaning() -> None:
    names = [metric._name for metric in metrics.ALL]
    assert len(names) == len(set(names)) > 20
    assert all(name.startswith("longwave_") for name in names)
    assert all(len(metric._documentation) > 15 and metric._documentation.endswith(".") for metric in metrics.ALL)


def test_the_list_holds_every_metric_of_the_module() -> None:
    declared = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert set(map(id, declared)) == set(map(id, metrics.ALL))
