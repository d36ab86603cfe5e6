"""Hosts of the lanes: clock, log and network around the rules of `pipeline.lane` and `pipeline.sending`."""
