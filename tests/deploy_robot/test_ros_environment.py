import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.errors import LandbridgeError, UsageError
from deploy_robot.ros_environment import applied, claimed_domain, environment, node_argv, require_ros


def udp(port: int, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


@pytest.fixture
def free_domain() -> Iterator[int]:
    """A domain that nobody used a moment ago."""
    with claimed_domain() as domain:
        pass
    yield domain


def test_two_sessions_never_get_the_same_domain() -> None:
    with claimed_domain() as first, claimed_domain() as second:
        assert first != second
        with pytest.raises(LandbridgeError, match=f"ROS domain {first} is in use"):
            claimed_domain(first).__enter__()


def test_a_domain_is_given_back(free_domain: int) -> None:
    with claimed_domain(free_domain) as domain:
        assert domain == free_domain
    with claimed_domain(free_domain) as domain:
        assert domain == free_domain


@pytest.mark.parametrize("participant", [0, 3])
def test_a_domain_in_which_a_participant_listens_is_in_use(free_domain: int, participant: int) -> None:
    with (
        udp(7400 + 250 * free_domain + 10 + 2 * participant, "0.0.0.0"),
        pytest.raises(LandbridgeError, match="or leave out --domain"),
    ):
        claimed_domain(free_domain).__enter__()


@pytest.mark.parametrize("number", [-1, 0, 102, 10**9])
def test_a_domain_without_ports_is_refused(number: int) -> None:
    with pytest.raises(UsageError, match="must be from 1 to 101"):
        claimed_domain(number).__enter__()


def test_the_environment_keeps_to_this_machine_and_to_what_the_user_has_set(tmp_path: Path) -> None:
    ours = environment(42, tmp_path, base={})
    assert ours["ROS_DOMAIN_ID"] == "42"
    assert ours["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "initialAnnouncements" in Path(ours["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text()
    own = {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml", "FASTDDS_BUILTIN_TRANSPORTS": "SHM"}
    assert not own.keys() & environment(42, tmp_path, base=own).keys()
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" in environment(42, tmp_path, base={"ROS_DISTRO": "jazzy"})


def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDBRIDGE_TEST_SET", "before")
    monkeypatch.delenv("LANDBRIDGE_TEST_UNSET", raising=False)
    with applied({"LANDBRIDGE_TEST_SET": "inside", "LANDBRIDGE_TEST_UNSET": "inside"}):
        assert os.environ["LANDBRIDGE_TEST_SET"] == os.environ["LANDBRIDGE_TEST_UNSET"] == "inside"
    assert os.environ["LANDBRIDGE_TEST_SET"] == "before"
    assert "LANDBRIDGE_TEST_UNSET" not in os.environ


def test_parameters_are_written_with_their_types(tmp_path: Path) -> None:
    argv = node_argv("robot_node", "left/", {"address": "6210", "rate": 200.0}, tmp_path)
    assert argv[:3] == [sys.executable, "-m", "deploy_robot.ros.robot_node"]
    assert "__ns:=/left" in argv
    document = json.loads((tmp_path / "robot_node.yaml").read_text())
    assert document == {"/**": {"ros__parameters": {"address": "6210", "rate": 200.0}}}


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LandbridgeError, match="could not be written"):
        environment(42, tmp_path / "missing", base={})


def test_without_ros_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    with pytest.raises(LandbridgeError, match=r"pip install 'landbridge\[ros\]'.*or source"):
        require_ros()
