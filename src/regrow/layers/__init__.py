"""Why an expansion that is linear in depth can work: how a trained ViT's weights change with the layer's position."""

FEWEST = 3
"""Layers, or there is nothing to see: two always lie on a line."""
