"""Draw the sample gallery, the sample products and the truth about which belongs to which.

    python samples/draw.py [--into DIR] [--index]

18 kinds of product x 8 designs x 3 drawings become `gallery/`; photo-like pictures of the first two designs of each
kind, seen from another side, become `products/`; `truth.json` says which design each picture shows. The index of the
gallery lies in `gallery-index/`, so that nobody's first run waits for it: of drawings or features that were changed the
sandbox makes it anew, and `draw.py --index` writes that here.

Every choice comes from a random generator seeded by names, so the same pictures come out again. The ORDER of the random
draws is therefore part of the pictures: a draw that is moved, added or dropped changes everything after it.
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFilter

from pipeline.sandbox.gallery import Gallery, shipped_index

Choice = TypeVar("Choice")
Color = tuple[int, int, int]
Point = tuple[float, float]
Polygon = list[Point]

DESIGNS = 8
DESIGNS_WITH_PRODUCT = 2
GALLERY_PX = 320
PRODUCT_PX = 400
DRAWINGS = (("line", 0), ("line", 1), ("hatch", 2))  # (style, view) of the drawings of one design
OVERSAMPLE = 2
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


# Outlines. Coordinates run from 0 to 1, y downwards.


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> Polygon:
    """Return a rectangle with rounded corners."""
    radius = min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    corners = (
        (x1 - radius, y0 + radius, -90),
        (x1 - radius, y1 - radius, 0),
        (x0 + radius, y1 - radius, 90),
        (x0 + radius, y0 + radius, 180),
    )
    points = []
    for cx, cy, start in corners:
        for step in range(7):
            angle = math.radians(start + 90 * step / 6)
            points.append((cx + radius * math.cos(angle), cy + radius * math.sin(angle)))
    return points


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Polygon:
    """Return a whole ellipse."""
    return [on_ellipse(cx, cy, rx, ry, 360 * step / 48) for step in range(48)]


def arc(cx: float, cy: float, rx: float, ry: float, *, steps: int, start: float, end: float) -> Polygon:
    """Return a part of an ellipse, in degrees."""
    return [on_ellipse(cx, cy, rx, ry, start + (end - start) * step / steps) for step in range(steps + 1)]


def on_ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float) -> Point:
    """Return the point of an ellipse in a direction."""
    angle = math.radians(degrees)
    return cx + rx * math.cos(angle), cy + ry * math.sin(angle)


def smooth(points: Polygon, *, closed: bool = True) -> Polygon:
    """Return a Catmull-Rom curve through the points."""
    count = len(points)

    def at(index: int) -> Point:
        return points[index % count] if closed else points[min(max(index, 0), count - 1)]

    curve = []
    for i in range(count if closed else count - 1):
        xs, ys = zip(at(i - 1), at(i), at(i + 1), at(i + 2), strict=True)
        curve += [(between(xs, step / 8), between(ys, step / 8)) for step in range(8)]
    return curve if closed else [*curve, points[-1]]


def between(places: Sequence[float], t: float) -> float:
    """Return the Catmull-Rom coordinate t of the way from the second to the third of four places."""
    p0, p1, p2, p3 = places
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t * t + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def lathe(profile: Polygon, *, middle: float = 0.5) -> Polygon:
    """Return a turned body; the profile lists (y, half width) from top to bottom."""
    right = smooth([(middle + half_width, y) for y, half_width in profile], closed=False)
    return right + [(2 * middle - x, y) for x, y in reversed(right)]


def tube(path: Polygon, half_width: float) -> Polygon:
    """Return a band along a path."""
    left, right = [], []
    for i, (x, y) in enumerate(path):
        before, after = path[max(i - 1, 0)], path[min(i + 1, len(path) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        length = math.hypot(dx, dy) or 1
        left.append((x - dy / length * half_width, y + dx / length * half_width))
        right.append((x + dy / length * half_width, y - dx / length * half_width))
    return left + right[::-1]


class Sketch:
    """One design in the making: what has been drawn so far, and the random choices.

    `shapes` holds (polygon, tone), tone 0 dark to 1 light, in drawing order. `change` > 0 moves every measure a little:
    a similar design.
    """

    def __init__(self, kind: str, design: int, *, change: int = 0) -> None:
        self.shapes: list[tuple[Polygon, float]] = []
        self._random = random.Random(f"{kind}-{design}")
        self._change = random.Random(f"{kind}-{design}-m{change}") if change else None

    def size(self, low: float, high: float) -> float:
        """Draw a measure from a range."""
        value = self._random.uniform(low, high)
        if self._change is None:
            return value
        return min(max(value + self._change.uniform(-0.07, 0.07) * (high - low), low), high)

    def pick(self, *choices: Choice) -> Choice:
        """Draw one of the choices."""
        return self._random.choice(choices)

    def maybe(self) -> bool:
        """Draw yes or no, evenly."""
        return self.pick(False, True)

    def add(self, polygon: Polygon, tone: float) -> None:
        """Put a shape on top of those already there."""
        self.shapes.append((polygon, tone))

    def add_hands(self, degrees: float, half_width: float, *hands: Point) -> None:
        """Put clock hands on the middle, each (length, degrees from the first one)."""
        for length, apart in hands:
            tip = on_ellipse(0.5, 0.5, length, length, degrees + apart)
            self.add(tube([(0.5, 0.5), tip], half_width), 0.1)


# Kinds of product: each function draws one design.


def phone(s: Sketch) -> None:
    w, corner = s.size(0.2, 0.3), s.size(0.02, 0.11)
    s.add(rounded(0.5 - w, 0.04, 0.5 + w, 0.96, corner), 0.3)
    rim, form = s.size(0.015, 0.05), s.pick("notch", "button", "camera")
    end = rim * (3.2 if form == "button" else 1)
    s.add(rounded(0.5 - w + rim, 0.04 + end, 0.5 + w - rim, 0.96 - end, corner * 0.7), 0.85)
    if form == "notch":
        s.add(rounded(0.42, 0.04 + rim, 0.58, 0.04 + rim * 2.2, 0.02), 0.1)
    elif form == "button":
        s.add(ellipse(0.5, 0.96 - rim * 1.6, 0.035, 0.035), 0.6)
    else:
        q = s.size(0.1, 0.2)
        s.add(rounded(0.5 - w + 0.05, 0.1, 0.5 - w + 0.05 + q, 0.1 + q * s.size(0.8, 1.8), 0.04), 0.2)
        for i in range(s.pick(2, 3)):
            s.add(ellipse(0.5 - w + 0.05 + q / 2, 0.1 + q * 0.3 + i * q * 0.4, q * 0.16, q * 0.16), 0.7)


def chair(s: Sketch) -> None:
    w, seat, top = s.size(0.2, 0.3), s.size(0.48, 0.58), s.size(0.05, 0.22)
    back = s.pick("panel", "slats", "oval")
    if back == "panel":
        s.add(rounded(0.5 - w, top, 0.5 + w, seat - 0.05, s.size(0.02, 0.15)), 0.5)
    elif back == "slats":
        s.add(rounded(0.5 - w, top, 0.5 - w + 0.05, seat, 0.02), 0.4)
        s.add(rounded(0.5 + w - 0.05, top, 0.5 + w, seat, 0.02), 0.4)
        slats = s.pick(2, 3, 4)
        for i in range(slats):
            y = top + 0.03 + i * (seat - top) * 0.8 / slats
            s.add(rounded(0.5 - w + 0.05, y, 0.5 + w - 0.05, y + 0.06, 0.02), 0.55)
    else:
        s.add(ellipse(0.5, (top + seat) / 2, w * 0.95, (seat - top) / 2), 0.5)
    s.add(rounded(0.5 - w - 0.03, seat, 0.5 + w + 0.03, seat + s.size(0.05, 0.1), 0.03), 0.65)
    splay, leg = s.size(-0.03, 0.1), s.size(0.02, 0.04)
    for side in (-1, 1):
        x, foot = 0.5 + side * (w - 0.02), 0.5 + side * (w - 0.02 + splay)
        hip = [(x - leg, seat + 0.07), (x + leg, seat + 0.07)]
        s.add([*hip, (foot + leg * 0.6, 0.97), (foot - leg * 0.6, 0.97)], 0.35)
    if s.maybe():
        s.add(rounded(0.5 - w, 0.78, 0.5 + w, 0.81, 0.01), 0.35)


def bottle(s: Sketch) -> None:
    neck, shoulder, w, waist = s.size(0.05, 0.09), s.size(0.28, 0.5), s.size(0.14, 0.24), s.size(0.6, 1.05)
    profile = [(0.14, neck), (0.22, neck), (shoulder, w * s.size(0.6, 1)), (shoulder + 0.12, w)]
    s.add(lathe([*profile, ((shoulder + 1) / 2, w * waist), (0.9, w), (0.96, w * 0.93)]), 0.6)
    cap = neck * s.size(1.05, 1.6)
    s.add(rounded(0.5 - cap, s.size(0.03, 0.07), 0.5 + cap, 0.15, 0.015), 0.25)
    if s.maybe():
        s.add(rounded(0.5 - w * 0.92, shoulder + 0.2, 0.5 + w * 0.92, shoulder + s.size(0.3, 0.4), 0.01), 0.85)
    if s.pick(False, False, True):
        s.add(rounded(0.5 + cap, 0.05, 0.5 + cap + 0.13, 0.09, 0.01), 0.25)


def lamp(s: Sketch) -> None:
    top, w, y = s.size(0.05, 0.2), s.size(0.2, 0.36), s.size(0.35, 0.5)
    shade = s.pick("cone", "dome", "globe")
    s.add(rounded(0.5 - 0.018, y, 0.5 + 0.018, 0.93, 0.01), 0.3)
    if shade == "cone":
        s.add([(0.5 - top, 0.06), (0.5 + top, 0.06), (0.5 + w, y), (0.5 - w, y)], 0.75)
    elif shade == "dome":
        s.add(arc(0.5, y, w, y - 0.06, steps=48, start=180, end=360), 0.75)
    else:
        s.add(ellipse(0.5, (y + 0.06) / 2, w * 0.8, (y - 0.06) / 2 + 0.03), 0.8)
    s.add(ellipse(0.5, 0.93, s.size(0.12, 0.26), s.size(0.02, 0.05)), 0.4)
    if s.maybe():
        s.add(ellipse(0.5, s.size(0.6, 0.8), s.size(0.04, 0.1), s.size(0.04, 0.08)), 0.5)


def mug(s: Sketch) -> None:
    w, h, taper, x, y = s.size(0.2, 0.28), s.size(0.2, 0.34), s.size(0.75, 1.1), 0.43, 0.52
    reach, hh = s.size(0.1, 0.17), h * s.size(0.45, 0.8)
    if s.maybe():
        handle = arc(x + w * 0.95, y, reach, hh, steps=30, start=-90, end=90)
    else:
        outer = x + w + reach
        corners = [(x + w * 0.9, y - hh), (outer, y - hh), (outer, y + hh * 0.6), (x + w * 0.9, y + hh)]
        handle = smooth(corners, closed=False)
    s.add(tube(handle, s.size(0.02, 0.035)), 0.45)
    left = smooth([(x - w, y - h), (x - w * (1 + taper) / 2, y), (x - w * taper, y + h)], closed=False)
    right = smooth([(x + w * taper, y + h), (x + w * (1 + taper) / 2, y), (x + w, y - h)], closed=False)
    s.add(left + right, 0.65)
    s.add(ellipse(x, y - h, w, s.size(0.03, 0.07)), 0.25)
    if s.maybe():
        s.add(rounded(x - w * 0.9, y + h * 0.1, x + w * 0.9, y + h * s.size(0.3, 0.6), 0.01), 0.85)


def shoe(s: Sketch) -> None:
    h, toe, sole, ankle = s.size(0.22, 0.5), s.size(0.02, 0.1), s.size(0.05, 0.12), s.size(0.26, 0.4)
    heel = [(0.08, 0.72), (0.1, 0.72 - h), (0.1 + ankle * 0.4, 0.72 - h + 0.03), (ankle + 0.06, 0.72 - h * 0.95)]
    tip = [(0.55, 0.56), (0.78, 0.53 + toe * 0.5), (0.93, 0.62 + toe * 0.5), (0.94, 0.73), (0.5, 0.73)]
    s.add(smooth(heel + tip), 0.55)
    form = s.pick("flat", "heel", "wedge")
    if form == "flat":
        s.add(rounded(0.06, 0.71, 0.95, 0.71 + sole, 0.04), 0.9)
    elif form == "heel":
        s.add([(0.06, 0.71), (0.28, 0.71), (0.26, 0.71 + sole * 2.2), (0.08, 0.71 + sole * 2.2)], 0.2)
        s.add(rounded(0.45, 0.71, 0.95, 0.71 + sole * 0.6, 0.02), 0.2)
    else:
        upper = [(0.05, 0.72), (0.3, 0.74), (0.6, 0.73), (0.97, 0.7)]
        s.add(smooth([*upper, (0.95, 0.73 + sole), (0.5, 0.75 + sole), (0.06, 0.74 + sole)]), 0.9)
    for i in range(s.pick(2, 3, 4, 5)):
        x, y = 0.4 + i * 0.055, 0.72 - h * 0.72 + i * 0.045
        s.add(tube([(x, y), (x + 0.1, y - 0.05 + i * 0.005)], 0.009), 0.95)
    if s.maybe():
        s.add(smooth([(0.2, 0.66), (0.45, 0.6), (0.65, 0.57), (0.45, 0.66)]), 0.95)


def watch(s: Sketch) -> None:
    w, case, r = s.size(0.08, 0.14), s.pick("round", "square", "octagon"), s.size(0.19, 0.26)
    strap = [(0.5 - w, 0.5), (0.5 + w, 0.5)]
    s.add([*strap, (0.5 + w * s.size(0.7, 1), 0.03), (0.5 - w * 0.8, 0.03)], 0.35)
    s.add([*strap, (0.5 + w * 0.8, 0.97), (0.5 - w * s.size(0.7, 1), 0.97)], 0.35)
    if case == "round":
        s.add(ellipse(0.5, 0.5, r, r), 0.6)
        s.add(ellipse(0.5, 0.5, r * s.size(0.7, 0.88), r * 0.8), 0.9)
    elif case == "square":
        s.add(rounded(0.5 - r * 0.9, 0.5 - r, 0.5 + r * 0.9, 0.5 + r, s.size(0.02, 0.1)), 0.4)
        s.add(rounded(0.5 - r * 0.75, 0.5 - r * 0.85, 0.5 + r * 0.75, 0.5 + r * 0.85, 0.05), 0.9)
    else:
        s.add([on_ellipse(0.5, 0.5, r * 1.05, r * 1.05, 22.5 + 45 * i) for i in range(8)], 0.5)
        s.add(ellipse(0.5, 0.5, r * 0.75, r * 0.75), 0.9)
    s.add_hands(s.size(0, 360), 0.008, (r * 0.5, 0), (r * 0.65, s.size(60, 200)))
    s.add(rounded(0.5 + r, 0.47, 0.5 + r + s.size(0.02, 0.06), 0.53, 0.01), 0.3)
    for i in range(s.pick(0, 3, 5)):
        s.add(rounded(0.47, 0.78 + i * 0.035, 0.53, 0.79 + i * 0.035, 0.005), 0.1)


def headphones(s: Sketch) -> None:
    r, y = s.size(0.26, 0.36), s.size(0.48, 0.58)
    band = arc(0.5, y, r, r * s.size(0.95, 1.25), steps=40, start=180, end=360)
    s.add(tube(band, s.size(0.02, 0.05)), 0.35)
    w, h, is_oval = s.size(0.06, 0.11), s.size(0.12, 0.2), s.maybe()
    for side in (-1, 1):
        x = 0.5 + side * r * s.size(0.98, 1)
        s.add(ellipse(x, y + h * 0.7, w, h) if is_oval else rounded(x - w, y - h * 0.2, x + w, y + h * 1.6, 0.05), 0.6)
        pad = x - side * w * 1.6
        s.add(rounded(pad - 0.03, y + h * 0.1, pad + 0.03, y + h * 1.3, 0.03), 0.25)
    if s.maybe():
        boom = [(0.5 - r, y + h * 1.6), (0.5 - r + 0.06, y + h * 2), (0.42, y + h * 2.1)]
        s.add(tube(smooth(boom, closed=False), 0.012), 0.3)


def glasses(s: Sketch) -> None:
    w, h, gap = s.size(0.14, 0.19), s.size(0.09, 0.17), s.size(0.03, 0.07)
    form, rim = s.pick("round", "square", "cat-eye"), s.size(0.012, 0.03)

    def lens(x: float, w: float, h: float) -> Polygon:
        if form == "round":
            return ellipse(x, 0.5, w, h)
        if form == "square":
            return rounded(x - w, 0.5 - h, x + w, 0.5 + h, 0.04)
        upper = [(x - w, 0.5 - h), (x + w, 0.5 - h * 0.9)]
        return smooth([*upper, (x + w * 0.7, 0.5 + h * 0.8), (x, 0.5 + h), (x - w * 0.8, 0.5 + h * 0.7)])

    s.add(rounded(0.5 - gap, 0.5 - h * 0.4, 0.5 + gap, 0.5 - h * 0.4 + s.size(0.02, 0.04), 0.01), 0.2)
    for side in (-1, 1):
        s.add(lens(0.5 + side * (gap + w), w + rim, h + rim), 0.2)
        s.add(lens(0.5 + side * (gap + w), w - rim * 0.3, h - rim * 0.3), 0.85)
        x = 0.5 + side * (gap + 2 * w)
        temple = [(x, 0.5 - h * 0.6), (x + side * 0.09, 0.5 - h * s.size(0.4, 0.9)), (x + side * 0.1, 0.5 + 0.05)]
        s.add(tube(temple, 0.014), 0.2)


def kettle(s: Sketch) -> None:
    w, top, y, x = s.size(0.22, 0.3), s.size(0.12, 0.2), s.size(0.25, 0.35), 0.48
    mouth = x - w - s.size(0.12, 0.17)
    spout = [(x - w * 0.8, 0.62), (x - w - 0.1, 0.45), (mouth, 0.34), (x - w - 0.08, 0.33), (x - top, 0.48)]
    s.add(smooth(spout), 0.5)
    s.add(lathe([(y, top), (0.55, w * s.size(0.85, 1.05)), (0.8, w), (0.9, w * 0.92)], middle=x), 0.65)
    s.add(ellipse(x, y, top, 0.04), 0.35)
    s.add(ellipse(x, y - 0.06, s.size(0.02, 0.05), 0.03), 0.2)
    if s.maybe():
        s.add(tube(arc(x, y + 0.02, w * 0.9, s.size(0.16, 0.22), steps=30, start=180, end=360), 0.022), 0.25)
    else:
        outer = x + w + s.size(0.1, 0.16)
        handle = [(x + top, y + 0.06), (outer, y + 0.08), (x + w + 0.12, 0.6), (x + w * 0.95, 0.75)]
        s.add(tube(smooth(handle, closed=False), 0.025), 0.25)


def vase(s: Sketch) -> None:
    mouth, neck, belly, foot = s.size(0.08, 0.25), s.size(0.06, 0.15), s.size(0.18, 0.36), s.size(0.08, 0.2)
    y = s.size(0.4, 0.7)
    s.add(lathe([(0.05, mouth), (0.16, neck), (y, belly), (0.88, foot), (0.96, foot * s.size(0.8, 1.3))]), 0.6)
    s.add(ellipse(0.5, 0.055, mouth, 0.022), 0.2)
    if s.maybe():
        s.add(lathe([(y - 0.05, belly * 0.97), (y + 0.05, belly * 0.99)]), 0.8)
    if s.maybe():
        for side in (-1, 1):
            outer = 0.5 + side * (neck + s.size(0.12, 0.2))
            handle = [(0.5 + side * neck, 0.18), (outer, 0.22), (0.5 + side * belly * 0.9, y - 0.08)]
            s.add(tube(smooth(handle, closed=False), 0.018), 0.4)


def table(s: Sketch) -> None:
    y, top, legs = s.size(0.3, 0.42), s.size(0.03, 0.07), s.pick("four", "column", "crossed")
    under = y + top
    s.add(rounded(0.05, y, 0.95, under, s.size(0.005, 0.03)), 0.6)
    if legs == "four":
        inset, splay = s.size(0.06, 0.2), s.size(-0.05, 0.06)
        for side in (-1, 1):
            x = 0.5 + side * (0.45 - inset)
            foot = x + side * splay
            s.add([(x - 0.03, under), (x + 0.03, under), (foot + 0.015, 0.85), (foot - 0.015, 0.85)], 0.4)
    elif legs == "column":
        s.add(rounded(0.46, under, 0.54, 0.82, 0.01), 0.4)
        s.add(ellipse(0.5, 0.84, s.size(0.14, 0.3), 0.035), 0.45)
    else:
        for side in (-1, 1):
            s.add(tube([(0.5 - side * 0.36, under), (0.5 + side * 0.34, 0.85)], 0.022), 0.4)
    if s.maybe():
        s.add(rounded(0.2, under, 0.8, under + s.size(0.05, 0.12), 0.01), 0.5)
        s.add(ellipse(0.5, under + 0.035, 0.015, 0.015), 0.2)


def camera(s: Sketch) -> None:
    h, hump, x = s.size(0.2, 0.27), s.size(0.12, 0.2), s.size(0.45, 0.58)
    top = 0.5 - h
    if s.maybe():
        peak = [(x - hump * 0.6, top - s.size(0.06, 0.12)), (x + hump * 0.6, top - 0.09)]
        s.add(smooth([(x - hump, top), *peak, (x + hump, top)]), 0.4)
    else:
        s.add(rounded(x - hump, top - s.size(0.04, 0.09), x + hump, 0.55 - h, 0.02), 0.4)
    s.add(rounded(0.08, top, 0.92, 0.5 + h, s.size(0.02, 0.09)), 0.5)
    r = s.size(0.13, 0.2)
    s.add(ellipse(x, 0.52, r, r), 0.25)
    s.add(ellipse(x, 0.52, r * s.size(0.5, 0.75), r * 0.65), 0.85)
    s.add(rounded(0.14, top - 0.04, 0.24, top, 0.01), 0.3)
    s.add(ellipse(0.83, 0.5 - h * 0.6, 0.03, 0.03), 0.9)
    if s.maybe():
        s.add(rounded(0.1, 0.5 - h * 0.3, 0.22, 0.5 + h * 0.8, 0.03), 0.2)


def speaker(s: Sketch) -> None:
    w = s.size(0.18, 0.34)
    if s.maybe():
        s.add(rounded(0.5 - w, 0.05, 0.5 + w, 0.95, s.size(0.01, 0.05)), 0.35)
    else:
        upper = [(0.5 - w * 0.8, 0.08), (0.5 + w * 0.8, 0.08), (0.5 + w, 0.5)]
        s.add(smooth([*upper, (0.5 + w * 0.9, 0.93), (0.5 - w * 0.9, 0.93), (0.5 - w, 0.5)]), 0.35)
    woofer = w * s.size(0.55, 0.78)
    s.add(ellipse(0.5, 0.66, woofer, woofer), 0.7)
    s.add(ellipse(0.5, 0.66, woofer * s.size(0.3, 0.6), woofer * 0.4), 0.2)
    tweeter = w * s.size(0.2, 0.4)
    s.add(ellipse(0.5, s.size(0.22, 0.3), tweeter, tweeter), 0.7)
    if s.maybe():
        s.add(rounded(0.5 - w * 0.6, 0.9, 0.5 + w * 0.6, 0.92, 0.01), 0.9)


def bag(s: Sketch) -> None:
    w, y, taper, grip = s.size(0.28, 0.38), s.size(0.35, 0.45), s.size(0.75, 1.1), s.size(0.1, 0.2)
    s.add(tube(arc(0.5, y + 0.02, grip, y - s.size(0.08, 0.16), steps=30, start=180, end=360), 0.018), 0.3)
    if s.maybe():
        s.add([(0.5 - w * taper * 0.9, y), (0.5 + w * taper * 0.9, y), (0.5 + w, 0.9), (0.5 - w, 0.9)], 0.55)
    else:
        upper = [(0.5 - w * taper * 0.8, y), (0.5 + w * taper * 0.8, y), (0.5 + w, 0.8)]
        s.add(smooth([*upper, (0.5 + w * 0.7, 0.92), (0.5 - w * 0.7, 0.92), (0.5 - w, 0.8)]), 0.55)
    front = s.pick("flap", "pocket", "seam")
    if front == "flap":
        s.add(rounded(0.5 - w * 0.8, y + 0.01, 0.5 + w * 0.8, y + s.size(0.15, 0.25), 0.05), 0.4)
        s.add(rounded(0.46, y + 0.15, 0.54, y + 0.2, 0.01), 0.9)
    elif front == "pocket":
        s.add(rounded(0.5 - w * 0.6, 0.62, 0.5 + w * 0.6, 0.86, 0.03), 0.7)
    else:
        s.add(tube([(0.5 - w * 0.9, y + 0.09), (0.5 + w * 0.9, y + 0.09)], 0.01), 0.9)


def clock(s: Sketch) -> None:
    r, case = s.size(0.34, 0.42), s.pick("round", "square", "hexagon")
    if case == "round":
        s.add(ellipse(0.5, 0.5, r, r), 0.4)
    elif case == "square":
        s.add(rounded(0.5 - r, 0.5 - r, 0.5 + r, 0.5 + r, s.size(0.02, 0.12)), 0.4)
    else:
        s.add([on_ellipse(0.5, 0.5, r * 1.1, r * 1.1, 30 + 60 * i) for i in range(6)], 0.4)
    face = r * s.size(0.75, 0.88)
    s.add(ellipse(0.5, 0.5, face, face), 0.92)
    s.pick(4, 12)  # decides nothing, but the draws after it depend on it
    marks = s.pick(4, 12)
    for i in range(marks):
        ends = [on_ellipse(0.5, 0.5, face * share, face * share, 360 * i / marks) for share in (0.78, 0.92)]
        s.add(tube(ends, 0.01), 0.1)
    s.add_hands(s.size(0, 360), 0.013, (face * 0.5, 0), (face * 0.72, s.size(60, 300)))
    if s.maybe():
        for side in (-1, 1):
            s.add(tube([(0.5 + side * r * 0.6, 0.5 + r * 0.75), (0.5 + side * r * 0.75, 0.97)], 0.02), 0.3)


def sofa(s: Sketch) -> None:
    y, arm, arm_y = s.size(0.28, 0.4), s.size(0.07, 0.13), s.size(0.42, 0.52)
    s.add(rounded(0.08, y, 0.92, 0.72, s.size(0.02, 0.1)), 0.5)
    cushions = s.pick(1, 2, 3)
    w = (0.84 - 2 * arm) / cushions
    for i in range(cushions):
        s.add(rounded(0.08 + arm + i * w, 0.56, 0.08 + arm + (i + 1) * w, 0.67, 0.02), 0.75)
    for x in (0.05, 0.95 - arm):
        s.add(rounded(x, arm_y, x + arm, 0.76, s.size(0.01, 0.06)), 0.6)
    s.add(rounded(0.08, 0.67, 0.92, 0.76, 0.01), 0.45)
    for x in (0.12, 0.86):
        s.add([(x, 0.76), (x + 0.04, 0.76), (x + 0.03, 0.76 + s.size(0.04, 0.1)), (x + 0.01, 0.82)], 0.2)


def toaster(s: Sketch) -> None:
    h, corner, slices = s.size(0.18, 0.26), s.size(0.04, 0.16), s.pick(1, 2)
    for i in range(slices):
        x = 0.3 + i * 0.25
        left, right = (x - 0.08, x + 0.12) if slices == 2 else (0.3, 0.7)
        s.add(rounded(left, 0.5 - h - s.size(0.05, 0.14), right, 0.5 - h + 0.05, 0.04), 0.85)
    s.add(rounded(0.1, 0.5 - h, 0.9, 0.5 + h, corner), 0.6)
    s.add(rounded(0.84, 0.45, 0.9 + s.size(0.03, 0.07), 0.5, 0.01), 0.2)
    s.add(ellipse(0.75, 0.6, s.size(0.03, 0.05), 0.04), 0.2)
    if s.maybe():
        for i in range(s.pick(2, 3, 4)):
            s.add(rounded(0.18, 0.42 + i * 0.06, 0.6, 0.435 + i * 0.06, 0.005), 0.35)
    for x in (0.18, 0.76):
        s.add(rounded(x, 0.5 + h, x + 0.06, 0.5 + h + 0.04, 0.01), 0.2)


KINDS: dict[str, Callable[[Sketch], None]] = {
    "phone": phone, "chair": chair, "bottle": bottle, "lamp": lamp, "mug": mug, "shoe": shoe, "watch": watch,
    "headphones": headphones, "glasses": glasses, "kettle": kettle, "vase": vase, "table": table, "camera": camera,
    "speaker": speaker, "bag": bag, "clock": clock, "sofa": sofa, "toaster": toaster,
}  # fmt: skip


# Rendering: how a design becomes a picture.


class View:
    """Where the design is seen from: 0 = front, others turned, sheared, scaled and moved; 3 also mirrored."""

    def __init__(self, number: int, chance: random.Random) -> None:
        def drawn(low: float, high: float, front: float) -> float:
            return front if number == 0 else chance.uniform(low, high)

        self._turn = math.radians(drawn(-14, 14, 0))
        self._stretch = drawn(0.82, 1, 1), drawn(0.88, 1, 1)
        self._shear = drawn(-0.14, 0.14, 0)
        self._scale = drawn(0.5, 0.9, 0.8)
        self._move = drawn(-0.05, 0.05, 0), drawn(-0.05, 0.05, 0)
        self._mirror = -1 if number == 3 else 1

    def place(self, point: Point, canvas_px: int) -> Point:
        """Return where a point of the design comes to lie, in pixels."""
        x, y = (point[0] - 0.5) * self._mirror * self._stretch[0], (point[1] - 0.5) * self._stretch[1]
        x += self._shear * y
        cos, sin = math.cos(self._turn), math.sin(self._turn)
        x, y = x * cos - y * sin, x * sin + y * cos
        return (0.5 + self._move[0] + x * self._scale) * canvas_px, (0.5 + self._move[1] + y * self._scale) * canvas_px


def render(kind: str, design: int, *, style: str, view: int, size_px: int, change: int = 0) -> Image.Image:
    """Return the picture of one design; styles are line, hatch, fill, gray and photo."""
    chance = random.Random(f"v{kind}{design}{style}{view}{change}")
    canvas_px = size_px * OVERSAMPLE
    seen = View(view, chance)
    hue = (chance.randint(30, 225), chance.randint(30, 225), chance.randint(30, 225))
    image = Image.new("RGB", (canvas_px, canvas_px), backdrop(chance) if style == "photo" else WHITE)
    line_px = chance.choice((2, 3, 4)) * OVERSAMPLE // 2 + 1
    sketch = Sketch(kind, design, change=change)
    KINDS[kind](sketch)
    for polygon, tone in sketch.shapes:
        outline = [seen.place(point, canvas_px) for point in polygon]
        if style == "photo":
            paint_shaded(image, outline, tinted(hue, 0.3, tone), upright=chance.random() < 0.5)
        elif style == "fill":
            ImageDraw.Draw(image).polygon(outline, fill=tinted(hue, 0.35, tone) if tone < 0.8 else bleached(hue))
        elif style == "gray":
            level = int(40 + 170 * tone)
            paint_outlined(image, outline, fill=(level, level, level), line=(20, 20, 20), line_px=OVERSAMPLE)
        else:
            paint_outlined(image, outline, fill=WHITE, line=BLACK, line_px=line_px)
            if style == "hatch" and tone < 0.5:
                hatch(image, outline)
    if style == "photo":
        image = image.filter(ImageFilter.GaussianBlur(OVERSAMPLE * 0.8))
    return image.resize((size_px, size_px), Image.Resampling.LANCZOS)


def backdrop(chance: random.Random) -> Color:
    """Draw the off-white of a photographer's paper."""
    level = chance.randint(205, 250)
    return level, level - chance.randint(0, 10), level - chance.randint(0, 14)


def tinted(hue: Color, least: float, tone: float) -> Color:
    """Return the colour at a tone, `least` of it in the dark."""
    share = least + (1 - least) * tone
    red, green, blue = (int(part * share) for part in hue)
    return red, green, blue


def bleached(hue: Color) -> Color:
    """Return the colour six tenths of the way to white."""
    red, green, blue = (int(part + (255 - part) * 0.6) for part in hue)
    return red, green, blue


def lit(color: Color) -> Color:
    """Return the colour where light falls on it."""
    red, green, blue = (min(255, int(part * 1.5 + 30)) for part in color)
    return red, green, blue


def paint_outlined(image: Image.Image, outline: Polygon, *, fill: Color, line: Color, line_px: int) -> None:
    """Fill a shape and draw its outline."""
    pen = ImageDraw.Draw(image)
    pen.polygon(outline, fill=fill)
    pen.line([*outline, outline[0]], fill=line, width=line_px, joint="curve")


def stencil(image: Image.Image, outline: Polygon) -> Image.Image:
    """Return the mask of a shape."""
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    return mask


def hatch(image: Image.Image, outline: Polygon) -> None:
    """Draw diagonal lines over a shape."""
    lines = Image.new("L", image.size, 0)
    pen = ImageDraw.Draw(lines)
    side = image.width
    for start in range(-side, side, 9 * OVERSAMPLE):
        pen.line([(start, 0), (start + side, side)], fill=255, width=OVERSAMPLE)
    inside = Image.composite(lines, Image.new("L", image.size, 0), stencil(image, outline))
    image.paste(BLACK, (0, 0), inside)


def paint_shaded(image: Image.Image, outline: Polygon, color: Color, *, upright: bool) -> None:
    """Fill a shape with a gradient from the colour to a lighter one."""
    ramp = Image.linear_gradient("L").rotate(90 if upright else 0).resize(image.size)
    light = Image.new("RGB", image.size, lit(color))
    shaded = Image.composite(light, Image.new("RGB", image.size, color), ramp.point(lambda level: int(level * 0.45)))
    image.paste(shaded, (0, 0), stencil(image, outline))


# The samples.


def gallery_drawing(kind: str, design: int, number: int) -> Image.Image:
    """Return drawing 1, 2 or 3 of a design, in 16 shades of gray as patent offices publish them."""
    style, view = DRAWINGS[number - 1]
    return render(kind, design, style=style, view=view, size_px=GALLERY_PX).convert("L").quantize(16)


def product_picture(kind: str, design: int) -> Image.Image:
    """Return the photo-like picture of a design."""
    return render(kind, design, style="photo", view=1, size_px=PRODUCT_PX)


def draw_all(into: Path) -> None:
    """Write gallery/, products/ and truth.json."""
    truth: dict[str, dict[str, dict[str, str]]] = {"gallery": {}, "products": {}}
    for folder in truth:
        (into / folder).mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for design in range(DESIGNS):
            shown = {"kind": kind, "family": f"{kind}-{design}"}
            for number in range(1, len(DRAWINGS) + 1):
                file = f"{kind}-{design}-{number}.png"
                gallery_drawing(kind, design, number).save(into / "gallery" / file, optimize=True)
                truth["gallery"][file] = shown
            if design < DESIGNS_WITH_PRODUCT:
                file = f"{kind}-{design}.jpg"
                product_picture(kind, design).save(into / "products" / file, quality=85)
                truth["products"][file] = shown
    (into / "truth.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_index(gallery: Path) -> None:
    """Write the index of the drawings beside their folder, in the place of the one that is there."""
    for before in shipped_index(gallery).glob("*.npy"):
        before.unlink()
    Gallery.load(gallery, shipped_index(gallery))


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw the sample gallery, products and truth.json.")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help="folder to write to (default: here)")
    parser.add_argument("--index", action="store_true", help="draw nothing, and write the index of what is drawn")
    asked = parser.parse_args()
    if not asked.index:
        draw_all(asked.into)
    write_index(asked.into / "gallery")


if __name__ == "__main__":
    main()
