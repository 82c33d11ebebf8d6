"""A supervisor, the robot that it guards, and a policy, on a clock that tests turn by hand."""

from dataclasses import dataclass, field

import numpy as np

from contract import robots
from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.constraint import Constraint
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import Decision, Mode, Trip
from deploy_robot.driver import RobotState
from deploy_robot.supervisor import Supervisor, SupervisorConfig
from deploy_robot.target import Target

GO2 = robots.load("unitree_go2")
DT = 0.005  # s between steps
PERIOD = 0.02  # s between targets
# Standing up in half a second instead of two saves most of the steps that tests make.
CONFIG = SupervisorConfig(stand_speed=10.0)


@dataclass
class SupervisedRobot:
    """A healthy robot whose joints go where they are told, and a policy that asks for the start pose.

    Every public array and flag is a place to inject a fault; `step` makes one state and, when due, one target of
    them.
    """

    robot: Robot = GO2
    contract: Contract | None = None
    table: tuple[Constraint, ...] = CONSTRAINTS
    config: SupervisorConfig = CONFIG
    now: float = 100.0
    sends_states: bool = True
    sends_targets: bool = False
    follows: bool = True  # whether the joints move as commanded
    varies: bool = True  # whether every sample differs a little from the last, as real ones do
    reports: bool = True  # temperatures, battery and foot forces
    target_stamp: float | None = None  # s, of the sensor sample that the policy is stuck with
    trips: list[Trip] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = self.robot.num_joints
        self.supervisor = Supervisor(self.robot, self.contract, self.config, self.table)
        self.start_pose = self.robot.default_joint_pos
        self.joint_pos = np.array(self.robot.rest_pose)
        self.joint_pos_error = np.zeros(n)  # of the encoders
        self.joint_vel = np.zeros(n)
        self.joint_torque = np.zeros(n)
        self.temperature: np.ndarray | None = None
        self.battery: float | None = None
        self.foot_force: np.ndarray | None = None
        self._report()
        self.command: np.ndarray | None = None  # what an operator asks for
        self.imu_quat = np.array([1.0, 0.0, 0.0, 0.0])
        self.gyro = np.zeros(3)
        self.target_pos = self.start_pose.copy()
        self.state: RobotState | None = None
        self.target: Target | None = None
        self.decision: Decision
        self._seq = 0
        self._target_due = 0.0

    @property
    def mode(self) -> Mode:
        return self.supervisor.mode

    def step(self, dt: float = DT) -> Decision:
        """Let `dt` pass, and everybody do their part."""
        self.pass_time(dt)
        self.decision = self.supervisor.step(self.now, self.state, self.target, self.command)
        self.trips += self.decision.new_trips
        self.obey()
        return self.decision

    def pass_time(self, dt: float) -> None:
        """The sensors' and the policy's part."""
        self.now += dt
        if self.sends_states:
            self.sense()
        if self.sends_targets and not self.now < self._target_due - 1e-9:
            self._target_due = self.now + PERIOD
            stamp = self.now if self.target_stamp is None else self.target_stamp
            self.target = Target(stamp, self.now, self.target_pos.copy())
        self._target_due = min(self._target_due, self.now + PERIOD)  # the clock may go back

    def obey(self) -> None:
        """The joints' part."""
        if self.follows and self.decision.command.kp.any():
            self.joint_pos = self.decision.command.joint_target.copy()

    def heal(self) -> None:
        """End every fault that a test has put in."""
        self.sends_states = self.sends_targets = self.follows = self.varies = True
        for array in (self.joint_pos_error, self.joint_vel, self.joint_torque, self.gyro):
            array[:] = 0.0
        self._report()
        self.command = None
        self.imu_quat = rolled(0.0)
        self.target_pos, self.target_stamp = self.start_pose.copy(), None
        self.joint_pos = self.decision.command.joint_target.copy()

    def _report(self) -> None:
        """What a healthy robot says of itself."""
        if self.reports:
            self.temperature, self.battery = np.full(self.robot.num_joints, 35.0), 0.8
            self.foot_force = np.full(len(self.robot.feet), 40.0)

    def sense(self) -> None:
        """Take a sample of the sensors."""
        self._seq += 1
        jitter = 1e-9 * self._seq if self.varies else 0.0
        self.state = RobotState(
            self.now,
            self._seq,
            self.joint_pos + self.joint_pos_error,
            self.joint_vel + jitter,
            self.imu_quat.copy(),
            self.gyro + jitter,
            self.joint_torque.copy(),
            temperature=None if self.temperature is None else self.temperature.copy(),
            battery=self.battery,
            foot_force=None if self.foot_force is None else self.foot_force.copy(),
        )

    def run(self, seconds: float, dt: float = DT) -> Decision:
        """Steps for that long."""
        for _ in range(round(seconds / dt)):
            self.step(dt)
        return self.decision

    def bring_to(self, mode: Mode) -> "SupervisedRobot":
        """From the beginning to PASSIVE, STANDING_UP, READY or ACTIVE, without a trip."""
        self.run(0.7, dt=PERIOD)
        if mode is Mode.PASSIVE:
            return self
        self.accept("stand")
        if mode is Mode.STANDING_UP:
            return self
        self.run(0.6, dt=PERIOD)
        if mode is Mode.ACTIVE:
            self.sends_targets = True
            self.run(0.1, dt=PERIOD)
            self.accept("arm")
            self.run(0.1)
        assert self.mode is mode
        assert not self.trips
        return self

    def request(self, name: str) -> tuple[bool, str]:
        """Make the request `name`; a stop is `stop`."""
        if name == "stop":
            return self.supervisor.request_stop(self.now, "the test wants it")
        accepted, why = getattr(self.supervisor, f"request_{name}")(self.now)
        assert isinstance(accepted, bool)
        assert why
        return accepted, why

    def accept(self, name: str) -> None:
        """Make a request that must be accepted."""
        accepted, why = self.request(name)
        assert accepted, why

    def refuse(self, name: str) -> str:
        """Make a request that must be refused; returns why."""
        accepted, why = self.request(name)
        assert not accepted, why
        return why

    def tripped(self) -> list[str]:
        """Names of the constraints that have tripped so far, in order."""
        return [trip.constraint for trip in self.trips]


def rolled(angle: float, axis: int = 0) -> np.ndarray:
    """Orientation (4,) after a turn by `angle` rad about the x (0), y (1) or z (2) axis."""
    quat = np.zeros(4)
    quat[0], quat[1 + axis] = np.cos(angle / 2), np.sin(angle / 2)
    return quat
