"""Speed, memory and learning, each as a ratio measured in one run: `python -m benchmarks`."""
