"""Flowers-102, Stanford Cars and Food-101 through torchvision's classes, which know their layouts; Oxford-IIIT Pet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import Sample, photographs

FLOWERS_FOLDER = OwnFolder(
    name="flowers-102",
    holds="jpg/image_*.jpg, imagelabels.mat and setid.mat",
    page="www.robots.ox.ac.uk/~vgg/data/flowers/102",
)
CARS_FOLDER = OwnFolder(
    name="stanford_cars",
    holds="cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat",
    page="torchvision's documentation of StanfordCars (its own page is gone)",
)
PETS_FOLDER = OwnFolder(
    name="oxford-iiit-pet",
    holds="images/*.jpg and annotations/ with trainval.txt and test.txt",
    page="www.robots.ox.ac.uk/~vgg/data/pets",
)
FOOD_FOLDER = OwnFolder(
    name="food-101",
    holds="images/<class>/*.jpg and meta/ with train.json and test.json",
    page="data.vision.ee.ethz.ch/cvl/datasets_extra/food-101",
)


def flowers(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Flowers-102; its training and validation images are trained on, as in every paper on transfer."""
    from torchvision.datasets import Flowers102

    with FLOWERS_FOLDER.reading() as root:
        train, valid, test = (Flowers102(root.parent, split, loader=Path) for split in ("train", "val", "test"))
        samples = [*_listed(train), *_listed(valid)], _listed(test)
    return _packed(FLOWERS, FLOWERS_FOLDER, samples, Flowers102.classes, img_size, progress)


def cars(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Stanford Cars, the whole photograph and not the car's box."""
    from torchvision.datasets import StanfordCars

    with CARS_FOLDER.reading() as root:
        train, test = (StanfordCars(root.parent, split, loader=Path) for split in ("train", "test"))
        samples = _listed(train), _listed(test)
    return _packed(CARS, CARS_FOLDER, samples, train.classes, img_size, progress)


def pets(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Oxford-IIIT Pet, the 37 breeds; torchvision's class would open every image to tell its label."""
    with PETS_FOLDER.reading() as root:
        (train, breeds), (test, _) = (_breeds(root, part) for part in ("trainval", "test"))
        class_names = [breeds[label] for label in range(len(breeds))]
    return _packed(PETS, PETS_FOLDER, (train, test), class_names, img_size, progress)


def food(img_size: int, cache: Path, progress: Track) -> RawSet:
    """Food-101; its training labels are noisy on purpose."""
    from torchvision.datasets import Food101

    with FOOD_FOLDER.reading() as root:
        train, test = (Food101(root.parent, split, loader=Path) for split in ("train", "test"))
        samples = _listed(train), _listed(test)
    return _packed(FOOD, FOOD_FOLDER, samples, train.classes, img_size, progress)


def _listed(dataset: Any) -> list[Sample]:
    """Path and label of every image: with `Path` as its loader the data set opens none."""
    return [dataset[index] for index in range(len(dataset))]


def _breeds(root: Path, part: str) -> tuple[list[Sample], dict[int, str]]:
    """The images of `annotations/<part>.txt`, whose lines begin with name_number and the breed from 1; the names."""
    rows = [line.split() for line in (root / f"annotations/{part}.txt").read_text().splitlines()]
    samples: list[Sample] = [(root / f"images/{image}.jpg", int(breed) - 1) for image, breed, *_ in rows]
    return samples, {int(breed) - 1: image.rpartition("_")[0] for image, breed, *_ in rows}


def _packed(
    image_set: ImageSet,
    folder: OwnFolder,
    samples: tuple[list[Sample], list[Sample]],
    class_names: Sequence[str],
    img_size: int,
    progress: Track,
) -> RawSet:
    train, test = samples
    return photographs(
        image_set, folder, train=train, test=test, class_names=class_names, img_size=img_size, progress=progress
    )


FLOWERS = ImageSet(
    name="flowers-102",
    what="photographs of flowers",
    citation="Nilsback, Zisserman: Automated flower classification over a large number of classes, ICVGIP 2008",
    licence="none stated",
    num_classes=102,
    train=2_040,
    test=6_149,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=flowers,
)
CARS = ImageSet(
    name="stanford-cars",
    what="photographs of cars, by make, model and year",
    citation="Krause et al.: 3D object representations for fine-grained categorization, 3dRR 2013",
    licence="non-commercial research",
    num_classes=196,
    train=8_144,
    test=8_041,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=cars,
)
PETS = ImageSet(
    name="pets",
    what="photographs of cats and dogs, by breed",
    citation="Parkhi et al.: Cats and dogs, CVPR 2012",
    licence="CC-BY-SA-4.0",
    num_classes=37,
    train=3_680,
    test=3_669,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=pets,
)
FOOD = ImageSet(
    name="food-101",
    what="photographs of dishes",
    citation="Bossard et al.: Food-101, mining discriminative components with random forests, ECCV 2014",
    licence="none stated",
    num_classes=101,
    train=75_750,
    test=25_250,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=food,
)
