"""Small plots as inline SVG: no library, no script, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

WIDTH, HEIGHT = 340, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 24, 34

# Okabe and Ito's colours: apart from each other for colour-blind eyes too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def curves(title: str, series: Mapping[str, Sequence[float | None]], x_label: str = "epoch") -> str:
    """Lines over 0, 1, 2 ...

    Args:
        title: above the plot.
        series: values by name; None leaves a gap.
        x_label: below the plot.
    """
    known = [v for values in series.values() for v in values if v is not None]
    if not known:
        return ""
    longest = max(map(len, series.values()))
    plot = _Plot(title, (0, max(1, longest - 1)), _padded(known), x_label, "")
    for (name, values), colour in zip(series.items(), _repeat(len(series)), strict=True):
        points = [plot.at(i, v) for i, v in enumerate(values) if v is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        plot.add(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if len(points) == 1:
            plot.add(
                f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2" fill="{colour}"/>'
            )
        plot.legend(name, colour)
    return plot.svg()


def scatter(title: str, x: ArrayLike, y: ArrayLike, x_label: str, y_label: str) -> str:
    """Points and the diagonal of equality; both axes have one scale."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(xs) & np.isfinite(ys)
    if not keep.any():
        return ""
    span = _padded([*xs[keep], *ys[keep]])
    plot = _Plot(title, span, span, x_label, y_label)
    (x0, y0), (x1, y1) = plot.at(span[0], span[0]), plot.at(span[1], span[1])
    plot.add(
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="#999" '
        'stroke-dasharray="4 3"/>'
    )
    for a, b in zip(xs[keep], ys[keep], strict=True):
        u, v = plot.at(a, b)
        plot.add(f'<circle cx="{u:.1f}" cy="{v:.1f}" r="2" fill="{COLOURS[0]}" opacity="0.5"/>')
    return plot.svg()


class _Plot:
    """Axes with ticks; what is added lies above them."""

    def __init__(
        self, title: str, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str
    ) -> None:
        self._x, self._y = x, y
        self._parts: list[str] = []
        self._names = 0
        self._title = title
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        self.add(f'<text x="{_LEFT}" y="15" font-weight="bold">{escape(title)}</text>')
        self.add(
            f'<text x="{(_LEFT + right) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
            f"{escape(x_label)}</text>"
        )
        self.add(
            f'<text transform="translate(11 {(_TOP + bottom) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>'
        )
        for value in ticks(*x):
            u = self.at(value, y[0])[0]
            self.add(f'<line x1="{u:.1f}" y1="{_TOP}" x2="{u:.1f}" y2="{bottom}" stroke="#eee"/>')
            self.add(f'<text x="{u:.1f}" y="{bottom + 13}" text-anchor="middle">{value:g}</text>')
        for value in ticks(*y):
            v = self.at(x[0], value)[1]
            self.add(f'<line x1="{_LEFT}" y1="{v:.1f}" x2="{right}" y2="{v:.1f}" stroke="#eee"/>')
            self.add(f'<text x="{_LEFT - 5}" y="{v + 3:.1f}" text-anchor="end">{value:g}</text>')

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        u = (x - self._x[0]) / (self._x[1] - self._x[0])
        v = (y - self._y[0]) / (self._y[1] - self._y[0])
        return (
            _LEFT + u * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - v * (HEIGHT - _TOP - _BOTTOM),
        )

    def add(self, element: str) -> None:
        self._parts.append(element)

    def legend(self, name: str, colour: str) -> None:
        y = _TOP + 12 + 12 * self._names
        self._names += 1
        self.add(
            f'<text x="{WIDTH - _RIGHT - 4}" y="{y}" text-anchor="end" fill="{colour}">'
            f"{escape(name)}</text>"
        )

    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-size="10" font-family="sans-serif" '
            f'role="img" aria-label="{escape(self._title)}">' + "".join(self._parts) + "</svg>"
        )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers inside low..high, some three to six."""
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    for factor in (1, 2, 5):
        if (high - low) / (step * factor) <= 6:
            step *= factor
            break
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(round(i * step, 10)) for i in np.arange(first, last + 1)]


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _repeat(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]
