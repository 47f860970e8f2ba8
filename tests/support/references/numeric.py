"""How tests compare numbers: differences of tensors, and central differences."""

import numpy as np


def central_difference(function, point, direction, step=1e-5):
    """Derivative of `function`, from a list of arrays to an array, along `direction`, a list of arrays."""
    values = [function([p + sign * step * d for p, d in zip(point, direction)]) for sign in (1, -1)]
    return (values[0] - values[1]) / (2 * step)


def gradient_by_differences(function, array, step=1e-5):
    """Gradient of `function`, which depends on `array`, by a central difference for each of its entries."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        value, values = array[index], []
        for sign in (1, -1):
            array[index] = value + sign * step
            values.append(function())
        array[index] = value
        gradient[index] = (values[0] - values[1]) / (2 * step)
    return gradient


def relative_difference(a, b):
    """max|a - b| / max|b|; 0 where both are all zeros, or empty."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    difference = np.max(np.abs(a - b), initial=0)
    return difference / np.max(np.abs(b), initial=0) if difference != 0 else 0.0


def check_same(actual, expected, tolerance):
    """Two mappings from names to arrays: the same names, shapes, and numbers up to `tolerance`."""
    assert sorted(actual) == sorted(expected)
    differences = {name: relative_difference(actual[name], expected[name]) for name in actual}
    differences = {name: difference for name, difference in differences.items() if not difference <= tolerance}
    assert not differences, differences
