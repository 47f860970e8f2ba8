"""The engines that run layers, and the choice between them.

    ENGINES   dictionary from names to engines, in the order in which "auto" tries them
    Engine    the type of an engine: a function that runs layers, and conditions
    resolve   turns `engine="auto"` or `engine="native"` into a `Request`
    choose    chooses the engine for a `Request` and a list of layers
    run       runs a stack
    run_both  runs a forward and a backward stack on the same inputs at once, if the engine can

A new engine is a file with an `Engine` and a line in `ENGINES` of choice.py. The environment variable
STACKED_LSTM_ENGINE redefines "auto", for programs that cannot be changed. README.md in this folder says more.
"""

from stacked_lstm.engines.choice import (
    AUTO,
    ENGINES,
    ENVIRONMENT_VARIABLE,
    STEPWISE,
    EngineUsed,
    Request,
    choose,
    resolve,
)
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.runs import run, run_both

__all__ = [
    "AUTO",
    "ENGINES",
    "ENVIRONMENT_VARIABLE",
    "STEPWISE",
    "Engine",
    "EngineUsed",
    "Request",
    "choose",
    "resolve",
    "run",
    "run_both",
]
