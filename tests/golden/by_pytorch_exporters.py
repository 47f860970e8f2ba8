"""Writes the golden files of PyTorch's exporters, in pytorch_exporters/.

Python 3.11, pip install torch numpy "onnx==1.23.*" onnxscript
"""

import numpy as np
import onnx
import torch

from golden.files import BATCH, INPUT, TIME, UNITS, path, random_state

HIDDEN = UNITS[0]


class Stack(torch.nn.Module):
    """Two layers of one module."""

    def __init__(self, **options):
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUT, HIDDEN, 2, **options)

    def forward(self, x):
        return self.lstm(x)[0]


class Twice(torch.nn.Module):
    """One module that is called twice."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUT, INPUT)

    def forward(self, x):
        return self.lstm(self.lstm(x)[0])[0]


class Learned(torch.nn.Module):
    """A learned initial state."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUT, HIDDEN)
        self.h, self.c = (torch.nn.Parameter(torch.zeros(1, 1, HIDDEN)) for _ in range(2))

    def forward(self, x):
        shape = (1, x.shape[1], HIDDEN)
        return self.lstm(x, (self.h.expand(shape).contiguous(), self.c.expand(shape).contiguous()))[0]


class Branches(torch.nn.Module):
    """A module in each branch of an If."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (torch.nn.LSTM(INPUT, HIDDEN) for _ in range(2))

    def forward(self, x, flag: bool):
        if flag:
            y, _ = self.a(x)
        else:
            y, _ = self.b(x)
        return y


OLD = {"dynamo": False, "do_constant_folding": False, "dynamic_axes": {"x": {0: "T", 1: "B"}}}
CASES = {
    "unfolded": (Stack, {}, OLD),
    "unfolded_bidirectional": (Stack, {"bidirectional": True}, OLD),
    "training": (Stack, {}, dict(OLD, training=torch.onnx.TrainingMode.TRAINING)),
    "opset_8": (Stack, {}, dict(OLD, opset_version=8)),
    "twice": (Twice, {}, OLD),
    "learned": (Learned, {}, OLD),
    "branches": (Branches, {}, OLD),
    "dynamo": (Stack, {}, {"dynamo": True, "optimize": False, "external_data": False}),
}


def pytorch_exporters():
    """Writes the ONNX file of each case, and an archive with its state_dict, its input x and its output y."""
    for name, (module, options, settings) in CASES.items():
        random, model = random_state("exporters/" + name), module(**options)
        for parameter in model.parameters():
            parameter.data = torch.tensor(0.5 * random.randn(*parameter.shape), dtype=torch.float32)
        model.train(name == "training")
        x = torch.tensor(random.randn(TIME, BATCH, INPUT), dtype=torch.float32)
        inputs = (x, True) if module is Branches else (x,)
        arrays = {key: value.detach().numpy() for key, value in model.state_dict().items()}
        np.savez_compressed(
            path("pytorch_exporters", name + ".npz"), x=x.numpy(), y=model(*inputs).detach().numpy(), **arrays
        )
        exported = torch.jit.script(model) if module is Branches else model
        target = path("pytorch_exporters", name + ".onnx")
        torch.onnx.export(exported, inputs, target, input_names=["x", "flag"][: len(inputs)], **settings)
        strip(target)


def strip(target):
    """Removes the metadata, which would name source files of this machine."""
    model = onnx.load(target)
    graphs = [model.graph]
    for graph in graphs:
        for node in graph.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        for value in [*graph.value_info, *graph.input, *graph.output]:
            value.ClearField("metadata_props")
        graph.ClearField("value_info")
        graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    onnx.save(model, target)
