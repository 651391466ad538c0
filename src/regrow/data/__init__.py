"""Image sets: a registry, `pack` that builds one into a folder, `load` that reads the folder verified.

    manifest = pack("fashion-mnist", img_size=28, seed=0, minival=5000, out=Path("data/fashion"))
    train = load(Path("data/fashion")).split("train")

Numpy only at import; what a builder needs (PIL, scikit-learn, torchvision, resvg) it imports when it runs.
"""

from regrow.data.image_set import ImageSet, RawSet
from regrow.data.manifest import SPLITS, Manifest, Split
from regrow.data.packed import Images, PackedSet, load
from regrow.data.packing import pack
from regrow.data.registry import SETS

__all__ = ["SETS", "SPLITS", "ImageSet", "Images", "Manifest", "PackedSet", "RawSet", "Split", "load", "pack"]
