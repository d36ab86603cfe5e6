"""Benchmarks: each measures the real thing on a private stack, beside the bare limit of the same machine."""
