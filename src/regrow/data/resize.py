"""Bring images of one size to another."""

from __future__ import annotations

from typing import Literal

import numpy as np

from regrow.data.image_set import Pixels, Track


def to_size(
    images: Pixels, img_size: int, how: Literal["bicubic", "box"], progress: Track
) -> tuple[Pixels, tuple[str, ...]]:
    """Grey images [N,H,W,1] at `img_size`, and who resized them: nobody where the size is right already.

    "bicubic" is PIL's antialiased filter, timm's default for evaluation; "box" repeats pixels when enlarging
    by a whole factor and averages them otherwise.
    """
    if images.shape[1:3] == (img_size, img_size):
        return images, ()
    import PIL
    from PIL import Image

    kind = {"bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX}[how]
    resized = np.empty((len(images), img_size, img_size, 1), np.uint8)
    for index in progress(range(len(images)), f"resize to {img_size} px"):
        image = Image.fromarray(images[index, ..., 0])
        resized[index, ..., 0] = np.asarray(image.resize((img_size, img_size), kind))
    return resized, (f"resized {how} by pillow {PIL.__version__}",)
