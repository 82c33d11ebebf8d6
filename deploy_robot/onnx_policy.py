"""Runs the graph of a bundle: named sensor signals in, joint targets out, memory kept inside."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from contract import robots, trust
from contract.bundle import Bundle, read_bundle
from contract.contract_rules import TARGET
from contract.errors import BundleError, UsageError
from contract.policy_contract import Contract, check_robot
from contract.robot import Robot
from deploy_robot import graph_scan

FILE = "policy.onnx"
GOLDEN_TOLERANCE = 1e-5
"""Largest absolute difference from a recorded trace that rounding explains, in the output's unit."""

_MAX_REPLAY = 60.0  # s; seconds on the slowest robot computers
_MAX_REASON = 300  # characters

Float32 = NDArray[np.float32]


class OnnxPolicy:
    """A policy for `batch` robots that are stepped together.

    Args:
        bundle: what `contract.bundle.read_bundle` gave.
        batch: rows of every signal.
        threads: onnxruntime's threads. One is fastest for the small networks of robots and leaves the other
            cores alone.

    Raises:
        BundleError: where the graph is damaged, reaches outside itself, or has other inputs and outputs than
            the contract.
    """

    def __init__(self, bundle: Bundle, batch: int = 1, threads: int = 1) -> None:
        self.contract = bundle.contract
        self.batch = batch
        self._bundle = bundle
        self._session = _open(bundle.onnx, threads)
        _check_interface(self._session, self.contract)
        self._output_names = list(self.contract.graph_outputs)
        self._target_index = self._output_names.index(TARGET)
        self._memory_names = [signal.name for signal in self.contract.memory]
        self._input_shapes = {signal.name: (batch, *signal.shape) for signal in self.contract.inputs}
        self._feed = self._zero_feed(batch)

    def reset(self, ids: ArrayLike | None = None) -> None:
        """Forget the past of all rows, or of the rows `ids` (indices or a mask)."""
        for name in self._memory_names:
            self._feed[name][... if ids is None else np.asarray(ids)] = 0.0

    @property
    def memory(self) -> dict[str, Float32]:
        """By signal name, `(batch, *shape)` each. Steps put other arrays in place of these and leave them alone."""
        return {name: self._feed[name] for name in self._memory_names}

    def restore(self, memory: Mapping[str, ArrayLike]) -> None:
        """Go on from a memory: for each of its signals the numbers of `(batch, *shape)`, of any shape."""
        for name in self._memory_names:
            self._feed[name] = np.array(memory[name], np.float32).reshape(self._feed[name].shape)

    def step(self, signals: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """One control period.

        A row whose result is not finite keeps its memory, so that one broken sensor sample cannot stay in a
        history for good; its targets are returned as they are, for the supervisor to refuse.

        Args:
            signals: every input of the contract and no other, `(batch, *shape)`, in the contract's units.

        Returns:
            Joint targets in rad, `(batch, num_joints)`.

        Raises:
            UsageError: naming the signal that is missing, unknown or of another shape.
        """
        if signals.keys() != self._input_shapes.keys():
            raise _wrong_names(signals, self._input_shapes)
        for name, shape in self._input_shapes.items():
            value = np.asarray(signals[name])
            if value.shape != shape:
                raise UsageError(f"signal {name}: must have shape {list(shape)}, got {list(value.shape)}")
            self._feed[name][...] = value
        outputs = self._session.run(self._output_names, self._feed)
        memory = dict(zip(self._memory_names, outputs[len(outputs) - len(self._memory_names) :], strict=True))
        target: NDArray[np.float64] = outputs[self._target_index].astype(np.float64)
        finite = _finite_rows([target, *memory.values()])
        if not finite.all():
            for name, value in memory.items():
                value[~finite] = self._feed[name][~finite]
        self._feed.update(memory)
        return target

    def replay_golden(self, atol: float = GOLDEN_TOLERANCE) -> float:
        """Run the bundle's golden traces on this processor; the policy's own memory is not touched.

        Every step starts from the recorded memory (zero at first), so that what is compared is the graph and not
        how far its feedback lets the rounding of another processor grow.

        Returns:
            The largest absolute difference from any recorded output, in that output's unit.

        Raises:
            BundleError: naming the first step, output and joint that differ by more than `atol`; or the graph
                fails, or takes longer than any policy.
        """
        options = ort.RunOptions()
        options.log_severity_level = 4
        watchdog = threading.Timer(_MAX_REPLAY, setattr, (options, "terminate", True))
        watchdog.start()
        try:
            return self._replay(options, atol)
        finally:
            watchdog.cancel()

    def _replay(self, options: ort.RunOptions, atol: float) -> float:
        golden = self._bundle.golden
        feed = self._zero_feed(golden.batch)
        largest = 0.0
        for t in range(golden.steps):
            for name, trace in golden.inputs.items():
                feed[name] = trace[t]
            for name, value in self._run_recorded(t, feed, options).items():
                recorded = golden.outputs[name][t]
                if value.shape != recorded.shape:
                    raise BundleError(
                        f"{FILE}: output {name!r} has shape {list(value.shape)} at step {t} of golden.npz,"
                        f" where {list(recorded.shape)} is recorded"
                    )
                difference = np.abs(value.astype(np.float64) - recorded)
                if not difference.max() <= atol:
                    raise self._parts(t, name, value, recorded, atol)
                largest = max(largest, float(difference.max()))
            for name in self._memory_names:
                feed[name] = golden.outputs[f"next_{name}"][t]
        return largest

    def _run_recorded(self, t: int, feed: dict[str, Float32], options: ort.RunOptions) -> dict[str, Float32]:
        try:
            return dict(zip(self._output_names, self._session.run(self._output_names, feed, options), strict=True))
        except Exception as error:  # as in _open
            if options.terminate:
                raise BundleError(f"{FILE}: golden.npz was not replayed within {_MAX_REPLAY:g} s") from None
            raise BundleError(f"{FILE}: onnxruntime fails at step {t} of golden.npz: {_reason(error)}") from None

    def _zero_feed(self, batch: int) -> dict[str, Float32]:
        return {s.name: np.zeros((batch, *s.shape), np.float32) for s in self.contract.graph_inputs}

    def _parts(self, t: int, name: str, got: Float32, recorded: Float32, atol: float) -> BundleError:
        difference = np.abs(got.astype(np.float64) - recorded)
        index = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
        component = self._component_name(name, tuple(int(i) for i in index[1:]))
        return BundleError(
            f"{FILE}: does not reproduce golden.npz: parts at step {t}"
            f" ({t * self.contract.control_period:g} s) in {name}, {component}:"
            f" recorded {recorded[index]:.9g}, here {got[index]:.9g},"
            f" difference {difference[index]:.3g} > {atol:g}"
        )

    def _component_name(self, output: str, index: tuple[int, ...]) -> str:
        elements: tuple[str, ...] = ()
        for signal in self.contract.outputs + self.contract.memory:
            if output in (signal.name, f"next_{signal.name}"):
                elements = signal.elements
        if output == TARGET:
            return f"joint {self.contract.joint_names[index[0]]}"
        return f"element {elements[index[-1]] if elements else list(index)}"


def load_policy(
    path: Path, robot: Robot | None = None, batch: int = 1, threads: int = 1, trusted_keys: Path | str | None = None
) -> OnnxPolicy:
    """Read a bundle; make sure that it may run here, is whole, fits the robot, and does what it did in training.

    Args:
        path: bundle directory or zip.
        robot: the robot that it will run on; None takes the one that the contract names.
        trusted_keys: one of which must have signed it: a PEM file or a folder of them; None or empty for
            what LANDBRIDGE_TRUSTED_KEYS says.

    Raises:
        BundleError: naming the file, field or step that is wrong.
        UsageError: there are no such keys.
    """
    bundle = read_bundle(path, trust.configured(trusted_keys))
    return prove(bundle, robot or named_robot(bundle.contract), batch, threads)


def prove(bundle: Bundle, robot: Robot, batch: int = 1, threads: int = 1) -> OnnxPolicy:
    """The policy of a bundle that fits the robot and does here what it did in training; BundleError otherwise."""
    check_robot(bundle.contract, robot)
    policy = OnnxPolicy(bundle, batch, threads)
    policy.replay_golden()
    return policy


def named_robot(contract: Contract) -> Robot:
    """The robot that the contract names; BundleError where this Landbridge does not know it."""
    try:
        return robots.load(contract.robot)
    except UsageError as error:
        raise BundleError(f"contract.json: robot: {error}") from None


def _open(onnx: bytes, threads: int) -> ort.InferenceSession:
    graph_scan.check(onnx, FILE)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a control loop mostly waits
    options.log_severity_level = 4  # failures arrive as exceptions
    # Otherwise a file of the right first bytes goes to the reader of onnxruntime's own format, past the scan.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # No fallback: after some errors it would print them, with names from the graph, and try the same again.
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no narrower base
        raise BundleError(f"{FILE}: onnxruntime {ort.__version__} cannot load the graph: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What onnxruntime says, as one bounded line of printable text: it quotes names from the graph."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line[:_MAX_REASON])


def _check_interface(session: ort.InferenceSession, contract: Contract) -> None:
    inputs = {signal.name: signal.shape for signal in contract.graph_inputs}
    for kind, actual, expected in (
        ("input", session.get_inputs(), inputs),
        ("output", session.get_outputs(), contract.graph_outputs),
    ):
        try:
            tensors = {tensor.name: (tensor.type, tensor.shape) for tensor in actual}
        except UnicodeDecodeError:  # onnxruntime hands out whatever bytes are in the file
            raise BundleError(f"{FILE}: the names of {kind}s are not UTF-8 text") from None
        for name in expected:
            if name not in tensors:
                raise BundleError(f"{FILE}: {kind} {name!r} is missing: the contract names it")
        for name, (element_type, shape) in tensors.items():
            if name not in expected:
                raise BundleError(f"{FILE}: {kind} {name!r} is not in the contract")
            if element_type != "tensor(float)":
                raise BundleError(f"{FILE}: {kind} {name!r} must be float32, got {element_type}")
            _check_shape(f"{FILE}: {kind} {name!r}", shape, expected[name])


def _check_shape(what: str, actual: Sequence[int | str | None], expected: tuple[int, ...]) -> None:
    if tuple(actual[1:]) != expected:
        raise BundleError(
            f"{what} has shape {list(actual[1:])} behind the batch axis, the contract says {list(expected)}"
        )
    if not actual or isinstance(actual[0], int):
        raise BundleError(f"{what} has no dynamic batch axis: its shape is {list(actual)}")


def _finite_rows(arrays: Sequence[NDArray[np.floating]]) -> NDArray[np.bool_]:
    finite = np.ones(len(arrays[0]), bool)
    for array in arrays:
        finite &= np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return finite


def _wrong_names(signals: Mapping[str, ArrayLike], expected: Mapping[str, tuple[int, ...]]) -> UsageError:
    for name in expected:
        if name not in signals:
            return UsageError(f"signal {name}: missing: the policy reads {', '.join(expected)}")
    unknown = next(name for name in signals if name not in expected)
    return UsageError(f"signal {unknown}: unknown: the policy reads {', '.join(expected)}")
