"""ChestX-ray8: X-ray images of chests with one of seven findings (NIH)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from regrow.data.holdout import stratified
from regrow.data.image_set import ImageSet, RawSet, Track
from regrow.data.own_folder import OwnFolder
from regrow.data.photographs import WHOLE, Sample, held_out_of, photographs

FOLDER = OwnFolder(
    name="chestx-ray8",
    holds="Data_Entry_2017.csv and images_*/images/*.png",
    page="nihcc.app.box.com/v/ChestXray-NIHCC",
)
FINDINGS = ["Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumothorax"]
TEST_SHARE = 0.3
TEST_SEED = 0  # of the data set, not of the study: every study is scored on the same images


def build(img_size: int, cache: Path, progress: Track) -> RawSet:
    """The images with exactly one finding, of seven, as in Guo et al. (ECCV 2020); 30 % are the test.

    The set is one of several labels an image and the papers do not say what they made of it.
    """
    with FOLDER.reading() as root:
        places = {path.name: path for path in root.rglob("*.png")}
        with (root / "Data_Entry_2017.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["Finding Labels"] in FINDINGS]
        samples: list[Sample] = [
            (places.get(row["Image Index"], root / row["Image Index"]), FINDINGS.index(row["Finding Labels"]))
            for row in rows
        ]
        labels = np.array([label for _, label in samples])
        train, test = held_out_of(samples, stratified(labels, round(TEST_SHARE * len(samples)), TEST_SEED))
    return photographs(
        CHEST_XRAY,
        FOLDER,
        train=train,
        test=test,
        class_names=FINDINGS,
        img_size=img_size,
        progress=progress,
        crop=WHOLE,
    )


CHEST_XRAY = ImageSet(
    name="chestx-ray8",
    what="X-ray images of chests with one finding, of seven",
    citation="Wang et al.: ChestX-ray8, CVPR 2017; the seven findings of Guo et al., ECCV 2020",
    licence="NIH, free with attribution",
    num_classes=7,
    train=18_094,
    test=7_754,
    polarity="light-on-dark",
    flip=True,
    metric="accuracy",
    build=build,
)
