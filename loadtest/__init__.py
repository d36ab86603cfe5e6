"""The simulated aggregator, sample data, and the benchmarks."""
