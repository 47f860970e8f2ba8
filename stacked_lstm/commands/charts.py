"""The style of all pictures, and the chart that a comparison draws.

matplotlib is imported when the first figure is made. Colours are those of Okabe and Ito, which colour-blind people can
tell apart; each has a marker of its own as well.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Sequence

from stacked_lstm.commands import output_files

if TYPE_CHECKING:
    from stacked_lstm.parity import Difference

STYLES = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#e69f00", "v"), ("#56b4e9", "P"))
DOTS_PER_INCH = 120


def check_matplotlib(flag: str, path: str) -> None:
    """Raises ImportError or ValueError, with one line that says what to do, if no chart can be drawn to a file."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError(f"--{flag} needs the package matplotlib ({error}): pip install matplotlib") from None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    formats = sorted(FigureCanvasAgg.get_supported_filetypes())
    if os.path.splitext(path)[1][1:].lower() not in formats:
        raise ValueError(f"--{flag}: expected a file name that ends in one of {' '.join(formats)}, got {path}")


def save(path: str, figure: Any) -> None:
    """Writes a figure as an image file, whose extension says the format."""
    output_files.replace(path, lambda temporary: figure.savefig(temporary, dpi=DOTS_PER_INCH))


def new_figure(title: str, width: float, height: float) -> Any:
    """Makes a matplotlib Figure of so many inches, without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def label_axes(axes: Any, x_label: str, y_label: str) -> None:
    """Gives axes their labels, a grid, and no frame at the top and on the right."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw_differences(measured: Sequence[tuple[str, Difference]]) -> Any:
    """Draws the differences of a comparison: a dot per tensor and peer, and the tolerance as a line.

    Args:
      measured: (device, `parity.Difference`) of each tensor and peer.

    Returns:
      A matplotlib Figure with a panel per device. Differences of zero are at the left edge, those that are not finite
      at the right edge.
    """
    devices = list(dict.fromkeys(device for device, _ in measured))
    names = list(dict.fromkeys(difference.name for _, difference in measured))
    peers = list(dict.fromkeys(difference.peer for _, difference in measured))
    values = [d.relative for _, d in measured] + [d.tolerance for _, d in measured]
    finite = [value for value in values if 0 < value < float("inf")] or [1.0]
    low, high = min(finite) / 5, max(finite) * 5
    title = "How far StackedLSTM's numbers are from its peers': the same, left of the line"
    figure = new_figure(title, 2.5 + 5 * len(devices), 1.8 + 0.2 * len(names))
    panels = figure.subplots(1, len(devices), sharey=True, squeeze=False)[0]
    for axes, device in zip(panels, devices):
        for k, (peer, (color, marker)) in enumerate(zip(peers, STYLES)):
            row = [d for place, d in measured if (place, d.peer) == (device, peer)]
            x = [high if not d.relative < float("inf") else max(d.relative, low) for d in row]
            y = [names.index(d.name) + 0.15 * (k - (len(peers) - 1) / 2) for d in row]  # So that all dots show.
            axes.scatter(x, y, s=18, color=color, marker=marker, alpha=0.8, label=peer, zorder=3)
        tolerances = sorted({d.tolerance for place, d in measured if place == device})
        for tolerance in tolerances:
            axes.axvline(tolerance, color="black", linestyle="--", label=f"allowed: {tolerance:.0e}")
        axes.set_xscale("log")
        axes.set_xlim(low / 2, high * 2)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        label_axes(axes, f"max|a - b| / max|b| on {device}", "")
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    panels[0].legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncol=1 + len(peers), fontsize=8)
    return figure
