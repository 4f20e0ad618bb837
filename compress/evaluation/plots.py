"""Small plots as inline SVG: no library, no script, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

WIDTH, HEIGHT = 340, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 24, 34
_LETTER = 6  # width of a letter of the legend, with room to spare

# Okabe and Ito's colours: apart from each other for color-blind eyes too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

_DASHED = " (dashed)"  # where there are more lines than colors


def curves(
    title: str,
    series: Mapping[str, Sequence[float | None]],
    x_label: str = "epoch",
    *,
    log: bool = False,
) -> str:
    """Lines over 0, 1, 2 ...

    Args:
        title: above the plot.
        series: values by name; None leaves a gap.
        x_label: below the plot.
        log: with a logarithmic axis; values of 0 and below leave a gap.
    """
    if log:
        series = {name: [_log10(v) for v in values] for name, values in series.items()}
    known = [v for values in series.values() for v in values if v is not None]
    if not known:
        return ""
    longest = max(map(len, series.values()))
    plot = _Plot(
        title,
        (0, max(1, longest - 1)),
        _padded(known),
        x_label,
        "",
        log=log,
        legend=max(map(len, series)) + len(_DASHED),
    )
    for i, (name, values) in enumerate(series.items()):
        color = COLORS[i % len(COLORS)]
        dashes = ' stroke-dasharray="5 3"' if i >= len(COLORS) else ""
        points = [plot.at(x, v) for x, v in enumerate(values) if v is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        plot.add(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>'
        )
        if len(points) == 1:
            plot.add(
                f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2" fill="{color}"/>'
            )
        plot.legend(name + (_DASHED if dashes else ""), color)
    return plot.svg()


def scatter(title: str, x: ArrayLike, y: ArrayLike, x_label: str, y_label: str) -> str:
    """Points and the diagonal of equality; both axes have one scale.

    Args:
        title: above the plot.
        x: [N]; points with NaN are left out.
        y: [N].
        x_label: below the plot.
        y_label: beside it.
    """
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
        plot.add(f'<circle cx="{u:.1f}" cy="{v:.1f}" r="2" fill="{COLORS[0]}" opacity="0.5"/>')
    return plot.svg()


class _Plot:
    """Axes with ticks; what is added lies above them."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        x_label: str,
        y_label: str,
        *,
        log: bool = False,
        legend: int = 0,
    ) -> None:
        self._x, self._y = x, y
        self._parts: list[str] = []
        self._names = 0
        self._width = WIDTH + (_LETTER * legend + _RIGHT if legend else 0)
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
        for value in log_ticks(*y) if log else ticks(*y):
            v = self.at(x[0], float(np.log10(value)) if log else value)[1]
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

    def legend(self, name: str, color: str) -> None:
        y = _TOP + 12 + 12 * self._names
        self._names += 1
        self.add(f'<text x="{WIDTH}" y="{y}" fill="{color}">{escape(name)}</text>')

    def svg(self) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {HEIGHT}" '
            f'width="{self._width}" height="{HEIGHT}" font-size="10" font-family="sans-serif" '
            f'role="img" aria-label="{escape(self._title)}">' + "".join(self._parts) + "</svg>"
        )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers inside a range, some three to six.

    Args:
        low: end of the axis.
        high: the other, above low.
    """
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    for factor in (1, 2, 5):
        if (high - low) / (step * factor) <= 6:
            step *= factor
            break
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    # Adding 0 turns -0 into 0.
    return [float(round(i * step, 10)) + 0.0 for i in np.arange(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or 1, 2 and 5 times these, on a logarithmic axis.

    Args:
        low: log10 of the end of the axis.
        high: log10 of the other, above low.
    """
    digits = (1,) if high - low > 3 else (1, 2, 5)
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    inside = [d * 10.0**p for p in powers for d in digits if low <= np.log10(d) + p <= high]
    return inside if len(inside) > 1 else [v for v in ticks(10**low, 10**high) if v > 0]


def _log10(value: float | None) -> float | None:
    return float(np.log10(value)) if value is not None and value > 0 else None


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin
