"""The one training loop, its batches and its checkpoints."""

SAVE_EVERY = 20.0
"""Seconds between two checkpoints of a run, where nothing else is asked for."""

RESIDENT = 16 * 2**30
"""Bytes of uint8 pixels up to which a split lies on the device; of a larger one every batch is read from disk."""
