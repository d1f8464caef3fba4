"""The colours of the page: every text can be read, in light and in dark."""

import re
from importlib.resources import files

import pytest

BASE = files("pipeline.results.page").joinpath("assets", "base.css").read_text(encoding="utf-8")
THEMES = {"light": ":root {", "dark": ":root[data-theme=dark] {", "dark by itself": ":root:not([data-theme=light]) {"}
PAIRS = [
    *((text, ground) for text in ("ink", "soft", "accent", "attention", "warning") for ground in ("card", "ground")),
    *((text, "well") for text in ("ink", "soft")),
    ("attention", "attention-soft"),
    ("warning", "warning-soft"),
    ("accent", "accent-soft"),
]
LEAST = 4.5


def colours(theme: str) -> dict[str, str]:
    part = BASE.partition(THEMES[theme])[2].partition("}")[0]
    return dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", part))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_stands_out_from_its_ground(theme: str) -> None:
    known = colours(theme)
    assert {pair for pair in PAIRS if contrast(known[pair[0]], known[pair[1]]) < LEAST} == set()


def test_both_ways_into_the_dark_have_the_same_colours() -> None:
    assert colours("dark") == colours("dark by itself")
