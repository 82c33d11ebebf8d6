"""What policy_node publishes of each step for the recorder: exactly what the graph was given, and what it gave."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.policy_contract import Contract
from contract.signals import Signal
from deploy_robot.cdr import CdrError, Sections
from deploy_robot.driver import Array

_HEAD = ("step", "reset")
_INPUT, _MEMORY, _TARGET = "input/", "memory/", "joint_target"


class StepEncoder:
    """Makes the message of a step. Float32 values travel as doubles, which hold every one of them exactly."""

    def __init__(self, contract: Contract) -> None:
        self._inputs = [signal.name for signal in contract.inputs]
        self._memory = [signal.name for signal in contract.memory]
        self._layout = Sections(
            dict.fromkeys(_HEAD, 1)
            | {_INPUT + signal.name: _size(signal) for signal in contract.inputs}
            | {_MEMORY + signal.name: _size(signal) for signal in contract.memory}
            | {_TARGET: len(contract.joint_names)}
        )
        self._steps = itertools.count()

    def encode(
        self, reset: bool, signals: Mapping[str, Array], memory: Mapping[str, NDArray[np.float32]], target: Array
    ) -> bytes:
        """The next step's Float64MultiArray.

        Args:
            reset: the memory was zeroed just before it.
            signals: inputs as given to the policy, (1, *shape).
            memory: before the step, (1, *shape).
            target: (num_joints,) rad.
        """
        head = (next(self._steps), float(reset))
        inputs = [signals[name].ravel() for name in self._inputs]
        return self._layout.message([head, *inputs, *(memory[name].ravel() for name in self._memory), target])


@dataclass(frozen=True, eq=False)
class Step:
    """One recorded step of a policy; arrays are flat.

    Attributes:
        number: counts them, so that one that was lost shows.
        reset: the memory was zeroed just before it.
        inputs: by signal name. memory: likewise, before the step.
        target: (num_joints,) rad, what the policy gave.
    """

    number: int
    reset: bool
    inputs: Mapping[str, Array]
    memory: Mapping[str, Array]
    target: Array


def decode(parts: Mapping[str, Array]) -> Step:
    """A step out of the sections of its message; CdrError where one is missing."""
    try:
        return Step(
            number=int(parts["step"][0]),
            reset=bool(parts["reset"][0]),
            inputs={name.removeprefix(_INPUT): part for name, part in parts.items() if name.startswith(_INPUT)},
            memory={name.removeprefix(_MEMORY): part for name, part in parts.items() if name.startswith(_MEMORY)},
            target=parts[_TARGET],
        )
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        raise CdrError(f"not a step of a policy: {error}") from None


def _size(signal: Signal) -> int:
    return int(np.prod(signal.shape))
