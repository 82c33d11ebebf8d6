"""A bundle for the Unitree Go2 whose policy asks for one pose, whatever it senses."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import contract.robots
from contract.bundle import write_bundle
from contract.golden import Golden
from contract.policy_contract import CommandRange, Contract, Delay, Provenance
from contract.signals import Signal
from sim import tasks

STANDING = tuple(contract.robots.load("unitree_go2").default_joint_pos.tolist())
FOLDED = contract.robots.load("unitree_go2").rest_pose

_STEPS, _BATCH = 3, 2


def make_contract(**changes: object) -> Contract:
    """A valid contract for task go2-velocity-flat, with fields replaced."""
    task = tasks.load("go2-velocity-flat")
    robot = contract.robots.load(task.robot)
    fields: dict[str, object] = {
        "robot": robot.name,
        "task": task.name,
        "control_period": task.control_period,
        "inputs": task.signals,
        "memory": (),
        "outputs": (Signal("joint_target", (robot.num_joints,), "rad", "joint", elements=robot.joint_names),),
        "joint_names": robot.joint_names,
        "kp": tuple(robot.kp.tolist()),
        "kd": tuple(robot.kd.tolist()),
        "default_joint_pos": STANDING,
        "joint_lower": tuple(robot.joint_lower.tolist()),
        "joint_upper": tuple(robot.joint_upper.tolist()),
        "velocity_limit": tuple(robot.joint_velocity_limit.tolist()),
        "effort_limit": tuple(robot.joint_effort_limit.tolist()),
        "action_lower": tuple(robot.joint_lower.tolist()),
        "action_upper": tuple(robot.joint_upper.tolist()),
        "command_ranges": {"command": CommandRange(("vx", "vy", "yaw_rate"), (-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))},
        "sensor_delay": Delay(0.0, 0.0),
        "action_delay": Delay(0.0, 0.0),
        "training_envelope": {},
        "randomisation": {},
        "monitors": {},
        "provenance": Provenance(
            git_commit=None,
            git_dirty=None,
            config_hash="0" * 64,
            seed=1,
            command="a test",
            packages={},
            training={},
            created="2026-01-02T03:04:05+00:00",
        ),
    }
    return Contract(**{**fields, **changes})  # type: ignore[arg-type]


def write(path: Path, pose: tuple[float, ...] = STANDING, **changes: object) -> Path:
    """A whole bundle at `path`."""
    promised = make_contract(**changes)
    joints = len(pose)
    shapes = {signal.name: signal.shape for signal in promised.inputs}
    target = np.asarray(pose, np.float32)
    nodes = [
        helper.make_node("Mul", ["joint_pos", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "pose"], ["joint_target"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "fixed_pose",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()],
            [helper.make_tensor_value_info("joint_target", TensorProto.FLOAT, ["batch", joints])],
            [
                numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
                numpy_helper.from_array(target, "pose"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    golden = Golden(
        {name: np.zeros((_STEPS, _BATCH, *shape), np.float32) for name, shape in shapes.items()},
        {"joint_target": np.tile(target, (_STEPS, _BATCH, 1))},
    )
    return write_bundle(path, promised, model.SerializeToString(), golden, "# fixed pose\n", {})
