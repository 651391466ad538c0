"""From an SVG document to pixels, on white, and a coarse signature that tells drawings apart."""

from __future__ import annotations

import io

import numpy as np

from regrow.data.image_set import Pixels

SIGNATURE_SIZE = 16  # pixels a side
SIGNATURE_STEP = 32  # grey levels that count as one
BLANK = 2.0  # a standard deviation of the pixels below this shows nothing


def renderer() -> tuple[str, ...]:
    """What shapes the pixels, for the manifest."""
    import resvg_py

    return (f"rendered by resvg-py {resvg_py.__version__}",)


def render(svg: str, img_size: int) -> Pixels | None:
    """The drawing on white, [H,W,3]; None where resvg cannot read it. System fonts are not used."""
    import resvg_py
    from PIL import Image

    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, width=img_size, height=img_size, skip_system_fonts=True, background="#ffffff"
        )
    except ValueError:
        return None
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (img_size, img_size, 3)
    return pixels


def blank(pixels: Pixels) -> bool:
    """Whether the drawing shows next to nothing."""
    return bool(pixels.std() < BLANK)


def signature(pixels: Pixels, grey: bool) -> bytes:
    """Equal for drawings that look alike at 16 px and 8 levels, and that differ only in colour if `grey`."""
    from PIL import Image

    image = Image.fromarray(pixels)
    small = (image.convert("L") if grey else image).resize((SIGNATURE_SIZE, SIGNATURE_SIZE), Image.Resampling.BOX)
    return (np.asarray(small) // SIGNATURE_STEP).tobytes()
