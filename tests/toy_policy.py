"""A two-joint robot and a policy for it, small enough to be written twice: in numpy, and as an ONNX graph.

The policy has all that goes wrong in practice: joint order, input scale, history, normaliser, action offset.
`ToyParameters` can break each of them in the graph alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.bundle import write_bundle
from contract.golden import Golden
from contract.policy_contract import CommandRange, Contract, Delay, Provenance, SignalStatistics
from contract.robot import Foot, ImuMount, Joint, Mirror, Robot
from contract.signals import Signal

JOINTS = ("left_joint", "right_joint")
CARD = "# toy\n\nStands for a policy in tests.\n"
PLOTS = {"tracking.png": b"\x89PNG\r\n\x1a\n-not-really-"}

INPUTS = (
    Signal("gyro", (3,), "rad/s", "imu", elements=("x", "y", "z")),
    Signal("joint_pos", (2,), "rad", "joint", elements=JOINTS),
    Signal("command", (1,), "m/s", "base", elements=("vx",)),
)
MEMORY = (
    Signal("last_action", (2,), "1", "joint", elements=JOINTS),
    Signal("history", (2, 3), "rad/s", "imu"),
)
OUTPUTS = (Signal("joint_target", (2,), "rad", "joint", elements=JOINTS),)

ROBOT = Robot(
    name="toy",
    title="Toy",
    mjcf=Path("toy.xml"),
    base_body="base",
    joints=(
        Joint("left_joint", -1.0, 1.5, 20.0, 10.0, 0.3, 25.0, 0.5),
        Joint("right_joint", -1.5, 1.0, 20.0, 10.0, -0.3, 25.0, 0.5),
    ),
    feet=(Foot("foot", "base", "foot", 0.02),),
    imu=ImuMount("imu", "base", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)),
    standing_height=0.3,
    rest_pose=(0.0, 0.0),
    mirror=Mirror((1, 0), (-1.0, -1.0), (0,)),
    sources=(),
)


@dataclass(frozen=True)
class ToyParameters:
    """The policy's numbers; the defaults are right, anything else is a bug that golden traces must catch."""

    gyro_scale: float = 0.25
    joint_order: tuple[int, int] = (0, 1)
    newest_first: bool = False
    mean: float = 0.1
    std: float = 0.7
    offset: tuple[float, float] = (0.3, -0.3)


def contract() -> Contract:
    """The toy's contract, valid."""
    statistics = {
        s.name: SignalStatistics(
            mean=(0.0,) * s.shape[0],
            std=(1.0,) * s.shape[0],
            min=(-4.0,) * s.shape[0],
            max=(4.0,) * s.shape[0],
            low=(-3.0,) * s.shape[0],
            high=(3.0,) * s.shape[0],
        )
        for s in INPUTS
    }
    return Contract(
        robot="toy",
        task="toy-task",
        control_period=0.02,
        inputs=INPUTS,
        memory=MEMORY,
        outputs=OUTPUTS,
        joint_names=JOINTS,
        kp=(25.0, 25.0),
        kd=(0.5, 0.5),
        default_joint_pos=(0.3, -0.3),
        joint_lower=(-1.0, -1.5),
        joint_upper=(1.5, 1.0),
        velocity_limit=(20.0, 20.0),
        effort_limit=(10.0, 10.0),
        action_lower=(-1.0, -1.5),
        action_upper=(1.5, 1.0),
        command_ranges={"command": CommandRange(("vx",), (-1.0,), (1.0,))},
        sensor_delay=Delay(0.0, 0.005),
        action_delay=Delay(0.0, 0.01),
        training_envelope=statistics,
        randomisation={"friction": {"low": 0.4, "high": 1.25}, "pushes": [1, None, True, "text"]},
        monitors={"tilt": 1.0},
        provenance=Provenance(
            git_commit=None,
            git_dirty=None,
            config_hash="0" * 64,
            seed=1,
            command="landbridge train toy",
            packages={"numpy": "2.0"},
            training={"steps": 1000, "wall_time_s": 12.5},
            created="2026-01-02T03:04:05+00:00",
        ),
    )


def _weights() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    features = 3 + 2 + 1 + 2 + 6
    return generator.normal(size=(features, 2)).astype(np.float32), generator.normal(size=2).astype(np.float32)


def reference(steps: int = 20, batch: int = 3, seed: int = 0) -> Golden:
    """Traces of the right policy, computed in numpy (float64 inside)."""
    right, generator = ToyParameters(), np.random.default_rng(seed)
    weight, bias = _weights()
    gyro = generator.normal(size=(steps, batch, 3)).astype(np.float32)
    joint_pos = generator.uniform(-1, 1, size=(steps, batch, 2)).astype(np.float32)
    command = generator.uniform(-1, 1, size=(steps, batch, 1)).astype(np.float32)
    last_action, history = np.zeros((batch, 2)), np.zeros((batch, 2, 3))
    outputs: dict[str, list[np.ndarray]] = {"joint_target": [], "next_last_action": [], "next_history": []}
    for t in range(steps):
        features = np.concatenate(
            [
                gyro[t] * right.gyro_scale,
                joint_pos[t] - right.offset,
                command[t],
                last_action,
                history.reshape(batch, -1),
            ],
            axis=1,
        )
        last_action = np.tanh((features - right.mean) / right.std @ weight + bias)
        history = np.concatenate([history[:, 1:], gyro[t][:, None]], axis=1)
        outputs["joint_target"].append(np.clip(right.offset + 0.5 * last_action, ROBOT.joint_lower, ROBOT.joint_upper))
        outputs["next_last_action"].append(last_action)
        outputs["next_history"].append(history)
    return Golden(
        inputs={"gyro": gyro, "joint_pos": joint_pos, "command": command},
        outputs={name: np.stack(values).astype(np.float32) for name, values in outputs.items()},
    )


def graph(parameters: ToyParameters = ToyParameters()) -> onnx.ModelProto:
    """The policy as an ONNX model with a dynamic batch axis."""
    weight, bias = _weights()
    order = list(parameters.joint_order)
    constants = {
        "gyro_scale": np.float32(parameters.gyro_scale),
        "mean": np.float32(parameters.mean),
        "std": np.float32(parameters.std),
        "offset": np.float32(parameters.offset),
        "half": np.float32(0.5),
        "weight": weight,
        "bias": bias,
        "lower": ROBOT.joint_lower.astype(np.float32),
        "upper": ROBOT.joint_upper.astype(np.float32),
        "order": np.int64(order),
        "flat": np.int64([0, 6]),
        "row": np.int64([0, 1, 3]),
        "one": np.int64([1]),
        "two": np.int64([2]),
        "zero": np.int64([0]),
    }
    node = helper.make_node
    bounds, rows = ("zero", "one"), ["kept", "gyro_row"]
    if parameters.newest_first:
        rows.reverse()
    else:
        bounds = ("one", "two")
    nodes = [
        node("Gather", ["joint_pos", "order"], ["ordered"], axis=1),
        node("Mul", ["gyro", "gyro_scale"], ["scaled"]),
        node("Sub", ["ordered", "offset"], ["relative"]),
        node("Reshape", ["history", "flat"], ["flat_history"]),
        node("Concat", ["scaled", "relative", "command", "last_action", "flat_history"], ["features"], axis=1),
        node("Sub", ["features", "mean"], ["centred"]),
        node("Div", ["centred", "std"], ["normalised"]),
        node("Gemm", ["normalised", "weight", "bias"], ["logits"]),
        node("Tanh", ["logits"], ["next_last_action"]),
        node("Mul", ["next_last_action", "half"], ["half_action"]),
        node("Add", ["half_action", "offset"], ["wanted"]),
        node("Max", ["wanted", "lower"], ["above"]),
        node("Min", ["above", "upper"], ["joint_target"]),
        node("Reshape", ["gyro", "row"], ["gyro_row"]),
        node("Slice", ["history", *bounds, "one"], ["kept"]),
        node("Concat", rows, ["next_history"], axis=1),
    ]
    shapes = {s.name: s.shape for s in INPUTS + MEMORY}
    outputs = {s.name: s.shape for s in OUTPUTS} | {f"next_{s.name}": s.shape for s in MEMORY}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "toy",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in outputs.items()],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


def write(path: Path, parameters: ToyParameters = ToyParameters()) -> Path:
    """A whole bundle at `path`; its traces are always those of the right policy."""
    return write_bundle(path, contract(), graph(parameters).SerializeToString(), reference(), CARD, PLOTS)
