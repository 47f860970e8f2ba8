"""Writes the golden files of PyTorch and ONNX, in pytorch/.

Python 3.11, pip install "torch==2.13.*" safetensors numpy "onnx==1.23.*" onnxscript
"""

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save_file

from golden.files import BATCH, INPUT, TIME, UNITS, path, random_state

HIDDEN = UNITS[0]  # nn.LSTM has one width for all layers.
CASES = {
    "stacked": {"num_layers": 2},
    "no_bias": {"num_layers": 2, "bias": False},
    "bidirectional": {"bidirectional": True},
    "bidirectional_stacked": {"num_layers": 2, "bidirectional": True},
    "projection": {"num_layers": 2, "proj_size": 2},
}
EXPORTED = ["stacked", "bidirectional"]
RESULTS = ["head", "outputs", "state/h", "state/c"]


class Tagger(torch.nn.Module):
    """An nn.LSTM and a linear head."""

    def __init__(self, **options):
        super().__init__()
        self.encoder = torch.nn.LSTM(INPUT, HIDDEN, batch_first=True, **options)
        width = options.get("proj_size", HIDDEN)
        self.head = torch.nn.Linear(2 * width if options.get("bidirectional") else width, 2)

    def forward(self, inputs, h, c):
        outputs, (h, c) = self.encoder(inputs, (h, c))
        return self.head(outputs), outputs, h, c


def pytorch():
    """Writes the state_dict of each case, an nn.LSTM with a linear head, as .safetensors and .npz, and network.npz.

    The archive has, by `<case>/<key>`: inputs [BATCH, TIME, INPUT] and initial_state/h and /c; outputs (of the LSTM),
    head, state/h and /c; the gradients of a loss with respect to these, d_outputs, d_head, d_state/h and /c; and its
    other gradients, gradient/inputs, gradient/initial_state/h and /c, and gradient/<name in the state_dict>. Two cases
    are also ONNX files with these inputs and outputs: <case>.onnx is by PyTorch's new exporter (dynamo), and
    <case>_torchscript.onnx by the old one.
    """
    archive = {}
    for name, options in CASES.items():
        random, model = random_state(name), Tagger(**options).eval()
        for parameter in model.parameters():
            parameter.data = 0.5 * draw(random, *parameter.shape)
        state_dict = model.state_dict()
        save_file(state_dict, path("pytorch", name + ".safetensors"))
        np.savez_compressed(path("pytorch", name + ".npz"), **state_dict)
        rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
        inputs = {
            "inputs": draw(random, BATCH, TIME, INPUT),
            "initial_state/h": draw(random, rows, BATCH, options.get("proj_size", HIDDEN)),
            "initial_state/c": draw(random, rows, BATCH, HIDDEN),
        }
        if name in EXPORTED:
            export(model, inputs, path("pytorch", name + ".onnx"), dynamo=True)
            export(model, inputs, path("pytorch", name + "_torchscript.onnx"), dynamo=False)
        results = computed(model, inputs, random)
        archive.update({f"{name}/{key}": value.detach().numpy() for key, value in results.items()})
    np.savez_compressed(path("pytorch", "network.npz"), **archive)


def draw(random, *shape):
    return torch.tensor(random.randn(*shape), dtype=torch.float32)


def computed(model, inputs, random):
    """key -> tensor of one case: inputs, results and gradients."""
    inputs = {key: value.requires_grad_() for key, value in inputs.items()}
    sources = dict(inputs, **dict(model.named_parameters()))
    values = model(*inputs.values())
    output_gradients = [draw(random, *value.shape) for value in values]
    gradients = torch.autograd.grad(values, list(sources.values()), output_gradients)
    results = dict(inputs, **dict(zip(RESULTS, values)))
    results.update(zip(["d_" + key for key in RESULTS], output_gradients))
    results.update(zip(["gradient/" + key for key in sources], gradients))
    return results


def export(model, inputs, target, dynamo):
    """Writes an ONNX file without metadata, which would name source files of this machine."""
    names = {"input_names": list(inputs), "output_names": RESULTS}
    torch.onnx.export(model, tuple(inputs.values()), target, dynamo=dynamo, external_data=False, **names)
    exported = onnx.load(target)
    for node in exported.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.save(exported, target)


def onnx_peepholes():
    """Writes an ONNX model with one LSTM node with peepholes, peepholes.onnx, and peepholes.npz.

    ONNX's own evaluator computes the numbers. The archive has the node's inputs and outputs by name: X [TIME, BATCH,
    INPUT], initial_h and initial_c [1, BATCH, HIDDEN]; W R B P, which are initializers in the model; Y [TIME, 1, BATCH,
    HIDDEN], Y_h and Y_c [1, BATCH, HIDDEN].
    """
    random = random_state("onnx_peepholes")
    weights = {"W": [1, 4 * HIDDEN, INPUT], "R": [1, 4 * HIDDEN, HIDDEN], "B": [1, 8 * HIDDEN], "P": [1, 3 * HIDDEN]}
    inputs = {"X": [TIME, BATCH, INPUT], "initial_h": [1, BATCH, HIDDEN], "initial_c": [1, BATCH, HIDDEN]}
    outputs = {"Y": [TIME, 1, BATCH, HIDDEN], "Y_h": [1, BATCH, HIDDEN], "Y_c": [1, BATCH, HIDDEN]}
    arrays = {name: 0.5 * random.randn(*shape) for name, shape in weights.items()}
    arrays.update({name: random.randn(*shape) for name, shape in inputs.items()})
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"], list(outputs), name="lstm", hidden_size=HIDDEN
    )
    graph = helper.make_graph(
        [node],
        "peepholes",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(arrays[name], name) for name in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path("pytorch", "peepholes.onnx"))
    results = ReferenceEvaluator(model).run(None, {name: arrays[name] for name in inputs})
    np.savez_compressed(path("pytorch", "peepholes.npz"), **dict(arrays, **dict(zip(outputs, results))))
