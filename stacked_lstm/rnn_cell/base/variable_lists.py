"""The variables of a cell as lists, and their values as arrays, under the names that TensorFlow's layers have."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.copies import DeepCopies


class VariableLists(DeepCopies):
    """Base class of objects with variables. Subclasses define `trainable_weights` and `non_trainable_weights`."""

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        raise NotImplementedError(f"{type(self).__name__}.trainable_weights")

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        raise NotImplementedError(f"{type(self).__name__}.non_trainable_weights")

    def _has_variables(self) -> bool:
        return bool(self.variables)

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables in the order in which they were made, trainable ones first."""
        return self.trainable_weights + self.non_trainable_weights

    # TensorFlow has two names for each of these lists.

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:
        return self.non_trainable_weights

    @property
    def variables(self) -> list[tf.Variable]:
        return self.weights

    def count_params(self) -> int:
        """Returns the number of entries in all variables.

        Raises:
          ValueError: there are no variables yet.
        """
        if not self.weights:
            checks.fail(f"{type(self).__name__}.count_params", "variables, which the first call makes", "none")
        return sum(variable.shape.num_elements() for variable in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Returns the values of the variables in the default session, in the order of `weights`."""
        return self._session("get_weights").run(self.weights)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns values to the variables in the default session.

        Args:
          weights: list of arrays in the order of the property `weights`.

        Raises:
          ValueError: another number of arrays, or an array of another shape. No variable is changed.
        """
        session, variables = self._session("set_weights"), self.weights
        actual = [np.shape(array) for array in weights]
        expected = [tuple(variable.shape.as_list()) for variable in variables]
        if actual != expected:
            checks.fail(f"{type(self).__name__}.set_weights", f"arrays of the shapes {expected}", actual)
        for variable, array in zip(variables, weights):
            variable.load(array, session)

    def _session(self, method: str) -> tf.Session:
        session = tf.get_default_session()
        if session is None:
            expected = "a default session, as within `with session.as_default():`"
            checks.fail(f"{type(self).__name__}.{method}", expected, "none")
        return session
