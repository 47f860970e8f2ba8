"""`write`: layers into a new file, or into a copy of an existing one."""

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import files, slots
from stacked_lstm.checkpoints.formats import entry_of
from stacked_lstm.checkpoints.layers import added, given, stack, with_biases_of
from stacked_lstm.checkpoints.reading import choose


def write(path, layers, format=None, scope=None, forget_bias=None, others=None, template=None, overwrite=False):
    """Writes layers to a file: all of it, or nothing.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint.
      layers: list from the input upwards of `FoundLayer`s, or of mappings as `layouts.unpack` returns them and
        `StackedLSTM.get_weights` has them. In a new file, where some have biases, those of the others are zeros.
      format: a name in `FORMATS`; None for what the suffix says.
      scope: what the layers are called there, in the way of the format: "stacked_lstm" for variables
        stacked_lstm/layer_1/Wf; "rnn/multi_rnn_cell/cell_%d/lstm_cell" for cells, numbered from 0, or "rnn/lstm_cell"
        for one; "lstm." for a state_dict's lstm.weight_ih_l0; None for these, or no prefix. With a template, a regular
        expression that matches the names of the layers to replace; None for all.
      forget_bias: what the cells that the file is for add to the forget gate; None for their default.
      others: mapping from names to arrays to write as they are, in a TensorFlow checkpoint.
      template: an existing file of the format. What is written has these layers' arrays instead of its own, in the same
        order, and all else as it is there.
      overwrite: whether an existing file may be replaced.

    Returns:
      List of `Location`: what the layers are called in the file.

    Raises:
      ValueError: layers that are no stack or do not fit the template; peepholes or a projection for a library that has
        none; a name that is taken; a file that cannot be written. All files are as they were then.
    """
    content, locations = plan(path, layers, format, scope, forget_bias, others, template)
    module = entry_of(path, format, "checkpoints.write").module
    files.write(str(path), content, module.save, module.load, overwrite)
    module.finish(str(path))
    return locations


def plan(path, layers, format=None, scope=None, forget_bias=None, others=None, template=None):
    """What `write` would write, and writes nothing: (files.Content, list of `Location`)."""
    entry, layers = entry_of(path, format, "checkpoints.write"), given(layers)
    if others and (entry.suffixes or template is not None):
        checks.fail("checkpoints.write", "`others` for a new TensorFlow checkpoint only", sorted(others)[:5])
    if forget_bias is not None:
        checks.number(forget_bias, "checkpoints.write", "forget_bias")
    if template is not None:
        return _replaced(entry, path, layers, scope, forget_bias, template)
    layers = stack(layers, entry.directed)
    packed = [layouts.pack(layer.layer, entry.layout, added(entry.layout, forget_bias)) for layer in layers]
    rest, locations = entry.module.new(packed, entry.layout, scope, path)
    arrays = _named(locations, packed)
    if not entry.suffixes:
        for layer, location in zip(layers, locations):
            arrays.update(slots.packed(layer, location, added(location.layout, forget_bias)))
    taken = sorted(set(arrays) & set(others or {}))
    if taken:
        checks.fail("checkpoints.write", "a scope whose names are free", "in use: %s" % ", ".join(taken))
    arrays.update(others or {})
    return files.Content(arrays, rest), locations


def _replaced(entry, path, layers, pattern, forget_bias, template):
    """The template's Content with the layers' arrays, and where they are."""
    _check_suffix(entry, path, template)
    content = entry.module.load(str(template))
    locations, _ = choose(entry.module.find(content, template), pattern, template)
    theirs, ours = ([(each.name, each.direction) for each in some] for some in (locations, layers))
    if [direction for _, direction in theirs] != [direction for _, direction in ours]:
        checks.fail("checkpoints.write", "layers for those of %s, %s" % (template, theirs), ours)
    packed = []
    for location, layer in zip(locations, layers):
        common = with_biases_of(location, layer.layer)
        packed.append(layouts.pack(common, location.layout, added(location.layout, forget_bias)))
        ours = {key: (array.shape, array.dtype.name) for key, array in packed[-1].items()}
        theirs = {key: content.arrays[name] for key, name in location.names.items()}
        theirs = {key: (array.shape, array.dtype.name) for key, array in theirs.items()}
        if ours != theirs:
            checks.fail("checkpoints.write", "arrays for %s of %s, %s" % (location.name, template, theirs), ours)
    content.arrays.update(_named(locations, packed))
    return content, locations


def _check_suffix(entry, path, template):
    """Raises ValueError where path and template end in different suffixes of their format."""
    ends = [next((suffix for suffix in entry.suffixes if str(name).endswith(suffix)), "") for name in (path, template)]
    if ends[0] != ends[1]:
        checks.fail("checkpoints.write", "a template whose name ends in %s, as that of %s" % (ends[0], path), template)


def _named(locations, packed):
    """Names in the file -> arrays."""
    return {location.names[key]: array for location, arrays in zip(locations, packed) for key, array in arrays.items()}
