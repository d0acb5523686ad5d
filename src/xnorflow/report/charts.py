"""Small SVG charts as strings: no script, no external font, colours from the page's CSS variables."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Bar", "Series", "bar_chart", "image_uri", "line_chart", "nice_ticks"]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its label, a CSS colour variable, and (x, y) points in the data's units."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, the parts that it is stacked of, not negative, and the text behind it."""

    label: str
    parts: tuple[float, ...]
    text: str


def bar_chart(bars: Sequence[Bar], *, width: int = 720) -> Markup:
    """Horizontal bars from zero on one scale, parts stacked; no bars at all are an error of the caller (ValueError)."""
    if not bars:
        raise ValueError("bar_chart needs at least one bar")
    left, right, step, thick = 128, 112, 34, 20
    height = step * len(bars) + 8
    most = max(sum(bar.parts) for bar in bars)
    scale = (width - left - right) / most if most else 0.0
    colours = ("--one", "--two", "--three")
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(", ".join(b.label for b in bars))}">']
    for index, bar in enumerate(bars):
        x, y = float(left), 8 + index * step
        parts.append(
            f'<text class="name" x="{left - 8}" y="{y + 15}" text-anchor="end" style="fill:var(--ink)">'
            f"{escape(bar.label)}</text>"
        )
        for value, colour in zip(bar.parts, colours, strict=False):
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{thick}" style="fill:var({colour})"/>'
            )
            x += value * scale
        parts.append(f'<text class="tick" x="{x + 8:.1f}" y="{y + 15}">{escape(bar.text)}</text>')
    return Markup("".join((*parts, "</svg>")))


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    marker: tuple[float, str] | None = None,
    width: int = 720,
    height: int = 260,
) -> Markup:
    """Lines over one x axis with a light grid; `marker` is an x with a label (the best epoch, say).

    The y axis spans the data rounded outwards to ticks; an empty chart is an error of the caller (ValueError).
    """
    points = [p for s in series for p in s.points]
    if not points:
        raise ValueError("line_chart needs at least one point")
    left, right, top, bottom = 52, 128, 14, 40
    x_lo, x_hi = min(p[0] for p in points), max(p[0] for p in points)
    ticks = nice_ticks(min(p[1] for p in points), max(p[1] for p in points))
    y_lo, y_hi = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_lo) / (x_hi - x_lo) if x_hi > x_lo else 0.5
        up = (y - y_lo) / (y_hi - y_lo)
        return left + across * (width - left - right), height - bottom - up * (height - top - bottom)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(y_label)} by {escape(x_label)}">']
    for tick in ticks:
        _, y = place(x_lo, tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in sorted({x_lo, round((x_lo + x_hi) / 2), x_hi}):
        x, _ = place(tick, y_lo)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{tick:g}</text>')
    if marker is not None:
        x, _ = place(marker[0], y_lo)
        parts.append(f'<line class="marker" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - bottom}"/>')
        anchor, shift = ("end", -6) if x > (left + width - right) / 2 else ("start", 6)
        parts.append(
            f'<text class="tick" x="{x + shift:.1f}" y="{height - bottom - 8}" text-anchor="{anchor}">'
            f"{escape(marker[1])}</text>"
        )
    label_y = -100.0
    for line in sorted(series, key=lambda s: -s.points[-1][1]):
        path = " ".join("{:.1f},{:.1f}".format(*place(*p)) for p in line.points)
        parts.append(f'<polyline points="{path}" style="stroke:var({line.colour})"/>')
        x, y = place(*line.points[-1])
        label_y = max(y + 4, label_y + 16)  # labels at the lines' ends, pushed apart where lines meet
        parts.append(
            f'<text class="name" x="{x + 8:.1f}" y="{label_y:.1f}" style="fill:var({line.colour})">'
            f"{escape(line.label)}</text>"
        )
    parts.append(
        f'<text class="tick" x="{(left + width - right) / 2:.0f}" y="{height - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text></svg>"
    )
    return Markup("".join(parts))


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round steps (1, 2, 2.5 or 5 times a power of ten) that cover [low, high]."""
    span = max(high - low, abs(high) * 1e-3, 1e-9)
    power = 1e-12
    while power * 10 * count <= span:
        power *= 10
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * count >= span)
    first, last = int(low // step), -int(-high // step)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def image_uri(sample: NDArray[np.generic]) -> str:
    """A raw sample, (H, W) or (H, W, 3) with any value range, as a PNG data URI stretched to 0..255."""
    values = sample.astype(np.float64)
    span = values.max() - values.min()
    pixels = ((values - values.min()) * (255 / span) if span else values * 0).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
