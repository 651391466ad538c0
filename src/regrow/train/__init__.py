"""The one training loop, its batches and its checkpoints."""

SAVE_EVERY = 20.0
"""Seconds between two checkpoints of a run, where nothing else is asked for."""
