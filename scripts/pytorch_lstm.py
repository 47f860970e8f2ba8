"""The peer: torch.nn.LSTM, by oneDNN on a CPU and by cuDNN on a GPU. And what PyTorch needs to be told for that."""

import importlib
import itertools
import sys

import numpy as np

from stacked_lstm import layouts, parity, tf32
from stacked_lstm.compat import cuda_version, device_of_new_ops, tf
from stacked_lstm.parity.graph_network import named

DEVICES = {"CPU": "cpu", "GPU": "cuda"}  # TensorFlow's names and PyTorch's.
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def pytorch(device="CPU"):
    """Returns the module torch, for a device of `DEVICES`; TF32 is off on GPUs unless the environment asks for it.

    Raises:
      parity.PeerMissingError: there is none, or none that sees a GPU.
    """
    # Triton, PyTorch's compiler, which nothing here needs: its LLVM and TensorFlow's in one process can end it.
    sys.modules.setdefault("triton", None)
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        message = "pytorch_lstm: expected the package torch (`pip install torch`), got %s: %s"
        raise parity.PeerMissingError(message % (type(error).__name__, error)) from error
    if device == "GPU" and not torch.cuda.is_available():
        message = "pytorch_lstm: expected a package torch that sees the GPU, got torch %s"
        raise parity.PeerMissingError(message % torch.__version__)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32.asked_for()
    return torch


def pytorch_beside_new_ops():
    """Returns (the module torch, its name of the GPU on which TensorFlow's ops made now are, or else "cpu").

    Raises:
      parity.PeerMissingError: as `pytorch`, or PyTorch is built for another CUDA than TensorFlow. On a GPU the two end
        their process with a floating point exception.
    """
    device = device_of_new_ops()
    if device.device_type != "GPU":
        return pytorch(), "cpu"
    torch, cuda = pytorch("GPU"), cuda_version()
    if cuda and (torch.version.cuda or "none").split(".")[0] != cuda.split(".")[0]:
        message = "pytorch_lstm: expected a package torch for CUDA %s, as TensorFlow %s is, got torch %s for CUDA %s"
        raise parity.PeerMissingError(message % (cuda, tf.__version__, torch.__version__, torch.version.cuda))
    return torch, "cuda:%d" % (device.device_index or 0)


def wait(torch, where):
    """Waits until the device `where`, one of PyTorch's names, has done all that it was given to do."""
    if where != "cpu":
        torch.cuda.synchronize(where)


class PytorchNetwork:
    """What `parity.GraphNetwork` does, of which it takes the names and arguments; sessions are not used.

    It is where ops made now are: on a GPU, or else on the CPU.

    Attributes:
      source: what computes, and where.
    """

    def __init__(self, lstm, setup, placeholders, learning_rate):
        del lstm, placeholders
        self._torch, self._where = pytorch_beside_new_ops()
        self._setup, self._learning_rate = setup, learning_rate or 0.0
        self._options = {"dtype": getattr(self._torch, setup.dtype), "device": self._where}
        chip = "the CPU" if self._where == "cpu" else self._torch.cuda.get_device_name(self._where)
        self.source = f"torch.nn.LSTM of torch {self._torch.__version__} on {chip}"
        self._modules, below = [], setup.input_size
        for size, layers in itertools.groupby(setup.hidden_sizes):  # A module's layers have one width.
            self._modules.append(self._torch.nn.LSTM(below, size, len(list(layers)), **self._options))
            below = size
        self._layers = [
            {name: getattr(module, f"{name}_l{k}") for name in _NAMES}
            for module in self._modules
            for k in range(module.num_layers)
        ]
        for layer in self._layers:  # Of two biases that add, one is trained, or their sum would go twice as far.
            layer["bias_hh"].requires_grad_(False)
        self._initial_state, self._head, self._optimizer = [], [], None

    def start(self, session, values, head):
        del session
        with self._torch.no_grad():
            for layer, explicit in zip(self._layers, values.layers):
                for name, array in layouts.pack(explicit, "pytorch").items():
                    layer[name].copy_(self._tensor(array))
        new = lambda array: self._tensor(array).requires_grad_()  # noqa: E731
        self._initial_state = [{name: new(array) for name, array in layer.items()} for layer in values.initial_state]
        self._head = [new(part) for part in head]
        variables = [v for layer in self._layers + self._initial_state for v in layer.values() if v.requires_grad]
        self._optimizer = self._torch.optim.SGD(variables + self._head, self._learning_rate)

    def compute(self, session, batch):
        self._optimizer.zero_grad()
        x = self._tensor(batch.inputs).requires_grad_()
        outputs, state = self._forward(x, batch.lengths)
        total = (outputs * self._tensor(batch.mixing)).sum()
        for k, (c, h) in enumerate(state if self._setup.use_states else ()):
            total = total + (c + 0.3 * k).sin().sum() - (h + 0.7 * k).cos().sum()
        total.backward()
        layers, initial_state = (
            [{name: _gradient(v) for name, v in layer.items()} for layer in part]
            for part in (self._layers, self._initial_state)
        )
        gradients = {
            "inputs": _gradient(x),
            "layers": [layouts.unpack(layer, "pytorch", forget_bias=0.0) for layer in layers],
            "initial_state": initial_state,
        }
        return named(_array(outputs), [[_array(part) for part in pair] for pair in state], gradients)

    def train(self, session, batch):
        self._optimizer.zero_grad()
        _, state = self._forward(self._tensor(batch.inputs), batch.lengths)
        matrix, bias = self._head
        loss = (state[-1][1] @ matrix + bias - self._tensor(batch.targets)).square().mean()
        loss.backward()
        self._optimizer.step()
        wait(self._torch, self._where)
        return loss.item()

    def infer(self, session, batch):
        with self._torch.inference_mode():
            self._forward(self._tensor(batch.inputs), batch.lengths)
        wait(self._torch, self._where)

    def _forward(self, x, lengths):
        """Returns (outputs, (c, h) per layer), for x in the setup's layout, and lengths as in a `Batch`."""
        rnn, x, finals = self._torch.nn.utils.rnn, self._turned(x), []
        lengths = self._torch.as_tensor(np.full(x.shape[1], len(x)) if lengths is None else lengths)
        empty = (lengths == 0).to(self._where)[:, None]
        states = self._start(x[0].masked_fill(empty, 0))
        # PyTorch packs no empty sequences: these take a step, of which nothing is kept.
        packed = self._setup.lengths
        y = rnn.pack_padded_sequence(x, lengths.clamp(min=1), enforce_sorted=False) if packed else x
        for module in self._modules:
            below = states[len(finals) : len(finals) + module.num_layers]
            c, h = (self._torch.stack(part) for part in zip(*below))
            y, (h, c) = module(y, (h, c))
            finals += zip(c, h)
        if packed:
            y = rnn.pad_packed_sequence(y, total_length=len(x))[0].masked_fill(empty, 0)
            finals = [
                [self._torch.where(empty, first, last) for first, last in zip(*pairs)] for pairs in zip(states, finals)
            ]
        return self._turned(y), finals

    def _start(self, first):
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
        return self._torch.as_tensor(np.asarray(array, np.float64), **self._options)  # It knows no NumPy bfloat16.

    def _turned(self, tensor):
        """From the setup's layout to time-major, or back."""
        return tensor if self._setup.time_major else tensor.transpose(0, 1)


def _gradient(variable):
    """As an array; zeros of what has none."""
    return _array(variable * 0 if variable.grad is None else variable.grad)


def _array(tensor):
    return tensor.detach().double().cpu().numpy()
