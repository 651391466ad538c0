"""iNaturalist 2018 and 2019: photographs of species, with the competition's own split.

torchvision's class reads the same folders but knows no split of these years.
"""

from __future__ import annotations

import json
from pathlib import Path

from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import Sample, photographs

FOLDERS = {
    year: OwnFolder(
        name=f"inat-{year}",
        holds=f"train_val{year}/<kingdom>/<species>/*.jpg, train{year}.json and val{year}.json",
        page=f"github.com/visipedia/inat_comp/tree/master/{year}",
    )
    for year in (2018, 2019)
}


def inat_2018(img_size: int, cache: Path, progress: Track) -> RawSet:
    """8,142 species; the competition's validation images are the test."""
    return _build(INAT_2018, 2018, img_size, progress)


def inat_2019(img_size: int, cache: Path, progress: Track) -> RawSet:
    """1,010 species; the competition's validation images are the test."""
    return _build(INAT_2019, 2019, img_size, progress)


def _build(image_set: ImageSet, year: int, img_size: int, progress: Track) -> RawSet:
    folder = FOLDERS[year]
    with folder.reading() as root:
        train, class_names = _listed(root, f"train{year}.json")
        test, _ = _listed(root, f"val{year}.json")
    return photographs(
        image_set, folder, train=train, test=test, class_names=class_names, img_size=img_size, progress=progress
    )


def _listed(root: Path, file: str) -> tuple[list[Sample], list[str]]:
    """Images with their labels, and the names of the categories by id, which is the label."""
    content = json.loads((root / file).read_bytes())
    labels = {found["image_id"]: found["category_id"] for found in content["annotations"]}
    names = {found["id"]: str(found["name"]) for found in content["categories"]}
    samples: list[Sample] = [(root / image["file_name"], labels[image["id"]]) for image in content["images"]]
    return samples, [names[label] for label in range(len(names))]


INAT_2018 = ImageSet(
    name="inat-2018",
    what="photographs of species, long tail",
    citation="Van Horn et al.: The iNaturalist species classification and detection dataset, CVPR 2018",
    licence="non-commercial research",
    num_classes=8_142,
    train=437_513,
    test=24_426,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=inat_2018,
)
INAT_2019 = ImageSet(
    name="inat-2019",
    what="photographs of species that are much alike",
    citation="Van Horn et al.: The iNaturalist species classification and detection dataset, CVPR 2018",
    licence="non-commercial research",
    num_classes=1_010,
    train=265_213,
    test=3_030,
    polarity="colour",
    flip=True,
    metric="accuracy",
    build=inat_2019,
)
