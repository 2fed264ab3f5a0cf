"""The curve of cost against size as an SVG: time on the left, memory on the right.

Both axes of each half are logarithmic, so that what grows in proportion is a straight line.
"""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[int, float, int]  # sites, seconds, MB
_WIDTH, _HEIGHT = 340, 260
_LEFT, _TOP, _RIGHT, _BOTTOM = 48, 36, 32, 48


def write_curve(points: Sequence[Point]) -> str:
    """An SVG with a title and a description in words; `points` are sites, seconds and megabytes."""
    seconds = _panel("Time", "seconds", [(sites, value) for sites, value, _ in points], 0)
    memory = _panel("Peak memory", "MB", [(sites, value) for sites, _, value in points], _WIDTH)
    told = "; ".join(
        f"{sites:,} sites: {value:,.0f} seconds, {size:,} MB" for sites, value, size in points
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="curve-title curve-desc" font-family="sans-serif" font-size="12">\n'
        '<title id="curve-title">Cost of a crawl against the number of sites</title>\n'
        f'<desc id="curve-desc">{told}. Both scales are logarithmic; the dashed line is what grows '
        "in proportion to the number of sites.</desc>\n"
        f'<rect width="{2 * _WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n{seconds}{memory}</svg>\n'
    )


def _panel(title: str, unit: str, points: Sequence[tuple[int, float]], left: int) -> str:
    first, last = points[0], points[-1]
    proportional = first[1] * last[0] / first[0]
    low = min(value for _, value in points) / 1.5
    high = max(proportional, *(value for _, value in points)) * 1.2

    def place(sites: float, value: float) -> str:
        x = _scaled(sites, first[0], last[0], left + _LEFT, left + _WIDTH - _RIGHT)
        y = _scaled(value, low, high, _HEIGHT - _BOTTOM, _TOP)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(*point) for point in points)
    dashed = f"{place(*first)} {place(last[0], proportional)}"
    marks = "".join(_mark(place(*point), point) for point in points)
    ticks = "".join(
        f'<text x="{place(sites, low).partition(",")[0]}" y="{_HEIGHT - _BOTTOM + 18}" '
        f'text-anchor="middle">{sites:,}</text>'
        for sites, _ in points
    )
    return (
        f'<text x="{left + _LEFT}" y="20" font-weight="bold">{title}, {unit}</text>\n'
        f'<polyline points="{dashed}" fill="none" stroke="#505a5f" stroke-dasharray="4 4"/>\n'
        f'<polyline points="{line}" fill="none" stroke="#1d70b8" stroke-width="2"/>\n{marks}\n'
        f'<line x1="{left + _LEFT}" y1="{_HEIGHT - _BOTTOM}" x2="{left + _WIDTH - _RIGHT}" '
        f'y2="{_HEIGHT - _BOTTOM}" stroke="#0b0c0c"/>\n{ticks}\n'
        f'<text x="{left + (_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" '
        'text-anchor="middle">sites</text>\n'
    )


def _mark(place: str, point: tuple[int, float]) -> str:
    x, y = place.split(",")
    return (
        f'<circle cx="{x}" cy="{y}" r="4" fill="#1d70b8"/>'
        f'<text x="{x}" y="{float(y) - 10:.1f}" text-anchor="middle">{point[1]:,.0f}</text>'
    )


def _scaled(value: float, low: float, high: float, start: float, end: float) -> float:
    return start + (log10(value) - log10(low)) / (log10(high) - log10(low)) * (end - start)
