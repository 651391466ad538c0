"""The rules that make sets out of drawings, on collections of a few squares. Nothing here downloads."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regrow.data import SETS, RawSet, iconify
from regrow.data.concepts import concept
from regrow.data.drawings import Drawing, drawing_set, drawn_by_lot, named
from regrow.data.emoji import VENDORS
from regrow.data.icons import designers
from regrow.data.logos import brand
from regrow.data.npm import NpmPackage
from regrow.data.progress import track


def dot(x: int, y: int, colour: str = "black") -> str:
    """A document with one square at (x, y) in units of an eighth of the side."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="{colour}"/></svg>'
    )


def assemble(drawings: Sequence[Drawing], **settings: Any) -> RawSet:
    defaults: dict[str, Any] = {
        "img_size": 16,
        "min_designers": 2,
        "min_images": 2,
        "ignore_colour": False,
        "test_designers": named("bo"),
        "source": ("made up",),
        "progress": track,
    }
    return drawing_set(drawings, **{**defaults, **settings})


def test_test_designers_are_unseen_in_training() -> None:
    found = assemble(
        [Drawing(label, designer, f"{designer}:{label}", dot(x, y))
         for x, label in enumerate("ab") for y, designer in enumerate(["al", "bo", "cy"])]
    )  # fmt: skip
    assert found.class_names == ["a", "b"]
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [o for o, test in zip(found.origins, found.is_test, strict=True) if test] == ["bo:a", "bo:b"]
    assert found.images.shape == (6, 16, 16, 3)
    black = np.argwhere(found.images[5].max(axis=-1) == 0)  # "b" by "cy": the square at (1, 2)
    assert (black.min(axis=0).tolist(), black.max(axis=0).tolist()) == ([4, 2], [5, 3])


def test_what_is_blank_broken_or_seen_before_is_dropped() -> None:
    drawings = [
        Drawing("a", "al", "first", dot(0, 0)),
        Drawing("a", "bo", "same look", dot(0, 0)),
        Drawing("a", "bo", "another look", dot(4, 0)),
        Drawing("a", "bo", "blank", dot(9, 9)),
        Drawing("a", "bo", "broken", "<svg"),
        Drawing("b", "al", "same look, another class", dot(0, 0)),
        Drawing("b", "bo", "fine", dot(4, 4)),
    ]
    found = assemble(drawings)
    assert found.origins == ("first", "another look", "same look, another class", "fine")


def test_colour_alone_tells_drawings_apart_unless_ignored() -> None:
    red, grey = dot(2, 2, "#ff0000"), dot(2, 2, "#4c4c4c")  # of equal brightness
    drawings = [
        Drawing("a", "al", "red", red),
        Drawing("a", "bo", "grey", grey),
        Drawing("a", "bo", "else", dot(5, 5)),
    ]
    assert assemble(drawings).origins == ("red", "grey", "else")
    assert assemble(drawings, ignore_colour=True).origins == ("red", "else")


def test_small_classes_are_dropped_after_duplicates() -> None:
    drawings = [
        Drawing("one designer", "al", "1", dot(0, 0)),
        Drawing("one designer", "al", "2", dot(1, 0)),
        Drawing("one look", "al", "3", dot(0, 0)),
        Drawing("one look", "bo", "4", dot(0, 0)),
        Drawing("fine", "al", "5", dot(0, 0)),
        Drawing("fine", "bo", "6", dot(1, 0)),
    ]
    assert assemble(drawings).class_names == ["fine"]


def test_members_are_the_same_at_every_size() -> None:
    """Two drawings that no pixel tells apart at 4 px, but that differ at the size that decides."""
    half = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M{} 0h.5v.5h-.5z"/></svg>'
    drawings = [Drawing("a", "al", "1", half.format(0)), Drawing("a", "bo", "2", half.format(1))]
    sets = [assemble(drawings, img_size=size) for size in (4, 16, 64)]
    assert [found.origins for found in sets] == [("1", "2")] * 3


def test_a_lot_takes_whole_designers_until_the_share_is_reached() -> None:
    sizes = {f"d{i:02}": 2 + i % 3 for i in range(30)} | {"huge": 40}
    members = [Drawing("a", designer, "", "") for designer, size in sizes.items() for _ in range(size)]
    chosen = drawn_by_lot(share=0.2, largest=0.1)(members)
    held = sum(sizes[designer] for designer in chosen)
    assert "huge" not in chosen
    assert held - sizes[chosen[-1]] < 0.2 * len(members) <= held
    assert drawn_by_lot(share=0.2, largest=0.1)(members[::-1]) == chosen
    assert set(drawn_by_lot(share=1, largest=0.1)(members)) == sizes.keys() - {"huge"}


def test_icon_names_tell_concepts() -> None:
    told = {icon: concept(icon) for icon in ("settings-outline", "gear_fill_24px", "cog", "github", "16x16-solid", "x")}
    assert told == {
        "settings-outline": "cog",
        "gear_fill_24px": "cog",
        "cog": "cog",
        "github": "",
        "16x16-solid": "",
        "x": "close",
    }
    assert {brand(icon) for icon in ("github-icon", "logo-github", "git-hub", "github-2")} == {"github"}


def collection(prefix: str, icons: dict[str, str], author: str = "", **info: Any) -> dict[str, Any]:
    return {
        "prefix": prefix,
        "info": {
            "author": {"name": author or prefix},
            "license": {"spdx": "MIT"},
            "category": "General",
            **info,
        },
        "icons": {name: {"body": body} for name, body in icons.items()},
        "width": 8,
        "height": 8,
    }


def test_one_author_or_one_first_word_is_one_designer() -> None:
    drawn = [
        ("aa-1", "Ann"),
        ("aa-2", "Abe"),
        ("bb-1", "Bea"),
        ("cc-1", "Ann"),
        ("cc-2", "Cem"),
        ("dd-1", "Cem"),
    ]
    of = designers([iconify.Collection(collection(prefix, {}, author)) for prefix, author in drawn])
    assert of["aa-1"] == of["aa-2"] == of["cc-1"] == of["cc-2"] == of["dd-1"] != of["bb-1"]


def test_a_box_that_is_no_square_is_widened_around_the_drawing() -> None:
    wide = {**collection("aa", {"bar": "<path/>"}), "width": 8, "height": 4, "left": 1, "top": 2}
    svg = iconify.Collection(wide).svg("bar")
    assert 'viewBox="1.0 0.0 8 8"' in svg
    assert 'color="#000"' in svg


def body(x: float, y: float) -> str:
    return f'<path d="M{x} {y}h1v1h-1z"/>'


def install(monkeypatch: pytest.MonkeyPatch, cache: Path, attribute: str, files: dict[str, Any]) -> None:
    """Put a package of JSON files where the client would have put the real one, as a verified tarball."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text := json.dumps(content).encode())
            archive.addfile(member, io.BytesIO(text))
    package: NpmPackage = getattr(iconify, attribute)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    synthetic = dataclasses.replace(package, sha256=digest)
    cache.mkdir(exist_ok=True)
    (cache / f"{package.stem}.tgz").write_bytes(buffer.getvalue())
    for module in (
        iconify,
        *(sys.modules[f"regrow.data.{name}"] for name in ("flags", "logos", "emoji", "icons")),
    ):
        if hasattr(module, attribute):
            monkeypatch.setattr(module, attribute, synthetic)


def install_icons(monkeypatch: pytest.MonkeyPatch, cache: Path, collections: list[dict[str, Any]]) -> None:
    install(monkeypatch, cache, "PACKAGE", {f"json/{content['prefix']}.json": content for content in collections})


def install_emoji(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    entries = {
        "\U0001f1eb\U0001f1f7": ("flag: France", "flag_france", "Flags"),
        "\U0001f1e8\U0001f1ee": ("flag: Côte d'Ivoire", "flag_cote_divoire", "Flags"),
        "\U0001f3f4": ("black flag", "black_flag", "Flags"),
        "\U0001f600": ("grinning face", "grinning_face", "Smileys & Emotion"),
    }
    keys = ("name", "slug", "group")
    table = {emoji: dict(zip(keys, entry, strict=True)) for emoji, entry in entries.items()}
    install(monkeypatch, cache, "EMOJI_PACKAGE", {"data-by-emoji.json": table})


def test_flags_are_found_under_every_way_to_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    icons = {
        "cif": "fr",
        "circle-flags": "fr",
        "flagpack": "fr",
        "flag": "fr-4x3",
        "twemoji": "flag-france",
        "openmoji": "flag-france",
        "emojione": "flag-for-france",
        "emojione-v1": "flag-for-flag-france",
        "noto-v1": "flag-for-flag-france",
        "mdi": "fr",
    }
    decoys = {"fr-up": body(0, 7), "zz": body(1, 7), "black-flag": body(2, 7)}
    collections = [collection(p, {name: body(x % 8, x // 8), **decoys}) for x, (p, name) in enumerate(icons.items())]
    install_icons(monkeypatch, tmp_path, collections)
    install_emoji(monkeypatch, tmp_path)
    found = SETS["flags"].build(16, tmp_path, track)
    assert found.class_names == ["fr"]
    assert set(found.origins) == {f"{p}:{name}|MIT" for p, name in icons.items() if p != "mdi"}
    assert {o.split(":")[0] for o, t in zip(found.origins, found.is_test, strict=True) if t} == {
        "openmoji",
        "circle-flags",
    }


def test_logos_are_of_brands_and_free_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logos = {"category": "Logos"}
    collections = [
        *(collection(f"set{x}", {"acme-icon": body(x, 0)}, **logos) for x in range(5)),
        collection("cib", {"logo-acme": body(6, 0)}, **logos),
        collection("fa6-brands", {"ac-me": body(7, 0)}),
        collection("general", {"acme": body(0, 1)}),
        collection("token", {"acme": body(1, 1)}, **logos),
        collection("paid", {"acme": body(2, 1)}, license={"spdx": "CC-BY-NC-4.0"}, **logos),
    ]
    collections[0]["icons"]["acme-dark"] = {"body": body(3, 3), "hidden": True}
    install_icons(monkeypatch, tmp_path, collections)
    found = SETS["logos"].build(16, tmp_path, track)
    assert found.class_names == ["acme"]
    assert sorted(o.split(":")[0] for o in found.origins) == [
        "cib",
        "fa6-brands",
        *(f"set{x}" for x in range(5)),
    ]
    assert found.is_test.sum() == 1


def test_emoji_are_one_a_collection_and_no_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collections = []
    for x, prefix in enumerate(VENDORS):
        name = "u1f600-grinning-face" if prefix == "fxemoji" else "grinning-face"
        icons = {name: body(x % 8, x // 8), "grinning_face": body(0, 7), "flag-france": body(3, x % 8)}
        collections.append(collection(prefix, icons))
    install_icons(monkeypatch, tmp_path, collections)
    install_emoji(monkeypatch, tmp_path)
    found = SETS["emoji"].build(16, tmp_path, track)
    assert found.class_names == ["grinning face"]
    assert len(found.origins) == 10
    assert not any("grinning_face" in origin for origin in found.origins)
    assert found.is_test.sum() == 2


def test_icons_are_concepts_that_ten_designers_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collections = []
    for x in range(10):
        bells = {f"bell-{y}": body(0.7 * x, y) for y in range(8)}  # two more than are taken of one designer
        nine = {f"anvil-{y}": body(0.7 * x, y) for y in range(3)} if x else {}
        collections.append(collection(f"set{x}", {**bells, **nine, "github": body(x % 8, 2)}))
    collections.append(collection("logo", {"bell": body(7, 7)}, category="Logos"))
    install_icons(monkeypatch, tmp_path, collections)
    found = SETS["icons"].build(16, tmp_path, track)
    assert found.class_names == ["bell"]
    per_designer = np.unique([o.split(":")[0] for o in found.origins], return_counts=True)[1]
    assert per_designer.tolist() == [6] * 10


def test_a_build_of_drawings_is_the_same_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collections = [collection(f"set{x}", {f"bell-{y}": body(0.7 * x, y) for y in range(8)}) for x in range(10)]
    install_icons(monkeypatch, tmp_path, collections)
    one, two = (SETS["icons"].build(16, tmp_path, track) for _ in range(2))
    assert one.origins == two.origins
    assert np.array_equal(one.images, two.images)
