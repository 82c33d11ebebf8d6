"""What numpy arrays and torch tensors do not spell alike, for code that judges one robot and all of a training run."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A numpy array or a torch tensor. This package installs no torch, hence no common type to name.
Tensor = Any
Indices = NDArray[np.intp]


def library_of(values: Tensor) -> Any:
    """The module whose functions take `values`: numpy or torch."""
    return np if isinstance(values, (np.ndarray, np.generic)) else sys.modules["torch"]


def like(constant: NDArray[np.float64], values: Tensor) -> Tensor:
    """A constant of the kind, precision and device of `values`."""
    if isinstance(values, np.ndarray):
        return constant
    return sys.modules["torch"].as_tensor(constant, dtype=values.dtype, device=values.device)


def pick(values: Tensor, index: Indices, axis: int) -> Tensor:
    """What `values` hold at `index`, of any shape, along an axis that is counted from the last one, as -2."""
    if isinstance(values, np.ndarray):
        return values.take(index, axis)  # four times as fast as brackets, which counts at the size of one robot
    return values[(..., index, *[slice(None)] * (-1 - axis))]
