"""Names of TensorFlow 1 that old programs use: where they are now, or what to do instead.

TensorFlow is not imported.
"""

from __future__ import annotations

import ast
import functools
import os
import re

import stacked_lstm
from stacked_lstm import missing_names

RNN_CELL = "stacked_lstm.rnn_cell"
SEQ2SEQ = "stacked_lstm.contrib.seq2seq"
LEGACY_SEQ2SEQ = "stacked_lstm.contrib.legacy_seq2seq"
CRF = "stacked_lstm.contrib.crf"
LAYERS = "stacked_lstm.contrib.layers"

_CONTRIB_OPS = "tensorflow.contrib.rnn.python.ops."
_CONTRIB_MODULES = (
    "core_rnn core_rnn_cell core_rnn_cell_impl fused_rnn_cell gru_ops lstm_ops rnn_cell rnn_cell_impl rnn".split()
)

# Module of TensorFlow 1 that is gone, or that needs Keras -> the module of this package that stands for it.
MODULES = {
    "tensorflow.nn.rnn_cell": RNN_CELL,
    "tensorflow.contrib.rnn": RNN_CELL,
    "tensorflow.contrib.cudnn_rnn": RNN_CELL,
    "tensorflow.contrib.cudnn_rnn.python.layers.cudnn_rnn": RNN_CELL,
    "tensorflow.python.ops.rnn": RNN_CELL,
    "tensorflow.python.ops.rnn_cell": RNN_CELL,
    "tensorflow.python.ops.rnn_cell_impl": RNN_CELL,
    "tensorflow.models.rnn.rnn": RNN_CELL,
    "tensorflow.models.rnn.rnn_cell": RNN_CELL,
    "tensorflow.contrib.rnn.core_rnn": RNN_CELL,
    "tensorflow.contrib.rnn.core_rnn_cell": RNN_CELL,
    **{_CONTRIB_OPS + name: RNN_CELL for name in _CONTRIB_MODULES},
    "tensorflow.contrib.crf": CRF,
    "tensorflow.contrib.crf.python.ops.crf": CRF,
    "tensorflow.contrib.layers": LAYERS,
    "tensorflow.contrib.layers.python.layers": LAYERS,
    "tensorflow.contrib.layers.python.layers.initializers": LAYERS,
    "tensorflow.contrib.layers.python.layers.layers": LAYERS,
    "tensorflow.contrib.seq2seq": SEQ2SEQ,
    "tensorflow.contrib.seq2seq.python.ops.loss": SEQ2SEQ,
    "tensorflow.contrib.legacy_seq2seq": LEGACY_SEQ2SEQ,
    "tensorflow.contrib.legacy_seq2seq.python.ops.seq2seq": LEGACY_SEQ2SEQ,
    "tensorflow.python.ops.seq2seq": LEGACY_SEQ2SEQ,
    "tensorflow.models.rnn.seq2seq": LEGACY_SEQ2SEQ,
    "tensorflow.nn.seq2seq": LEGACY_SEQ2SEQ,
    **{f"tensorflow.python.ops.nn.{name}": RNN_CELL for name in ("rnn", "rnn_cell")},
    **{f"tensorflow.python.ops.rnn.{name}": RNN_CELL for name in ("rnn_cell", "rnn_cell_impl")},
    "tensorflow.python.ops.nn.seq2seq": LEGACY_SEQ2SEQ,
}

_CUDNN_OPS = "tensorflow.contrib.cudnn_rnn.python.ops.cudnn_rnn_ops"

# Module that stays -> the module of this package that has some of its names.
SHARED_MODULES = {"tensorflow.nn": RNN_CELL, "tensorflow.python.ops.nn": RNN_CELL, _CUDNN_OPS: RNN_CELL}

# Names of those modules that mean something else in the module of this package.
_OTHER_THINGS = (f"{_CUDNN_OPS}.CudnnLSTM",)

# Parts of TensorFlow that `tensorflow.compat.v1` does not have, or that are others there.
_NOT_IN_V1 = tuple("compat compiler contrib core examples include keras lite.python models python tools".split())

# Loops of `tensorflow.nn` that were in other modules, too.
NN_LOOPS = ("raw_rnn", "static_state_saving_rnn")

_FRAMEWORK, _TRAIN = "tensorflow.contrib.framework.", "tensorflow.train."
_TRAIN_NAMES = (
    "create_global_step get_global_step get_or_create_global_step list_variables load_checkpoint load_variable".split()
)

# Module of tensorflow.python -> names that it does not have any more, and that have a public name.
_PYTHON_NAMES = {
    "framework.ops": "IndexedSlices Tensor convert_to_tensor_or_indexed_slices register_tensor_conversion_function",
    "ops.array_ops": "stack unstack",
    "ops.control_flow_ops": "Assert case cond switch_case while_loop",
    "ops.standard_ops": "random_crop stack unstack",
    "ops.variable_scope": "disable_resource_variables enable_resource_variables",
    "ops.variables": "is_variable_initialized",
    "ops.random_ops": "random_crop",
}
_FREEZE = "graph_util.convert_variables_to_constants"
_VARIABLES = ("ops.variable_scope.variable", "ops.variables.VariableV1")

# Name in TensorFlow 1 -> public name of the same thing in TensorFlow 1 and 2.
TENSORFLOW_NAMES = {
    **{
        f"tensorflow.python.{old}.{n}": f"tensorflow.{n}" for old, names in _PYTHON_NAMES.items() for n in names.split()
    },
    **{f"tensorflow.python.{old}": "tensorflow.Variable" for old in _VARIABLES},
    "tensorflow.python.pywrap_tensorflow.NewCheckpointReader": "tensorflow.train.NewCheckpointReader",
    **{f"tensorflow.python.ops.nn.{name}": f"tensorflow.nn.{name}" for name in NN_LOOPS},
    "tensorflow.python.framework." + _FREEZE: "tensorflow." + _FREEZE,
    "tensorflow.python.util.nest.is_sequence": "tensorflow.nest.is_nested",
    _FRAMEWORK + "nest.is_sequence": "tensorflow.nest.is_nested",
    _FRAMEWORK + "nest": "tensorflow.nest",
    _FRAMEWORK + "is_tensor": "tensorflow.is_tensor",
    "tensorflow.contrib.compiler.jit.experimental_jit_scope": "tensorflow.xla.experimental.jit_scope",
    **{_FRAMEWORK + name: _TRAIN + name for name in _TRAIN_NAMES},
}

# Modules that stay, and that do not have some of their names any more.
MODULES_WITH_LOST_NAMES = {name.rpartition(".")[0] for name in TENSORFLOW_NAMES} - set(MODULES)

# Modules that had loops before TensorFlow 1.0, and name of a loop -> what to use instead.
_OLDEST_MODULES = ["tensorflow.nn", *(name for name in MODULES if name.endswith(".rnn"))]
_OLDEST_LOOPS = {
    "rnn": f"use static_rnn of {RNN_CELL}",
    "bidirectional_rnn": f"use static_bidirectional_rnn of {RNN_CELL}",
    "state_saving_rnn": "use tf.nn.static_state_saving_rnn",
}
_COPY = "copy {} of TensorFlow 1.15, run this command on the copy, and import that"
# Module of this package that has some names of a module of TensorFlow 1 -> the files that have all of them.
_FILES = {
    SEQ2SEQ: "tensorflow_core/contrib/seq2seq/python/ops",
    LEGACY_SEQ2SEQ: "tensorflow_core/contrib/legacy_seq2seq/python/ops/seq2seq.py",
    CRF: "tensorflow_core/contrib/crf/python/ops/crf.py",
}
# Decoders of TensorFlow 1.0 and 1.1.
_OLDEST_DECODERS = (
    "DynamicAttentionWrapper attention_decoder_fn_inference attention_decoder_fn_train dynamic_rnn_decoder"
    " prepare_attention simple_decoder_fn_inference simple_decoder_fn_train"
).split()
_OLDER = "TensorFlow 1.2 replaced it by AttentionWrapper and dynamic_decode of tf.contrib.seq2seq"
_CUDNN = "tensorflow.contrib.cudnn_rnn"
_CUDNN_MODULES = (_CUDNN, f"{_CUDNN}.python.layers.cudnn_rnn", _CUDNN_OPS)
_CUDNN_TEXTS = {
    "CUDNN_RNN_UNIDIRECTION": "unidirectional",
    "CUDNN_RNN_BIDIRECTION": "bidirectional",
    "CUDNN_LSTM": "lstm",
    "CUDNN_INPUT_LINEAR_MODE": "linear_input",
    "CUDNN_INPUT_AUTO_MODE": "auto_select",
}
_CUDNN_LAYER = "use the layer CudnnLSTM of stacked_lstm.rnn_cell, which makes its variable itself"
_CELL_MODULES = (*(old for old, new in MODULES.items() if new == RNN_CELL), _CUDNN_OPS)

# Start of a complete name -> what to do about it. The longest start counts. Names without one can stay.
_REMARKS = {
    "tensorflow.contrib": "TensorFlow 2 has no tf.contrib",
    "tensorflow.contrib.data": "use tf.data or tf.data.experimental",
    "tensorflow.contrib.lookup": "use tf.lookup, or tensorflow.python.ops.lookup_ops, which has the functions",
    "tensorflow.contrib.learn.ModeKeys": "use the strings 'train', 'eval' and 'infer'",
    "tensorflow.contrib.training.HParams": "use types.SimpleNamespace",
    "tensorflow.estimator": "TensorFlow 2.16 and later have no tf.estimator",
    "tensorflow.estimator.ModeKeys": "use the strings 'train', 'eval' and 'infer'",
    "tensorflow.python.estimator": "TensorFlow 2.16 and later have no tf.estimator",
    "tensorflow.python.training.training_ops": "import tensorflow.python.ops.gen_training_ops, which has its functions",
    "tensorflow.tools.graph_transforms": "newer versions of TensorFlow do not have this module",
    "tensorflow.examples": "TensorFlow 2 has no tensorflow.examples",
    "tensorflow.layers": "needs the package tf-keras, and TF_USE_LEGACY_KERAS=1 in the environment",
    "tensorflow.models": "TensorFlow 1 and 2 have no tensorflow.models",
    **{old: f"not in {new}" for old, new in MODULES.items() if new == RNN_CELL},
    **{old: f"not in {new}; {_COPY.format(_FILES[new])}" for old, new in MODULES.items() if new in _FILES},
    **{f"{module}.{name}": advice for module in _OLDEST_MODULES for name, advice in _OLDEST_LOOPS.items()},
    _CUDNN: "not in stacked_lstm.rnn_cell; StackedLSTM runs on cuDNN",
    _CUDNN_OPS: f"TensorFlow 2 does not have this module; {_CUDNN_LAYER}",
    f"{_CUDNN_OPS}.CudnnLSTM": f"its calls take a tensor of parameters; {_CUDNN_LAYER} and has other arguments",
    **{f"{old}.{name}": f"use the string '{text}'" for old in _CUDNN_MODULES for name, text in _CUDNN_TEXTS.items()},
    **{
        f"{old}.{name}": f"not in {RNN_CELL}; {advice}"
        for old in _CELL_MODULES
        for name, advice in missing_names.ADVICE.items()
    },
    "tensorflow.contrib.layers": f"not in {LAYERS}; most layers are in tf.layers, with other names of variables",
    "tensorflow.contrib.layers.dropout": "use tf.nn.dropout",
    "tensorflow.contrib.layers.python.layers.utils": "TensorFlow 2 has no tf.contrib",
    **{f"tensorflow.contrib.seq2seq.{name}": _OLDER for name in _OLDEST_DECODERS},
    "tensorflow.contrib.layers.l2_regularizer": "use a function such as lambda w: scale * tf.nn.l2_loss(w)",
}


# Module of this package -> those of `tf.contrib` for which it stands.
_OLD_MODULES: dict[str, list[str]] = {}
for _old, _new in MODULES.items():
    if re.fullmatch(r"tensorflow\.contrib\.\w+", _old):
        _OLD_MODULES.setdefault(_new, []).append(_old)


@functools.lru_cache(maxsize=None)
def names_of(module: str) -> tuple[str, ...]:
    """Returns the names that programs take from a module of this package, read from its source."""
    path = os.path.join(os.path.dirname(stacked_lstm.__file__), *module.split(".")[1:])
    path = os.path.join(path, "__init__.py") if os.path.isdir(path) else path + ".py"
    with open(path, encoding="utf-8") as source:
        statements = [node for node in ast.parse(source.read()).body if isinstance(node, ast.Assign)]
    values = {getattr(node.targets[0], "id", None): node.value for node in statements}
    if "__all__" not in values:
        raise ValueError(f"{module} has no __all__")
    lists = [ast.literal_eval(values[name]) for name in ("__all__", "TENSORFLOW_NAMES") if name in values]
    return tuple(name for names in lists for name in names)


def split(name: str) -> tuple[str, str]:
    """Returns (module, last name) of a complete name. `tensorflow.compat.v1` counts as `tensorflow`."""
    if name.startswith("tensorflow.compat.v1."):
        name = name.replace("tensorflow.compat.v1", "tensorflow", 1)
    module, _, last = name.rpartition(".")
    return module, last


def new_module(name: str) -> str | None:
    """Returns the module of this package that stands for a module of TensorFlow 1, or None."""
    return MODULES.get(".".join(split(name)))


def has_tensorflow_modules(module: str) -> bool:
    """Returns whether a module of cells also has modules of TensorFlow, such as math_ops."""
    return MODULES.get(module) == RNN_CELL and ".python." in module and "cudnn" not in module


def tensorflow_module(name: str) -> str | None:
    """Returns the complete name of a module of TensorFlow that a module of cells also has, or None."""
    module, last = split(name)
    return missing_names.MODULES.get(last) if has_tensorflow_modules(module) else None


def home(name: str) -> str | None:
    """Returns the module of this package that has a name of TensorFlow 1, or None."""
    module, last = split(name)
    if f"{module}.{last}" in _OTHER_THINGS:
        return None
    if module in MODULES and _is_special(last):
        return MODULES[module]
    new = MODULES.get(module) or SHARED_MODULES.get(module)
    return new if new and last in names_of(new) else None


def _is_special(name: str) -> bool:
    """Whether a name is one of Python's, such as `__dict__`."""
    return name.startswith("__") and name.endswith("__")


def v1_name(name: str) -> str | None:
    """Returns the name in `tensorflow.compat.v1` of a public name of TensorFlow 1, or None if it stays."""
    package, *rest = name.split(".")
    starts = {".".join(rest[:count]) for count in (1, 2)}
    is_public = package == "tensorflow" and not starts & set(_NOT_IN_V1)
    return ".".join(["tensorflow.compat.v1", *rest]) if is_public else None


def tensorflow_name(name: str) -> str | None:
    """Returns the complete name that TensorFlow 2 has for a name of TensorFlow 1, or None if there is no such name."""
    module, last = split(name)
    if last in NN_LOOPS and MODULES.get(module) == RNN_CELL:
        return f"tensorflow.nn.{last}"
    return TENSORFLOW_NAMES.get(f"{module}.{last}")


def remark(name: str) -> str | None:
    """Returns what to do about a complete name, or None if it can stay."""
    for new, modules in _OLD_MODULES.items():
        if name.startswith(f"{new}."):  # After the move.
            rest = name[len(new) + 1 :]
            first = rest.split(".")[0]
            if first in names_of(new) or _is_special(first):
                return None
            names = [f"{module}.{rest}" for module in modules]
            name = next((old for old in names if old in _REMARKS), names[0])
    parts = ".".join(split(name)).split(".")
    starts = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    if starts[0] in MODULES or any(map(tensorflow_name, starts)):
        return None
    return next((_REMARKS[start] for start in starts if start in _REMARKS), None)
