"""The sample pictures: the script that drew them draws them again."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tests.support.lengths import only_thorough

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples_draw", SAMPLES / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def truth() -> dict[str, dict[str, dict[str, str]]]:
    text = (SAMPLES / "truth.json").read_text(encoding="utf-8")
    shown: dict[str, dict[str, dict[str, str]]] = json.loads(text)
    return shown


KINDS = sorted({shown["kind"] for shown in truth()["gallery"].values()})


def same_pixels(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.convert("RGB").tobytes() == other.convert("RGB").tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_gallery_drawing_of_each_kind_comes_out_again(kind: str, draw: ModuleType) -> None:
    design = KINDS.index(kind) % draw.DESIGNS
    number = 1 + KINDS.index(kind) % 3
    with Image.open(SAMPLES / "gallery" / f"{kind}-{design}-{number}.png") as shipped:
        assert same_pixels(draw.gallery_drawing(kind, design, number), shipped)


@pytest.mark.proofs
@pytest.mark.parametrize("kind", ["clock", "kettle", "phone"])
def test_a_product_picture_comes_out_again(kind: str, draw: ModuleType, tmp_path: Path) -> None:
    draw.product_picture(kind, 1).save(tmp_path / "again.jpg", quality=85)
    with Image.open(tmp_path / "again.jpg") as again, Image.open(SAMPLES / "products" / f"{kind}-1.jpg") as shipped:
        assert same_pixels(again, shipped)


def test_the_folders_hold_what_the_truth_lists() -> None:
    for folder, shown in truth().items():
        assert sorted(path.name for path in (SAMPLES / folder).iterdir()) == sorted(shown)


@pytest.mark.proofs
@only_thorough
def test_everything_is_drawn_again(draw: ModuleType, tmp_path: Path) -> None:
    draw.draw_all(tmp_path)
    assert (tmp_path / "truth.json").read_bytes() == (SAMPLES / "truth.json").read_bytes()
    for folder, shown in truth().items():
        for file in shown:
            with Image.open(tmp_path / folder / file) as again, Image.open(SAMPLES / folder / file) as shipped:
                assert same_pixels(again, shipped), file


def test_a_changed_design_is_another_picture(draw: ModuleType) -> None:
    views = [draw.render("mug", 0, style="gray", view=0, size_px=64, change=change) for change in (0, 1, 2)]
    assert len({view.tobytes() for view in views}) == 3


@pytest.mark.parametrize("style", ["line", "hatch", "fill", "gray", "photo"])
def test_every_style_is_the_same_each_time(style: str, draw: ModuleType) -> None:
    first, again = (draw.render("chair", 5, style=style, view=3, size_px=64) for _ in range(2))
    assert same_pixels(first, again)
