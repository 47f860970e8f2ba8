"""Pictures of training: each function returns a matplotlib Figure, which `charts.save` writes."""

import numpy as np

from stacked_lstm.commands.charts import STYLES, label_axes, new_figure


def curves(title, rows, parts, metric, label, baselines, best_epoch=None):
    """Draws the loss and the score of each part of the data over the epochs.

    Args:
      title: of the figure.
      rows: `training.run_files.history.History.rows`, at least one.
      parts: names of the parts in the rows, such as "train".
      metric: the score's name in the rows.
      label: the score's name for people, with its unit.
      baselines: name -> score; each is a horizontal line.
      best_epoch: the epoch whose weights are kept; None if it is the last one.

    Returns:
      A matplotlib Figure.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(title, 10, 4.2)
    epochs = [row["epoch"] for row in rows]
    for axes, quantity, axis_label in zip(figure.subplots(1, 2), ("loss", metric), ("loss", label)):
        for part, (color, marker) in zip(parts, STYLES):
            values = [row[f"{part}_{quantity}"] for row in rows]
            axes.plot(epochs, values, color=color, marker=marker, markersize=4, label=part)
        if quantity == metric:
            for name, value in baselines.items():
                axes.axhline(value, color="0.35", linestyle="--", label=name.replace("_", " "))
        if best_epoch:
            axes.axvline(best_epoch, color="0.35", linestyle=":", label="best epoch, kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        label_axes(axes, "epoch", axis_label)
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncol=3)
    return figure


def confusion_matrix(title, counts, classes):
    """Draws how often each label was predicted as each class: counts, coloured by their share of the label's row.

    Args:
      title: of the figure.
      counts: int [C, C]; rows are labels, columns are predictions.
      classes: the names of the C classes.

    Returns:
      A matplotlib Figure.
    """
    size = 2.6 + 0.6 * len(classes)
    figure = new_figure(title, size + 1, size)
    axes = figure.subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the label", shrink=0.8)
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{int(counts[row, column])}", ha="center", va="center", color=color, fontsize=9)
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, classes)) > 3 else {}
    axes.set_xticks(range(len(classes)), classes, **slanted)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    return figure


def series(title, dates, truth, predictions, quantity, unit):
    """Draws a true series and its predictions, and in a second panel their errors, which are too small for the first.

    Args:
      title: of the figure.
      dates: N `datetime.datetime`s.
      truth: [N].
      predictions: name -> [N].
      quantity: what the values are.
      unit: their unit.

    Returns:
      A matplotlib Figure.
    """
    figure = new_figure(title, 11, 6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(dates, truth, color="black", linewidth=2.5, alpha=0.4, label="truth")
    lower.axhline(0, color="black", linewidth=2.5, alpha=0.4)
    for (name, values), (color, _) in zip(predictions.items(), STYLES):
        upper.plot(dates, values, color=color, linewidth=1, label=name)
        lower.plot(dates, values - truth, color=color, linewidth=1, label=name)
    upper.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncol=1 + len(predictions))
    label_axes(upper, "", f"{quantity} ({unit})")
    label_axes(lower, "", f"prediction less truth ({unit})")
    return figure


def step_errors(title, errors, baseline, label):
    """Draws the errors at each time step: for each kind of network the mean over its seeds, and their range.

    Args:
      title: of the figure.
      errors: name -> [seeds, steps].
      baseline: (name, error) of a horizontal line.
      label: of the errors, with their unit.

    Returns:
      A matplotlib Figure.
    """
    figure = new_figure(title, 10, 4.6)
    axes = figure.subplots()
    for (name, values), (color, marker) in zip(errors.items(), STYLES):
        values = np.asarray(values)
        steps = np.arange(1, values.shape[1] + 1)
        axes.plot(steps, values.mean(axis=0), color=color, marker=marker, markersize=4, label=name)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
    axes.axhline(baseline[1], color="0.35", linestyle="--", label=baseline[0])
    axes.legend(frameon=False)
    label_axes(axes, "hours the network has seen", label)
    return figure


def gates(title, images):
    """Draws the images of gates and states, with a row per layer and a column per gate or state.

    Args:
      title: the title of the figure.
      images: a dictionary: name, for example "gates/layer_1/f" -> image [units, steps], from 0 to 1. All layers have
        the same gates and states.

    Returns:
      A matplotlib Figure.
    """
    rows = list(dict.fromkeys(name.rpartition("/")[0] for name in images))
    fields = list(dict.fromkeys(name.rpartition("/")[2] for name in images))
    figure = new_figure(title, 1.9 * len(fields), 0.6 + 1.5 * len(rows))
    grid = figure.subplots(len(rows), len(fields), squeeze=False)
    for row, panels in zip(rows, grid):
        for field, axes in zip(fields, panels):
            axes.imshow(images[f"{row}/{field}"], cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            axes.set_title(field, fontsize=9)
            axes.tick_params(labelsize=7)
        panels[0].set_ylabel(f"{row}\nunit", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("time step", fontsize=8)
    return figure


def dots(title, panels):
    """Draws numbers of several runs: a row per kind of network, with a small dot per run and a large one at their mean.

    Args:
      title: of the figure.
      panels: label of the numbers -> {name of the kind -> the numbers of its runs}; the names are those of all panels.

    Returns:
      A matplotlib Figure.
    """
    names = list(next(iter(panels.values())))
    figure = new_figure(title, 10, 1.6 + 0.35 * len(names))
    for axes, (label, kinds), (color, marker) in zip(
        figure.subplots(1, len(panels), sharey=True), panels.items(), STYLES
    ):
        for row, values in enumerate(kinds.values()):
            axes.plot(values, [row] * len(values), color=color, marker="o", markersize=4, alpha=0.45, linestyle="")
            axes.plot(np.mean(values), row, color=color, marker=marker, markersize=9)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        label_axes(axes, label, "")
    return figure
