"""Speed and memory side by side with fine-tuning, with the floor of the work, and with other frameworks.

`make bench` runs everything, `python -m benchmarks --help` says how to run parts; docs/performance.md is what they say.
"""
