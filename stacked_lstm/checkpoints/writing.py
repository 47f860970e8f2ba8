"""`write`: layers into a new file, or into a copy of an existing one."""

import collections

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import files, slots
from stacked_lstm.checkpoints.formats import entry_of
from stacked_lstm.checkpoints.layers import added, check_fits, given, same_layer, stack, with_biases, with_biases_of
from stacked_lstm.checkpoints.reading import choose

Plan = collections.namedtuple("Plan", ["path", "module", "content", "locations"])
Plan.__doc__ = """What `write` would write.

Fields:
  path: the file, or the prefix of a TensorFlow checkpoint.
  module: that of the format.
  content: `files.Content`.
  locations: list of `Location`, where the layers are in it.
"""


def write(
    path,
    layers,
    format=None,
    scope=None,
    forget_bias=None,
    others=None,
    template=None,
    overwrite=False,
    averages=slots.AVERAGES,
):
    """Writes layers to a file: all of it, or nothing.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint.
      layers: list from the input upwards of `FoundLayer`s, or of mappings as `layouts.unpack` returns them and
        `StackedLSTM.get_weights` has them. In a new file, where some have biases, those of the others are zeros.
      format: a name in `FORMATS`; None for what the suffix says.
      scope: what the layers are called there, in the way of the format: "stacked_lstm" for variables
        stacked_lstm/layer_1/Wf; "rnn/multi_rnn_cell/cell_%d/lstm_cell" for cells, numbered from 0, or "rnn/lstm_cell"
        for one; "lstm." for a state_dict's lstm.weight_ih_l0; None for these, or no prefix. With a template, a regular
        expression that matches the names of the layers to replace; None for all of the format.
      forget_bias: what the cells that the file is for add to the forget gate; None for their default.
      others: mapping from names to arrays to write as they are, in a TensorFlow checkpoint.
      template: an existing file of the format. What is written has these layers' arrays instead of its own, in the same
        order, and all else as it is there, what an optimizer keeps for these layers as well.
      overwrite: whether an existing file may be replaced.
      averages: names of those slots of the layers that are averages of the variables, with the forget bias where these
        have it: those that the program gave its ExponentialMovingAverage, in a TensorFlow checkpoint.

    Returns:
      List of `Location`: what the layers are called in the file.

    Raises:
      ValueError: layers that are no stack or do not fit the template; peepholes or a projection for a library that has
        none; a name that is taken, or by which the layers would not be found again; a file that cannot be written. All
        files are as they were then.
    """
    planned = plan(path, layers, format, scope, forget_bias, others, template, averages)
    carry_out(planned, overwrite)
    return planned.locations


def carry_out(planned, overwrite=False):
    """Writes what `plan` returned; raises ValueError as `write` does."""
    path, module, content, locations = planned

    def load(written):
        """What was written; raises ValueError unless its layers are found there."""
        again = module.load(written)
        with files.reading(path, "layers that can be read again", "checkpoints.write"):
            found = [set(location.names.values()) for location in module.find(again, path)]
        for location in locations:
            if set(location.names.values()) not in found:
                checks.fail("checkpoints.write", "a `scope` by which layers are found again", location.name)
            check_fits(location, again.arrays, path)
        return again

    files.write(path, content, module.save, load, overwrite)
    if hasattr(module, "finish"):
        module.finish(path)


def plan(
    path,
    layers,
    format=None,
    scope=None,
    forget_bias=None,
    others=None,
    template=None,
    averages=slots.AVERAGES,
):
    """The `Plan` of what `write` would write, of its arguments; nothing is written."""
    entry, layers = entry_of(path, format, "checkpoints.write"), given(layers)
    if others and (entry.suffixes or template is not None):
        checks.fail("checkpoints.write", "`others` for a new TensorFlow checkpoint only", sorted(others)[:5])
    if forget_bias is not None:
        checks.number(forget_bias, "checkpoints.write", "forget_bias")
    if template is not None:
        content, locations = _replaced(entry, path, layers, format, scope, forget_bias, template)
        return Plan(str(path), entry.module, content, locations)
    layers = stack(layers, entry.directed)
    if entry.biased:
        layers = [layer._replace(layer=with_biases(layer.layer)) for layer in layers]
    packed = [_packed(layer, entry.layout, forget_bias) for layer in layers]
    rest, locations = entry.module.new(packed, entry.layout, scope, path)
    arrays = _named(locations, packed)
    if not entry.suffixes:
        for layer, location in zip(layers, locations):
            arrays.update(slots.packed(layer, location, added(location.layout, forget_bias), averages))
    taken = sorted(set(arrays) & set(others or {}))
    if taken:
        checks.fail("checkpoints.write", "a scope whose names are free", f"in use: {', '.join(taken)}")
    arrays.update(others or {})
    return Plan(str(path), entry.module, files.Content(arrays, rest), locations)


def _replaced(entry, path, layers, format, pattern, forget_bias, template):
    """The template's Content with the layers' arrays, and where they are."""
    _check_suffix(entry, path, template)
    content = entry.module.load(str(template))
    locations, _ = choose(content, entry, format, pattern, template)
    theirs, ours = ([(each.name, each.direction) for each in some] for some in (locations, layers))
    if [direction for _, direction in theirs] != [direction for _, direction in ours]:
        checks.fail("checkpoints.write", f"layers for those of {template}, {theirs}", ours)
    packed = []
    for location, layer in zip(locations, layers):
        layer = layer._replace(layer=with_biases_of(location, layer.layer))
        packed.append(_packed(layer, location.layout, forget_bias))
        ours = {key: (array.shape, array.dtype.name) for key, array in packed[-1].items()}
        theirs = {key: content.arrays[name] for key, name in location.names.items()}
        theirs = {key: (array.shape, array.dtype.name) for key, array in theirs.items()}
        if ours != theirs:
            checks.fail("checkpoints.write", f"arrays for {location.name} of {template}, {theirs}", ours)
    content.arrays.update(_named(locations, packed))
    return content, locations


def _check_suffix(entry, path, template):
    """Raises ValueError where path and template end in different suffixes of their format."""
    ends = [next((suffix for suffix in entry.suffixes if str(name).endswith(suffix)), "") for name in (path, template)]
    if ends[0] != ends[1]:
        checks.fail("checkpoints.write", f"a template whose name ends in {ends[0]}, as that of {path}", template)


def _packed(layer, layout, forget_bias):
    """A `FoundLayer`'s arrays in a layout. Where both add the same forget bias, it does not round: it is left out."""
    target = added(layout, forget_bias)
    if target and same_layer(layer):
        bare = layouts.unpack(layer.arrays, layer.layout, 0.0)
        return layouts.pack(bare, layout, target - layer.forget_bias)
    return layouts.pack(layer.layer, layout, target)


def _named(locations, packed):
    """Names in the file -> arrays; raises ValueError where two layers have one array, and are to have two."""
    named = {}
    for location, arrays in zip(locations, packed):
        for key, array in arrays.items():
            name = location.names[key]
            if name in named and not files.same(named[name], array):
                checks.fail("checkpoints.write", f"the same numbers for all layers that share {name}", location.name)
            named[name] = array
    return named
