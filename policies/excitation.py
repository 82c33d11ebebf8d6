"""Motion that tells much of a robot, within its limits: chirps, steps and squats about the default pose.

It is played by a bundle whose graph is a table of joint targets and a clock, so that a robot is excited over the very
path that a policy drives it: policy_node, robot_node, supervisor, monitors, black box.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.bundle import write_bundle
from contract.golden import Golden
from contract.policy_contract import Contract, Delay
from contract.robot import Robot
from contract.signals import Signal
from policies import provenance

Array = NDArray[np.float64]

NAME = "excitation"

_BLOCK = 6.0  # s of chirps, or steps, or squats
_FADE = 1.0  # s from the default pose and back, of each block
_STEP_TIME = (0.3, 0.8)  # s that a step lasts
_SQUAT_TIME = 1.5  # s
_SPEED_SHARE = 0.3  # of a joint's velocity limit, for the targets
_TORQUE_SHARE = 0.25  # of a joint's torque limit, that a jump of the target may ask for
_GOLDEN_STEPS, _GOLDEN_BATCH = 5, 2


@dataclass(frozen=True)
class Excitation:
    """How a robot is moved.

    Attributes:
        seconds: for how long.
        amplitude: rad, of chirps and steps.
        squat: share of the way from the default pose to the rest pose.
        lowest, highest: Hz, of the chirps.
        seed: of phases, steps and their times.
        period: s, of control.
    """

    seconds: float = 60.0
    amplitude: float = 0.12
    squat: float = 0.25
    lowest: float = 0.3
    highest: float = 4.0
    seed: int = 0
    period: float = 0.02


def targets(robot: Robot, excitation: Excitation) -> Array:
    """(K, J) rad, one each control period, from the default pose and back to it.

    They keep within 90 % of each joint's range, 0.3 of its velocity limit but for steps, and ask by a step for a
    quarter of its torque limit at most.
    """
    rng = np.random.default_rng(excitation.seed)
    count = round(excitation.seconds / excitation.period)
    block = round(_BLOCK / excitation.period)
    kinds = (_chirps, _steps, _squats)
    offset = np.zeros((count, robot.num_joints))
    for i, first in enumerate(range(0, count, block)):
        time = excitation.period * np.arange(min(block, count - first), dtype=np.float64)
        fade = np.clip(np.minimum(time, time[-1] - time) / _FADE, 0.0, 1.0)
        offset[first : first + block] = fade[:, None] * kinds[i % len(kinds)](robot, excitation, time, rng)
    offset[:, [i for i, joint in enumerate(robot.joints) if joint.passive]] = 0.0
    return _limited(robot, excitation.period, robot.default_joint_pos + offset)


def _chirps(robot: Robot, excitation: Excitation, time: Array, rng: np.random.Generator) -> Array:
    """Sines whose frequencies sweep up on a logarithmic scale; each joint at a phase and pace of its own."""
    low, high = excitation.lowest, excitation.highest
    rate = np.log(high / low) / _BLOCK * rng.uniform(0.7, 1.0, robot.num_joints)
    angle = 2.0 * np.pi * low * np.expm1(rate * time[:, None]) / rate
    return np.asarray(excitation.amplitude * np.sin(angle + rng.uniform(0.0, 2.0 * np.pi, robot.num_joints)))


def _steps(robot: Robot, excitation: Excitation, time: Array, rng: np.random.Generator) -> Array:
    """Each joint jumps at times of its own."""
    levels = np.zeros((len(time), robot.num_joints))
    for joint in range(robot.num_joints):
        now = rng.uniform(0.0, _STEP_TIME[0])
        while now < time[-1]:
            levels[time >= now, joint] = rng.uniform(-1.0, 1.0)
            now += rng.uniform(*_STEP_TIME)
    return excitation.amplitude * levels


def _squats(robot: Robot, excitation: Excitation, time: Array, rng: np.random.Generator) -> Array:
    """Down towards the rest pose and up again."""
    depth = 0.5 * excitation.squat * (1.0 - np.cos(2.0 * np.pi * time / _SQUAT_TIME))
    return np.asarray(depth[:, None] * (np.array(robot.rest_pose) - robot.default_joint_pos))


def _limited(robot: Robot, period: float, wanted: Array) -> Array:
    """Within position, speed and torque limits, whatever was asked for."""
    middle, half = 0.5 * (robot.joint_upper + robot.joint_lower), 0.5 * (robot.joint_upper - robot.joint_lower)
    start = robot.default_joint_pos
    # A default pose near a stop stays where it is.
    lower = np.minimum(middle - 0.9 * half, start)
    upper = np.maximum(middle + 0.9 * half, start)
    stiffness = np.where(robot.kp > 0.0, robot.kp, np.inf)
    reach = np.maximum(_SPEED_SHARE * robot.joint_velocity_limit * period, 0.0)
    reach = np.minimum(reach, _TORQUE_SHARE * robot.joint_effort_limit / stiffness)
    allowed = np.empty_like(wanted)
    position = start
    for row, goal in enumerate(np.clip(wanted, lower, upper)):
        position = position + np.clip(goal - position, -reach, reach)
        allowed[row] = position
    return allowed


def write_excitation(path: Path, robot: Robot, excitation: Excitation) -> Path:
    """Write the bundle that plays it.

    Raises:
        BundleError: it could not be written.
    """
    table = targets(robot, excitation).astype(np.float32)
    joints, digest = robot.num_joints, hashlib.sha256(table.tobytes()).hexdigest()
    contract = Contract(
        robot=robot.name,
        task=NAME,
        control_period=excitation.period,
        inputs=(Signal("joint_pos", (joints,), "rad", "joint", elements=robot.joint_names),),
        memory=(Signal("clock", (1,), "1", "", elements=("period",)),),
        outputs=(Signal("joint_target", (joints,), "rad", "joint", elements=robot.joint_names),),
        joint_names=robot.joint_names,
        kp=_floats(robot.kp),
        kd=_floats(robot.kd),
        default_joint_pos=_floats(robot.default_joint_pos),
        joint_lower=_floats(robot.joint_lower),
        joint_upper=_floats(robot.joint_upper),
        velocity_limit=_floats(robot.joint_velocity_limit),
        effort_limit=_floats(robot.joint_effort_limit),
        action_lower=_floats(robot.joint_lower),
        action_upper=_floats(robot.joint_upper),
        command_ranges={},
        sensor_delay=Delay(0.0, 0.0),
        action_delay=Delay(0.0, 0.0),
        training_envelope={},
        randomisation={},
        monitors={},
        provenance=provenance.collect(excitation, excitation.seed, {"targets": digest}),
    )
    clock = np.arange(1, _GOLDEN_STEPS + 1, dtype=np.float32)
    golden = Golden(
        {"joint_pos": np.zeros((_GOLDEN_STEPS, _GOLDEN_BATCH, joints), np.float32)},
        {
            "joint_target": np.repeat(table[:_GOLDEN_STEPS, None], _GOLDEN_BATCH, axis=1),
            "next_clock": np.repeat(clock[:, None, None], _GOLDEN_BATCH, axis=1),
        },
    )
    settings = "".join(f"- {name}: {value:g}\n" for name, value in asdict(excitation).items())
    card = f"# Excitation of a {robot.title}\n\nNo policy: a table of joint targets, for identification.\n\n{settings}"
    return write_bundle(path, contract, _graph(table), golden, card, {})


def _graph(table: NDArray[np.float32]) -> bytes:
    """joint_target = row `clock` of the table, the last one after its end; next_clock = clock + 1."""
    from onnx import TensorProto, checker, helper, numpy_helper

    steps, joints = table.shape
    constants = {
        "table": table,
        "first": np.float32(0.0),
        "last": np.float32(steps - 1),
        "one": np.float32(1.0),
        "nothing": np.float32(0.0),
        "flat": np.array([-1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Clip", ["clock", "first", "last"], ["row"]),
        node("Cast", ["row"], ["index"], to=TensorProto.INT64),
        node("Reshape", ["index", "flat"], ["rows"]),
        node("Gather", ["table", "rows"], ["planned"], axis=0),
        node("Mul", ["joint_pos", "nothing"], ["unmoved"]),
        node("Add", ["planned", "unmoved"], ["joint_target"]),
        node("Add", ["clock", "one"], ["next_clock"]),
    ]

    def values(name: str, size: int) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])

    model = helper.make_model(
        helper.make_graph(
            nodes,
            NAME,
            [values("joint_pos", joints), values("clock", 1)],
            [values("joint_target", joints), values("next_clock", 1)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(values.tolist())
