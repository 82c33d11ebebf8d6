"""What the joints are told in each mode of the supervisor."""

import numpy as np
from numpy.typing import ArrayLike

from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.decision import DAMPED, Mode
from deploy_robot.driver import Array, JointCommand
from deploy_robot.limits import Limits
from deploy_robot.motion import Ramp, SlewLimiter
from deploy_robot.supervisor_config import SupervisorConfig


class Commander:
    """Makes one command a step; each continues the one before.

    Args:
        robot: its gains and poses, where no contract gives them.
        contract: of the policy's bundle.
        limits: that bound the joint targets.
        slew: (num_joints,) rad/s, of the joint targets.
        config: speeds and gains.
    """

    def __init__(
        self, robot: Robot, contract: Contract | None, limits: Limits, slew: Array, config: SupervisorConfig
    ) -> None:
        self.start_pose = _constant(contract.default_joint_pos if contract else robot.default_joint_pos)
        self._rest_pose = _constant(robot.rest_pose)
        self._kp = _constant(contract.kp if contract else robot.kp)
        self._kd = _constant(contract.kd if contract else robot.kd)
        self._no_stiffness = _constant(np.zeros(robot.num_joints))
        self._damping = _constant(np.full(robot.num_joints, config.damping))
        self._limits = limits
        self._config = config
        self._limiter = SlewLimiter(slew, limits.control_period)
        self._limiter.restart(self._rest_pose)
        self._ramp = Ramp.between(self._rest_pose, self._rest_pose, config.stand_speed)
        self._ramp_time = 0.0  # s
        self._own_gains = 1.0  # from 0, the policy's gains, to 1, those of standing without one
        self.last = self.damping()

    def damping(self) -> JointCommand:
        """No stiffness, only damping."""
        return JointCommand(self._limiter.position, self._no_stiffness, self._damping)

    def start_ramp(self, mode: Mode) -> float:
        """Begin to stand up or, in SITTING_DOWN, to sit down; returns how long that takes, s."""
        goal = self._rest_pose if mode is Mode.SITTING_DOWN else self.start_pose
        self._ramp = Ramp.between(self._limiter.position, goal, self._config.stand_speed)
        self._ramp_time = 0.0
        return self._ramp.duration

    def advance_ramp(self, dt: float) -> float:
        """Go on by `dt` s; returns for how long, s, the ramp has been over, negative while it is not."""
        self._ramp_time += dt
        return self._ramp_time - self._ramp.duration

    def settled(self) -> bool:
        """Whether the command rests in the start pose."""
        return np.array_equal(self.last.joint_target, self.start_pose)

    def command(self, mode: Mode, dt: float, joint_pos: Array, target: Array) -> JointCommand:
        """The command of a step that counts for `dt` s.

        Args:
            joint_pos: (num_joints,) rad, as measured.
            target: (num_joints,) rad, the policy's.
        """
        limits, limiter, config = self._limits, self._limiter, self._config
        lower, upper = limits.joint_lower, limits.joint_upper
        if mode in DAMPED:
            # Motion starts again from where the joints are.
            limiter.restart(np.clip(joint_pos, lower, upper))
            self._own_gains = 1.0
            self.last = self.damping()
            return self.last
        if mode is Mode.ACTIVE:
            goal, lower, upper = target, limits.target_lower, limits.target_upper
        elif mode in (Mode.STANDING_UP, Mode.SITTING_DOWN):
            goal = self._ramp.at(self._ramp_time)
        else:
            # The start pose and not the last one: a legged robot that freezes in mid-stride tips over.
            reach = config.settle_speed * dt
            goal = np.clip(self.start_pose, limiter.position - reach, limiter.position + reach)
        change = dt / config.gain_time
        self._own_gains += -change if mode is Mode.ACTIVE else change
        self._own_gains = min(max(self._own_gains, 0.0), 1.0)
        factor = 1.0 + self._own_gains * (config.stand_stiffness - 1.0)
        self.last = JointCommand(limiter.move(goal, dt, lower, upper), factor * self._kp, factor * self._kd)
        return self.last


def _constant(values: ArrayLike) -> Array:
    """A copy that nobody can change, since it leaves inside commands."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array
