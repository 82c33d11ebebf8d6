"""Hostile and damaged files for every reader of them: `python -m benchmarks fuzz`."""
