"""Both nodes refuse a bundle that no trusted key has signed."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from signing_keys import AUTHOR, STRANGER, trust_author

from contract.bundle import read_bundle, sign_bundle
from contract.errors import LandbridgeError
from deploy_robot.ros.operator import Operator
from deploy_robot.session import SessionConfig, run_session
from deploy_robot.stack import Stack, StackConfig
from tests import fixed_pose_policy

PATIENCE = 60.0  # s
ROBOT = "unitree_go2"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = fixed_pose_policy.write(tmp_path_factory.mktemp("bundle") / "standing")
    sign_bundle(read_bundle(path), STRANGER)
    return path


def test_nodes_refuse_what_a_stranger_signed_and_take_what_the_author_did(bundle: Path, tmp_path: Path) -> None:
    trusted = trust_author(tmp_path / "trusted")
    with Stack(StackConfig(bundle, ROBOT, tmp_path, trusted_keys=trusted)) as stack:
        policy_node = stack.start_policy_node()
        with Operator(stack.domain) as operator:
            assert not operator.configure_policy(PATIENCE)
            assert "which is not among those in" in policy_node.reason()
            sign_bundle(read_bundle(bundle), AUTHOR)
            assert operator.configure_policy(PATIENCE)


def test_robot_node_refuses_an_unsigned_bundle(tmp_path: Path) -> None:
    unsigned = fixed_pose_policy.write(tmp_path / "unsigned")
    trusted = trust_author(tmp_path / "trusted")
    reason = r"robot_node ended: signature\.json: missing: this bundle is not signed"
    with (
        Stack(StackConfig(unsigned, ROBOT, tmp_path, trusted_keys=trusted)) as stack,
        pytest.raises(LandbridgeError, match=reason),
    ):
        stack.start_robot_node().await_output("a line that it never prints", PATIENCE)


def test_a_session_refuses_before_it_starts_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsigned = fixed_pose_policy.write(tmp_path / "unsigned")
    trusted = trust_author(tmp_path / "trusted")
    with pytest.raises(LandbridgeError, match="this bundle is not signed"):
        run_session(SessionConfig(unsigned, tmp_path / "out", trusted_keys=trusted))
    monkeypatch.setenv("LANDBRIDGE_TRUSTED_KEYS", str(trusted))
    with pytest.raises(LandbridgeError, match="this bundle is not signed"):
        run_session(SessionConfig(unsigned, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
