"""The picture of a benchmark: how many times as fast as each peer the engine is."""

from __future__ import annotations

from typing import Any, Sequence

from benchmarking.contestants import AUTO, ENGINE_OF_DEVICE, PEERS, STEPWISE, TENSORFLOW
from stacked_lstm.commands.charts import STYLES, label_axes, new_figure

_HATCHES = ("", "//", "..", "xx", "\\\\", "oo")  # Besides the colours.
_TITLES = {"shape": "StackedLSTM is with its engine", "program": "old programs are with the engine"}
_SIZES = ("T", "B", "I", "H", "L")


def draw_ratios(rows: Sequence[dict[str, Any]]) -> Any:
    """Draws a bar per peer, shape or program, and mode: the peer's median divided by the engine's.

    Args:
      rows: measurements, as `record.summarize` or `program_record.summarize` returns them, on one device and in one
        dtype.

    Returns:
      A matplotlib Figure with a panel per mode.

    Raises:
      ValueError: the engine of the device, or every peer, is missing.
    """
    subject = "program" if "program" in rows[0] else "shape"
    engine = AUTO if subject == "program" else ENGINE_OF_DEVICE[rows[0]["device"]]
    parts = {row.get("part") for row in rows}
    if len(parts) > 1:
        raise ValueError(f"--chart: expected measurements of one part of programs, got {' and '.join(sorted(parts))}")
    medians = {(row[subject], row["mode"], row["contestant"]): row["median_ms"] for row in rows}
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    shapes = list(dict.fromkeys(row[subject] for row in rows))
    known = (STEPWISE, TENSORFLOW) if subject == "program" else PEERS
    peers = [name for name in known if any(row["contestant"] == name for row in rows)]
    if not peers or not any(row["contestant"] == engine for row in rows):
        present = ", ".join(dict.fromkeys(row["contestant"] for row in rows))
        raise ValueError(f"--chart: expected measurements of {engine} and of a peer, got those of {present}")
    figure = new_figure(
        f"How many times as fast as each library {_TITLES[subject]} {engine}, {rows[0]['dtype']} "
        f"(above 1: {engine} is faster)",
        max(8, 2.5 + 1.4 * len(shapes)),
        1 + 3.2 * len(modes),
    )
    panels = figure.subplots(len(modes), 1, squeeze=False)[:, 0]
    width = 0.84 / len(peers)
    for axes, mode in zip(panels, modes):
        for k, (peer, (color, _), hatch) in enumerate(zip(peers, STYLES, _HATCHES)):
            bars = [
                (place - 0.42 + width * (k + 0.5), medians[shape, mode, peer] / medians[shape, mode, engine])
                for place, shape in enumerate(shapes)
                if (shape, mode, peer) in medians and (shape, mode, engine) in medians
            ]
            if not bars:
                continue
            x, ratios = zip(*bars)
            # Bars start at 1: up is faster than the peer, down is slower.
            axes.bar(x, [r - 1 for r in ratios], width, 1, color=color, hatch=hatch, edgecolor="white", label=peer)
            for place, ratio in bars:
                axes.annotate(
                    f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}",
                    (place, ratio),
                    (0, 2 if ratio >= 1 else -2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if ratio >= 1 else "top",
                    rotation=90,
                    fontsize=7,
                )
        axes.axhline(1, color="black", linewidth=1)
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.8) / 1.6, max(high, 1.25) * 1.6)
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.6 <= tick <= high * 1.6]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(-0.6, len(shapes) - 0.4)
        axes.set_xticks(range(len(shapes)), [_sizes(shape) for shape in shapes], fontsize=8)
        axes.set_title(mode, loc="left", fontsize=10)
        label_axes(axes, "", "peer's time / engine's time")
    panels[-1].set_xlabel(
        "shape: T time steps, B sequences, I inputs, H units, L layers" if subject == "shape" else subject
    )
    panels[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncol=len(peers), fontsize=8)
    return figure


def _sizes(shape: str) -> str:
    """A shape as two lines, such as "T 30  B 64" and "I 8  H 64  L 3"; the words of a program's name as lines."""
    if "," not in shape:
        return shape.replace("_", "\n")
    parts = [f"{letter} {size}" for letter, size in zip(_SIZES, shape.split(","))]
    return "  ".join(parts[:2]) + "\n" + "  ".join(parts[2:])
