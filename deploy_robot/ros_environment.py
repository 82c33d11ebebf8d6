"""What a process needs around it to speak ROS 2: the library, a domain of its own, settings of the
middleware.
"""

import contextlib
import errno
import importlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contract.errors import LandbridgeError, UsageError

DOMAINS = range(1, 102)
"""Domains whose ports lie below Linux's ephemeral range; 0 is left to everybody who did not choose."""

# Ports of a domain, from the DDS interoperability wire protocol (DDSI-RTPS 2.5, section 9.6.2).
_PORT_BASE, _DOMAIN_GAIN, _PARTICIPANT_GAIN = 7400, 250, 2
_UNICAST_OFFSETS = (10, 11)
_PARTICIPANTS_PROBED = 16
_LOCK_OFFSET = 5  # the protocol leaves it unused

# Twenty announcements 20 ms apart find the other nodes in a fifth of a second; the default, 5 that are 100 ms
# apart, may take three seconds.
_FAST_DISCOVERY = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <participant profile_name="landbridge" is_default_profile="true">
      <rtps>
        <builtin>
          <discovery_config>
            <initialAnnouncements>
              <count>20</count>
              <period><nanosec>20000000</nanosec></period>
            </initialAnnouncements>
          </discovery_config>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


def require_ros() -> None:
    """LandbridgeError saying how to get it, unless ROS 2 can be imported."""
    try:
        importlib.import_module("rclpy")
    except ImportError as error:
        raise LandbridgeError(
            f"ROS 2 is not installed here ({error}): `pip install 'landbridge[ros]'` on x86-64 Linux, or"
            " source your system's ROS 2 first, as in `source /opt/ros/kilted/setup.bash`"
        ) from None


@contextlib.contextmanager
def claimed_domain(number: int | None = None) -> Iterator[int]:
    """Hold the given domain, or the first free one, for the `with` block.

    Two sessions that start at the same moment cannot get the same one: each holds a port as a lock.

    Raises:
        UsageError: `number` is out of range.
        LandbridgeError: it is in use, or no domain is free.
    """
    if number is not None and number not in DOMAINS:
        raise UsageError(f"--domain {number}: must be from {DOMAINS[0]} to {DOMAINS[-1]}")
    for candidate in DOMAINS if number is None else (number,):
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as lock:
            if _binds(lock, candidate, _LOCK_OFFSET) and not _has_participants(candidate):
                yield candidate
                return
    if number is not None:
        raise LandbridgeError(
            f"ROS domain {number} is in use on this machine: stop its nodes, or leave out --domain to get a free one"
        )
    raise LandbridgeError(f"no ROS domain from {DOMAINS[0]} to {DOMAINS[-1]} is free on this machine")


def environment(domain: int, folder: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for a process in `domain`: this machine only, fast discovery, no shared memory.

    Shared memory is left out since a killed process can leave a segment that others stumble over, and a
    policy that dies must not take the supervisor with it. What the user has set for the middleware stays.

    Args:
        folder: where the middleware's profile is written.
        base: variables that are already set.
    """
    profile = folder / "fastdds.xml"
    _write(profile, _FAST_DISCOVERY)
    wanted = {
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(profile),  # its name before ROS 2 Kilted
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }
    if base.get("ROS_DISTRO") not in ("humble", "jazzy"):
        del wanted["FASTRTPS_DEFAULT_PROFILES_FILE"]
    return {name: value for name, value in wanted.items() if name not in base} | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


def joining(domain: int) -> dict[str, str]:
    """Variables for a process that joins the nodes which others have started in `domain` on this machine.

    Raises:
        UsageError: `domain` is none.
    """
    if domain not in range(DOMAINS.stop):
        raise UsageError(f"--domain {domain}: must be from 0 to {DOMAINS[-1]}")
    return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@contextlib.contextmanager
def applied(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables in this process's own environment for the `with` block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def node_argv(node: str, namespace: str, parameters: Mapping[str, Any], folder: Path) -> list[str]:
    """Program and arguments of one of our nodes.

    Args:
        node: `robot_node` or `policy_node`.
        parameters: ROS parameters by name; JSON values.
        folder: where they are written, since a command line would guess their types.

    Raises:
        LandbridgeError: the file cannot be written.
    """
    file = folder / f"{node}.yaml"
    _write(file, json.dumps({"/**": {"ros__parameters": parameters}}, indent=2))  # JSON is YAML
    argv = [sys.executable, "-m", f"deploy_robot.ros.{node}", "--ros-args", "--params-file", str(file)]
    argv.append("--disable-external-lib-logs")  # what it prints is kept; no second copy below ~/.ros
    return [*argv, "-r", f"__ns:=/{namespace.strip('/')}"]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise LandbridgeError(f"{path}: could not be written: {error.strerror}") from None


def _binds(probe: socket.socket, domain: int, offset: int) -> bool:
    try:
        probe.bind(("0.0.0.0", _PORT_BASE + _DOMAIN_GAIN * domain + offset))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise LandbridgeError(f"the ports of ROS domain {domain} cannot be used: {error.strerror}") from None
    return True


def _has_participants(domain: int) -> bool:
    for participant in range(_PARTICIPANTS_PROBED):
        for offset in _UNICAST_OFFSETS:
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
                if not _binds(probe, domain, offset + _PARTICIPANT_GAIN * participant):
                    return True
    return False
