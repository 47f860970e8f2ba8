"""torch.nn.LSTM as a network of the comparison, in a process with TensorFlow."""

from __future__ import annotations

import itertools
from typing import Any, Sequence

import numpy as np

from peers import pytorch
from stacked_lstm import layouts, parity
from stacked_lstm.compat import cuda_version, device_of_new_ops, tf

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def network() -> parity.PeerFactory:
    """Returns what `parity.Comparison` takes; raises as `torch_beside_new_ops`."""
    torch_beside_new_ops()
    return PytorchNetwork


def torch_beside_new_ops() -> tuple[Any, str]:
    """Imports torch for the device on which TensorFlow's ops that are made now are placed.

    Returns:
      (the module torch, PyTorch's name of that GPU, or "cpu").

    Raises:
      parity.PeerMissingError: torch is not installed, does not see the GPU, or is built for another CUDA than
        TensorFlow; on a GPU the two would end their process with a floating point exception.
    """
    device = device_of_new_ops()
    try:
        torch = pytorch.pytorch("GPU" if device.device_type == "GPU" else "CPU")
    except ImportError as error:
        raise parity.PeerMissingError(str(error)) from error
    if device.device_type != "GPU":
        return torch, "cpu"
    cuda = cuda_version()
    if cuda and (torch.version.cuda or "none").split(".")[0] != cuda.split(".")[0]:
        raise parity.PeerMissingError(
            f"--peer=pytorch needs a torch for CUDA {cuda}, as TensorFlow {tf.__version__} is, and torch "
            f"{torch.__version__} is for CUDA {torch.version.cuda}"
        )
    return torch, f"cuda:{device.device_index or 0}"


class PytorchNetwork(parity.Network):
    """The network in PyTorch, on the device of ops that are made now; it uses no session."""

    def __init__(self, lstm: Any, setup: parity.Setup, placeholders: parity.Batch, learning_rate: float | None) -> None:
        del lstm, placeholders
        self._torch, self._device = torch_beside_new_ops()
        self._setup, self._learning_rate = setup, learning_rate or 0.0
        self._options = {"dtype": getattr(self._torch, setup.dtype), "device": self._device}
        chip = "the CPU" if self._device == "cpu" else self._torch.cuda.get_device_name(self._device)
        self.source = f"torch.nn.LSTM of torch {self._torch.__version__} on {chip}"
        self._modules, width = [], setup.input_size
        for size, layers in itertools.groupby(setup.hidden_sizes):  # A module's layers have one width.
            self._modules.append(self._torch.nn.LSTM(width, size, len(list(layers)), **self._options))
            width = size
        self._layers = [
            {name: getattr(module, f"{name}_l{k}") for name in _NAMES}
            for module in self._modules
            for k in range(module.num_layers)
        ]
        for layer in self._layers:  # PyTorch adds two biases; if both were trained, their sum would move twice as far.
            layer["bias_hh"].requires_grad_(False)
        self._initial_state, self._head, self._optimizer = [], [], None

    def start(self, session: tf.Session, weights: Any, head: Sequence[np.ndarray]) -> None:
        del session
        with self._torch.no_grad():
            for layer, explicit in zip(self._layers, weights.layers):
                for name, array in layouts.pack(explicit, "pytorch").items():
                    layer[name].copy_(self._tensor(array))
        new = lambda array: self._tensor(array).requires_grad_()  # noqa: E731
        self._initial_state = [{name: new(array) for name, array in layer.items()} for layer in weights.initial_state]
        self._head = [new(part) for part in head]
        variables = [v for layer in self._layers + self._initial_state for v in layer.values() if v.requires_grad]
        self._optimizer = self._torch.optim.SGD(variables + self._head, self._learning_rate)

    def compute(self, session: tf.Session, batch: parity.Batch) -> dict[str, np.ndarray]:
        self._optimizer.zero_grad()
        x = self._tensor(batch.inputs).requires_grad_()
        outputs, state = self._forward(x, batch.lengths)
        sin, cos, total = self._torch.sin, self._torch.cos, self._torch.sum
        parity.mixed_loss(self._setup, outputs, state, self._tensor(batch.mixing), sin, cos, total).backward()
        layers, initial_state = (
            [{name: _gradient(v) for name, v in layer.items()} for layer in part]
            for part in (self._layers, self._initial_state)
        )
        gradients = {
            "inputs": _gradient(x),
            "layers": [layouts.unpack(layer, "pytorch", forget_bias=0.0) for layer in layers],
            "initial_state": initial_state,
        }
        return parity.named_results(_array(outputs), [[_array(part) for part in pair] for pair in state], gradients)

    def train(self, session: tf.Session, batch: parity.Batch) -> float:
        self._optimizer.zero_grad()
        _, state = self._forward(self._tensor(batch.inputs), batch.lengths)
        matrix, bias = self._head
        loss = (state[-1][1] @ matrix + bias - self._tensor(batch.targets)).square().mean()
        loss.backward()
        self._optimizer.step()
        pytorch.wait(self._torch, self._device)
        return loss.item()

    def infer(self, session: tf.Session, batch: parity.Batch) -> None:
        with self._torch.inference_mode():
            self._forward(self._tensor(batch.inputs), batch.lengths)
        pytorch.wait(self._torch, self._device)

    def _forward(self, x, lengths):
        """Returns (outputs, (c, h) per layer), for x in the setup's layout, and lengths as in a `Batch`."""
        rnn, x, finals = self._torch.nn.utils.rnn, self._switched(x), []
        lengths = self._torch.as_tensor(np.full(x.shape[1], len(x)) if lengths is None else lengths)
        empty = (lengths == 0).to(self._device)[:, None]
        states = self._start_states(x[0].masked_fill(empty, 0))
        # PyTorch cannot pack empty sequences, so they take one step, whose results are dropped.
        packed = self._setup.lengths
        y = rnn.pack_padded_sequence(x, lengths.clamp(min=1), enforce_sorted=False) if packed else x
        for module in self._modules:
            pairs = states[len(finals) : len(finals) + module.num_layers]
            c, h = (self._torch.stack(part) for part in zip(*pairs))
            y, (h, c) = module(y, (h, c))
            finals += zip(c, h)
        if packed:
            y = rnn.pad_packed_sequence(y, total_length=len(x))[0].masked_fill(empty, 0)
            finals = [
                [self._torch.where(empty, first, last) for first, last in zip(*pairs)] for pairs in zip(states, finals)
            ]
        return self._switched(y), finals

    def _start_states(self, first):
        """The initial (c, h) of each layer, from the first input [B, I]."""
        zeros, c, h, states = first.new_zeros([len(first), 1]), first, first, []
        for layer in self._initial_state:
            if "W_c" in layer:
                c, h = (c @ layer["W_c"]).tanh(), (h @ layer["W_h"]).tanh()
            else:
                c, h = zeros + layer["c"], zeros + layer["h"]
            states.append((c, h))
        return states or [[zeros.expand(-1, size)] * 2 for size in self._setup.hidden_sizes]

    def _tensor(self, array):
        return self._torch.as_tensor(
            np.asarray(array, np.float64), **self._options
        )  # PyTorch does not read NumPy's bfloat16.

    def _switched(self, tensor):
        """Switches between the setup's layout and time-major."""
        return tensor if self._setup.time_major else tensor.transpose(0, 1)


def _gradient(variable):
    """The gradient as an array; zeros if there is none."""
    return _array(variable * 0 if variable.grad is None else variable.grad)


def _array(tensor):
    return tensor.detach().double().cpu().numpy()
