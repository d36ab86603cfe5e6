"""Forecasts over HTTP: gathers facts and rehearsals for `pipeline.insight.forecast`."""
