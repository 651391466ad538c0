"""Growth operators: maps from a trained small ViT to a large one's weights."""
