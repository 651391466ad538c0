"""The data sets by name. A new set is one file with an `ImageSet` and one line here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from regrow.data.chest_xray import CHEST_XRAY
from regrow.data.cifar import CIFAR_10, CIFAR_100
from regrow.data.cub import CUB
from regrow.data.digits import DIGITS
from regrow.data.elpv import ELPV
from regrow.data.emoji import EMOJI
from regrow.data.fashion_mnist import FASHION_MNIST
from regrow.data.fine_grained import CARS, FLOWERS, FOOD, PETS
from regrow.data.flags import FLAGS
from regrow.data.icons import ICONS
from regrow.data.image_set import ImageSet
from regrow.data.imagenet import IMAGENET
from regrow.data.inaturalist import INAT_2018, INAT_2019
from regrow.data.logos import LOGOS
from regrow.data.mini_imagenet import MINI_IMAGENET
from regrow.data.mnist import MNIST
from regrow.data.tiny_imagenet import TINY_IMAGENET
from regrow.errors import UserError

_ALL = (
    DIGITS,
    FASHION_MNIST,
    MNIST,
    ICONS,
    EMOJI,
    FLAGS,
    LOGOS,
    ELPV,
    IMAGENET,
    TINY_IMAGENET,
    MINI_IMAGENET,
    CIFAR_10,
    CIFAR_100,
    FLOWERS,
    CARS,
    PETS,
    CUB,
    FOOD,
    INAT_2018,
    INAT_2019,
    CHEST_XRAY,
)

SETS: Mapping[str, ImageSet] = MappingProxyType({image_set.name: image_set for image_set in _ALL})


def find_set(name: str) -> ImageSet:
    """The set of that name; the error names the nearest one."""
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, n=1, cutoff=0.0)
        raise UserError(f"data set: expected one of {', '.join(SETS)}, got {name!r}; did you mean {near[0]!r}?")
    return SETS[name]
