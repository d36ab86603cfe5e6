"""Grafana: `provisioning/` has its data sources, `json/` the dashboards, which `make dashboards` writes.

Read `panels` (how a panel is made), then a dashboard each: `campaigns` (from ClickHouse's views), `pipeline`, `lanes`
and `servers` (from Prometheus); `generate` writes them all. The Grafana Foundation SDK, which they need, is a
development dependency: what runs is the JSON.
"""
