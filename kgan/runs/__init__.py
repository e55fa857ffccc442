"""Runs: training in a directory of its own, and measuring what came of it."""
