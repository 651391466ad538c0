"""Choices of images by class: a stratified hold-out, and the first few of each class.

`RandomState` and not `default_rng`: numpy freezes the stream of the first, so that a seed names the same
images under every numpy version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from regrow.data.image_set import Labels, Mask
from regrow.errors import UserError


def stratified(labels: Labels, count: int, seed: int) -> Mask:
    """Mark `count` of the N images, each class in proportion to its size and never a whole class.

    Every class gets the whole part of its share; what is left goes one by one to the class furthest below its
    share, ties broken by the seed.
    """
    sizes = np.bincount(labels)
    most = int(np.maximum(sizes - 1, 0).sum())
    if not 0 <= count <= most:
        raise UserError(
            f"cannot hold out {count} of {len(labels)} images in {np.count_nonzero(sizes)} classes: "
            f"expected 0 to {most}, so that one of each class is left; choose a smaller hold-out"
        )
    rng = np.random.RandomState(seed)
    tie_order = rng.permutation(len(sizes))
    taken = count * sizes // max(len(labels), 1)
    while (left := count - int(taken.sum())) > 0:
        can_give = tie_order[taken[tie_order] < sizes[tie_order] - 1]
        deficit = count * sizes - taken * len(labels)
        taken[can_give[np.argsort(-deficit[can_give], kind="stable")[:left]]] += 1
    mask = np.zeros(len(labels), dtype=np.bool_)
    for label, take in enumerate(taken):
        mask[rng.permutation(np.flatnonzero(labels == label))[:take]] = True
    return mask


def first_per_class(labels: Labels, per_class: int, num_classes: int, seed: int) -> npt.NDArray[np.int64]:
    """Ascending indices of `per_class` images of every class. At one seed 5 a class are among 10 a class."""
    sizes = np.bincount(labels, minlength=num_classes)
    rarest = int(sizes.argmin())
    if not 0 < per_class <= sizes[rarest]:
        raise UserError(
            f"cannot keep {per_class} images a class: expected 1 to {sizes[rarest]}, all that class {rarest} "
            "has; choose fewer a class, or a smaller minival"
        )
    rng = np.random.RandomState(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in range(num_classes)]
    return np.sort(np.concatenate(chosen))
