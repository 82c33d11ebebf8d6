"""The processes that run a policy on a robot: the robot itself where it is emulated, robot_node, and
policy_node.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from deploy_robot.children import Child, Children
from deploy_robot.drivers.emulated_bus import DEFAULT_PORT
from deploy_robot.real_time import Scheduling
from deploy_robot.ros_environment import applied, claimed_domain, environment, node_argv

EMULATED = "emulated"
"""The driver of robots that a UDP port identifies."""

_READY_TIMEOUT = 60.0  # s; a busy machine imports slowly


@dataclass(frozen=True)
class RobotProcess:
    """A program that plays the robot on this machine.

    Attributes:
        argv: program and arguments, for a robot, its address in the driver's terms, and the file that the truth
            shall go to.
        ready: text that it prints when the robot is on its bus.
        driver: that reaches it there: `emulated`, or one whose addresses are INTERFACE:DOMAIN of a DDS network.
    """

    argv: Callable[[str, str, Path], Sequence[str]]
    ready: str
    driver: str = EMULATED


@dataclass(frozen=True)
class StackConfig:
    """What to start.

    Attributes:
        bundle: directory or zip.
        robot: name of its description.
        out: folder for the logs.
        driver: how to reach the robot.
        address: where the driver finds it, in the driver's terms; a robot that is emulated here has its own.
        domain: ROS domain; None for a free one.
        port: of an emulated robot; None for one that belongs to the domain.
        namespace: of all nodes.
        trusted_keys: public keys, one of which must have signed the bundle; None for what the environment says.
        record: the whole run to a file in `out`, and not only the minute before a trip.
        dry_run: never write the robot.
        scheduling: what the nodes ask of the system.
    """

    bundle: Path
    robot: str
    out: Path
    driver: str = EMULATED
    address: str = ""
    domain: int | None = None
    port: int | None = None
    namespace: str = ""
    trusted_keys: Path | None = None
    record: bool = False
    dry_run: bool = False
    scheduling: Scheduling = field(default_factory=Scheduling)


class Stack:
    """Inside its `with` block the ROS domain is held, and this process can join it; at its end all has ended.

    robot_node ends before the others and leaves the robot damped.
    """

    domain: int
    children: Children

    def __init__(self, config: StackConfig, robot_process: RobotProcess | None = None) -> None:
        self._config = config
        self._robot_process = robot_process
        self._contexts = contextlib.ExitStack()
        self._bus_domain: int | None = None  # of an emulated robot that speaks DDS, apart from that of ROS

    def __enter__(self) -> Self:
        out = self._config.out
        with contextlib.ExitStack() as contexts:
            self.domain = contexts.enter_context(claimed_domain(self._config.domain))
            if self._robot_process is not None and self._config.driver != EMULATED:
                self._bus_domain = contexts.enter_context(claimed_domain())
            variables = environment(self.domain, out)
            contexts.enter_context(applied(variables))
            self.children = contexts.enter_context(Children(variables, out))
            self._contexts = contexts.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._contexts.close()

    @property
    def port(self) -> int:
        """Of an emulated robot. A domain belongs to one stack at a time, so a port that follows from it does too."""
        return self._config.port or DEFAULT_PORT + 2 * self.domain

    @property
    def address(self) -> str:
        """Where the driver finds the robot, in the driver's terms."""
        if self._config.driver == EMULATED:
            return str(self.port)
        return self._config.address if self._bus_domain is None else f"lo:{self._bus_domain}"

    def start(self, check: Callable[[], None] = lambda: None) -> None:
        """Start everything, and wait for the robot to be on its bus.

        Args:
            check: called again and again while waiting; raises to give up.

        Raises:
            LandbridgeError: a process could not be started or ended, with its reason.
        """
        for name in ("truth", "robot_node", "policy_node"):  # what an earlier run may have left
            self._path(name).unlink(missing_ok=True)
        self.start_policy_node()
        if (process := self._robot_process) is not None:
            argv = process.argv(self._config.robot, self.address, self._path("truth"))
            self.children.start("robot", argv).await_output(process.ready, _READY_TIMEOUT, check)
        self.start_robot_node()

    def start_robot_node(self) -> Child:
        """The driver and the supervisor."""
        config = self._config
        parameters = {
            "robot": config.robot,
            "driver": config.driver,
            "address": self.address,
            "black_box": str(config.out.resolve()),
            "record": config.record,
        }
        return self._start_node("robot_node", parameters)

    def start_policy_node(self) -> Child:
        """The policy, not yet configured."""
        return self._start_node("policy_node", {})

    def log_of(self, process: str) -> dict[str, NDArray[Any]]:
        """What `robot_node` or `policy_node` logged, or the `truth` of an emulated robot; empty if there is none."""
        path = self._path(process)
        if not path.exists():
            return {}
        with np.load(path) as file:
            return dict(file)

    def _start_node(self, node: str, parameters: dict[str, Any]) -> Child:
        config = self._config
        common: dict[str, Any] = {
            "bundle": str(config.bundle.resolve()),
            "log": str(self._path(node)),
            "dry_run": config.dry_run,
        }
        common |= config.scheduling.parameters(node)
        if config.trusted_keys is not None:
            common["trusted_keys"] = str(config.trusted_keys.resolve())
        return self.children.start(node, node_argv(node, config.namespace, parameters | common, config.out))

    def _path(self, process: str) -> Path:
        return self._config.out.resolve() / f"{process}.npz"
