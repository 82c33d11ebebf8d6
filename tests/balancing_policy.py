"""A bundle for the cart and pole whose policy is one matrix: state feedback that balances."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import contract.robots
from contract.bundle import write_bundle
from contract.golden import Golden
from contract.policy_contract import CommandRange, Contract, Delay, Provenance
from contract.signals import Signal
from sim import tasks

# Force, N, on (cart error, pole angle) and their rates; a linear-quadratic regulator's, rounded.
_ON_POSITION = (1.0, 28.0)
_ON_VELOCITY = (1.9, 8.0)

_STEPS, _BATCH = 3, 2


def write(path: Path) -> Path:
    """A whole bundle at `path`."""
    task = tasks.load("cartpole")
    robot = contract.robots.load(task.robot)
    kp, kd = float(robot.kp[0]), float(robot.kd[0])
    # The cart's servo gives that force for this target: cart + (force + kd * speed) / kp.
    on_position = np.zeros((2, 2), np.float32)
    on_velocity = np.zeros((2, 2), np.float32)
    on_position[:, 0] = np.array(_ON_POSITION) / kp + [1.0, 0.0]
    on_velocity[:, 0] = np.array(_ON_VELOCITY) / kp + [kd / kp, 0.0]
    on_command = np.array([[-_ON_POSITION[0] / kp, 0.0]], np.float32)
    shapes = {signal.name: signal.shape for signal in task.signals}
    joints = robot.num_joints
    nodes = [
        helper.make_node("MatMul", ["joint_pos", "on_position"], ["a"]),
        helper.make_node("MatMul", ["joint_vel", "on_velocity"], ["b"]),
        helper.make_node("MatMul", ["command", "on_command"], ["c"]),
        helper.make_node("Add", ["a", "b"], ["ab"]),
        helper.make_node("Add", ["ab", "c"], ["joint_target"]),
    ]
    weights = {"on_position": on_position, "on_velocity": on_velocity, "on_command": on_command}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "balancing",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()],
            [helper.make_tensor_value_info("joint_target", TensorProto.FLOAT, ["batch", joints])],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    still = {name: np.zeros((_STEPS, _BATCH, *shape), np.float32) for name, shape in shapes.items()}
    golden = Golden(still, {"joint_target": np.zeros((_STEPS, _BATCH, joints), np.float32)})
    promised = Contract(
        robot=robot.name,
        task=task.name,
        control_period=task.control_period,
        inputs=task.signals,
        memory=(),
        outputs=(Signal("joint_target", (joints,), "m, rad", "joint", elements=robot.joint_names),),
        joint_names=robot.joint_names,
        kp=tuple(robot.kp.tolist()),
        kd=tuple(robot.kd.tolist()),
        default_joint_pos=tuple(robot.default_joint_pos.tolist()),
        joint_lower=tuple(robot.joint_lower.tolist()),
        joint_upper=tuple(robot.joint_upper.tolist()),
        velocity_limit=tuple(robot.joint_velocity_limit.tolist()),
        effort_limit=tuple(robot.joint_effort_limit.tolist()),
        action_lower=tuple(robot.joint_lower.tolist()),
        action_upper=tuple(robot.joint_upper.tolist()),
        command_ranges={"command": CommandRange(("cart",), task.command.lower, task.command.upper)},
        sensor_delay=Delay(0.0, 0.0),
        action_delay=Delay(0.0, 0.0),
        training_envelope={},
        randomisation={},
        monitors={},
        provenance=Provenance(None, None, "0" * 64, 1, "a test", {}, {}, "2026-01-02T03:04:05+00:00"),
    )
    return write_bundle(path, promised, model.SerializeToString(), golden, "# balancing\n", {})
