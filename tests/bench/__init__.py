"""Benchmarks: `python -m tests.bench`. They print ratios from one run, since machines are noisy."""
