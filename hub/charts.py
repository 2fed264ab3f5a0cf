"""Bar charts as SVG that needs no script and no style of its own."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 460
LABEL = 170
VALUE = 125
ROW = 28
NAME = 24  # letters of a name that fit


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its length as a share from 0 to 1, and the words at its end."""

    name: str
    share: float
    text: str


def bars(key: str, title: str, summary: str, data: list[Bar]) -> Markup:
    """A horizontal bar chart with a title and a sentence for those who do not see it.

    `key` is unique on the page: the ids of title and description are made from it.
    """
    track = WIDTH - LABEL - VALUE
    lines = [_line(bar, number, track) for number, bar in enumerate(data)]
    return Markup(
        '<svg role="img" viewBox="0 0 {w} {h}" aria-labelledby="{k}-t {k}-d">'
        '<title id="{k}-t">{title}</title><desc id="{k}-d">{summary}</desc>{lines}</svg>'
    ).format(
        w=WIDTH,
        h=ROW * len(data) + 4,
        k=key,
        title=title,
        summary=summary,
        lines=Markup("").join(lines),
    )


def _line(bar: Bar, number: int, track: int) -> Markup:
    top = number * ROW
    length = round(track * min(max(bar.share, 0.0), 1.0), 1)
    name = bar.name if len(bar.name) <= NAME else bar.name[: NAME - 1] + "…"
    return Markup(
        '<text x="{x}" y="{y}" text-anchor="end">{name}</text>'
        '<rect class="back" x="{left}" y="{top}" width="{track}" height="18"/>'
        '<rect class="bar" x="{left}" y="{top}" width="{length}" height="18"/>'
        '<text x="{end}" y="{y}">{text}</text>'
    ).format(
        x=LABEL - 10,
        y=top + 17,
        name=escape(name),
        left=LABEL,
        top=top + 3,
        track=track,
        length=length,
        end=LABEL + track + 8,
        text=escape(bar.text),
    )
