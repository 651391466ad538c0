"""CUB-200-2011: photographs of birds (Caltech, UCSD)."""

from __future__ import annotations

from pathlib import Path

from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import Sample, photographs

FOLDER = OwnFolder(
    name="CUB_200_2011",
    holds="images/<class>/*.jpg, classes.txt, images.txt, image_class_labels.txt and train_test_split.txt",
    page="www.vision.caltech.edu/datasets/cub_200_2011",
)


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The published split, the whole photograph and not the bird's box."""
    with FOLDER.reading() as root:
        files, labels, trained, names = (
            dict(line.split(maxsplit=1) for line in (root / f"{table}.txt").read_text().splitlines())
            for table in ("images", "image_class_labels", "train_test_split", "classes")
        )
        parts: dict[str, list[Sample]] = {"1": [], "0": []}
        for image, file in files.items():
            parts[trained[image]].append((root / "images" / file, int(labels[image]) - 1))
    return photographs(
        CUB,
        FOLDER,
        train=parts["1"],
        test=parts["0"],
        class_names=list(names.values()),
        img_size=img_size,
        progress=progress,
    )


CUB = ImageSet(
    name="cub-200",
    what="photographs of birds, by species",
    citation="Wah et al.: The Caltech-UCSD Birds-200-2011 dataset, CNS-TR-2011-001",
    licence="non-commercial research",
    num_classes=200,
    train=5_994,
    test=5_794,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=build,
)
