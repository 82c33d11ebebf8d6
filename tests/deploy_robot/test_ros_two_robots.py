"""Two emulated robots, each with its nodes in a namespace of its own, in one ROS domain."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from contract import robots
from deploy_robot.children import Children
from deploy_robot.ros.operator import Operator
from deploy_robot.ros_environment import applied, claimed_domain, environment, node_argv
from deploy_robot.supervisor import Mode
from hil_tests.robot_process import READY, emulated_robot
from tests import fixed_pose_policy, udp_ports

# One at a time: each is a robot that needs the processor to keep real time.
pytestmark = pytest.mark.real_time

ROBOT = robots.load("unitree_go2")
PATIENCE = 120.0  # s
SIDES = ("left", "right")


def insist(operator: Operator, request: str, mode: Mode) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (answer := operator.request(request, PATIENCE))[0]:
        assert time.monotonic() < deadline, answer[1]
        operator.spin(0.1)
    operator.wait_for(lambda: mode_of(operator) is mode, f"{request} did not lead to {mode}", PATIENCE)


def mode_of(operator: Operator) -> Mode | None:
    return operator.safety.mode if operator.safety else None


def test_two_robots_side_by_side_hear_only_their_own_nodes(tmp_path: Path) -> None:
    bundle = fixed_pose_policy.write(tmp_path / "standing")
    with contextlib.ExitStack() as stack:
        domain = stack.enter_context(claimed_domain())
        variables = environment(domain, tmp_path)
        stack.enter_context(applied(variables))
        children = stack.enter_context(Children(variables, tmp_path))
        operators = {}
        for side in SIDES:
            folder = tmp_path / side
            folder.mkdir()
            port = str(udp_ports.free_pair())
            argv = emulated_robot(seed=1).argv(ROBOT.name, port, folder / "truth.npz")
            children.start(f"robot_{side}", argv).await_output(READY, PATIENCE)
            common = {"bundle": str(bundle)}
            robot_node = {"robot": ROBOT.name, "address": port, "black_box": str(folder)} | common
            children.start(f"robot_node_{side}", node_argv("robot_node", side, robot_node, folder))
            operators[side] = stack.enter_context(Operator(domain, side))
        children.start("policy_node_left", node_argv("policy_node", "left", common, tmp_path / "left"))
        left, right = operators["left"], operators["right"]
        for operator in operators.values():
            operator.wait_for(lambda o=operator: o.safety is not None, "no report", PATIENCE)  # type: ignore[misc]

        assert left.configure_policy(PATIENCE)
        assert left.activate_policy(PATIENCE)
        insist(left, "stand", Mode.READY)
        insist(left, "arm", Mode.ACTIVE)
        right.spin(0.2)
        assert mode_of(right) is Mode.PASSIVE, "what the left one is told is not for the right one"

        insist(right, "stand", Mode.READY)
        accepted, why = right.request("arm", PATIENCE)
        assert not accepted, "the left one's policy does not drive the right one"
        assert "lost_policy" in why

        insist(left, "estop", Mode.STOPPED)
        right.spin(0.2)
        assert mode_of(right) is Mode.READY
        for operator in operators.values():
            operator.wait_for(lambda o=operator: "robot_node: loop" in o.diagnostics, "no diagnostics", PATIENCE)  # type: ignore[misc]
        children.check()
    assert children.problems == []
    for side in SIDES:
        with np.load(tmp_path / side / "truth.npz") as truth:
            assert truth["root_pos"][:, 2].max() > 0.8 * ROBOT.standing_height
