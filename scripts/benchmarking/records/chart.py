"""The picture of a benchmark: how many times as fast as each peer the engine is."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Sequence

from stacked_lstm.commands.charts import STYLES, label_axes, new_figure

_HATCHES = ("", "//", "..", "xx", "\\\\", "oo")  # Besides the colours.
_SIZES = ("T", "B", "I", "H", "L")
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
SHAPE_LABEL = "shape: T time steps, B sequences, I inputs, H units, L layers"


def sizes_in_lines(shape: str) -> str:
    """A shape as lines, such as "T 30  B 64" and "I 8  H 64  L 3"; its dtype, if it has one, is the third line."""
    words = shape.split(",")
    parts = [f"{letter} {size}" for letter, size in zip(_SIZES, words)]
    return "\n".join(["  ".join(parts[:2]), "  ".join(parts[2:]), *words[len(_SIZES) :]])


def words_in_lines(name: str) -> str:
    """The words of a name as lines."""
    return name.replace("_", "\n")


class Comparison(NamedTuple):
    """What a chart compares.

    Fields:
      subject: for the title, what is measured with the engine.
      engine_of_device: the contestant that each peer is compared with.
      peers: in the order of their bars. The chart shows those that were measured.
      place: the key of a row that places its bar in a panel.
      panel: the keys of a row that choose its panel.
      label: function of a place that returns its label.
      x_label: of the places.
      common: a key whose value all rows must share; "" for none.
    """

    subject: str
    engine_of_device: Mapping[str, str]
    peers: tuple[str, ...]
    place: str
    panel: tuple[str, ...] = ("mode",)
    label: Callable[[str], str] = words_in_lines
    x_label: str = ""
    common: str = ""


def draw_ratios(rows: Sequence[dict[str, Any]], comparison: Comparison) -> Any:
    """Draws a bar per peer and place: the peer's median divided by the engine's.

    Args:
      rows: measurements of one kind on one device, as `record.summarize` returns them.
      comparison: that of their kind.

    Returns:
      A matplotlib Figure with its panels one below the other.

    Raises:
      ValueError: the engine of the device, or every peer, is missing, or rows differ in the common key.
    """
    engine, common = comparison.engine_of_device[rows[0]["device"]], comparison.common
    values = sorted({row[common] for row in rows if common})
    if len(values) > 1:
        raise ValueError(
            f"--chart: expected measurements of one {common} of {comparison.place}s, got {' and '.join(values)}"
        )
    present = list(dict.fromkeys(row["contestant"] for row in rows))
    peers = [name for name in comparison.peers if name in present and name != engine]
    if not peers or engine not in present:
        raise ValueError(f"--chart: expected measurements of {engine} and of a peer, got those of {', '.join(present)}")
    medians: dict[str, dict[tuple[str, str], float]] = {}  # Panel -> (place, contestant) -> milliseconds.
    for row in rows:
        panel = medians.setdefault(", ".join(row[key] for key in comparison.panel), {})
        panel[str(row[comparison.place]), row["contestant"]] = row["median_ms"]
    places = list(dict.fromkeys(str(row[comparison.place]) for row in rows))
    figure = new_figure(
        f"How many times as fast as each peer {comparison.subject} {engine}\n"
        f"{' and '.join(sorted({row['dtype'] for row in rows}))}; above 1: {engine} is faster",
        max(8, 2.5 + 1.4 * len(places)),
        1 + 3.2 * len(medians),
    )
    panels = figure.subplots(len(medians), 1, squeeze=False)[:, 0]
    for axes, (title, measured) in zip(panels, medians.items()):
        ratios = {
            peer: {
                place: measured[place, peer] / measured[place, engine]
                for place in places
                if {(place, peer), (place, engine)} <= set(measured)
            }
            for peer in peers
        }
        _draw_panel(axes, ratios, places)
        axes.set_xticks(range(len(places)), [comparison.label(place) for place in places], fontsize=8)
        axes.set_title(title, loc="left", fontsize=10)
        label_axes(axes, "", "peer's time / engine's time")
    panels[-1].set_xlabel(comparison.x_label or comparison.place)
    panels[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncol=len(peers), fontsize=8)
    return figure


def _draw_panel(axes: Any, ratios: Mapping[str, Mapping[str, float]], places: Sequence[str]) -> None:
    """Draws the bars of a panel: peer -> place -> ratio."""
    width = 0.84 / len(ratios)
    for k, ((peer, heights), (color, _), hatch) in enumerate(zip(ratios.items(), STYLES, _HATCHES)):
        bars = [(places.index(place) - 0.42 + width * (k + 0.5), ratio) for place, ratio in heights.items()]
        if not bars:
            continue
        # Bars start at 1: up is faster than the peer, down is slower.
        style = {"color": color, "hatch": hatch, "edgecolor": "white", "label": peer}
        axes.bar([x for x, _ in bars], [ratio - 1 for _, ratio in bars], width, 1, **style)
        for x, ratio in bars:
            axes.annotate(
                f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}",
                (x, ratio),
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
    ticks = [tick for tick in _TICKS if low / 1.6 <= tick <= high * 1.6]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.6, len(places) - 0.4)
