"""A supervised robot that stands, obeys and never fails, so that a supervisor can be timed in its busiest mode."""

import numpy as np

from contract.errors import LandbridgeError
from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.decision import Mode
from deploy_robot.driver import RobotState
from deploy_robot.supervisor import Supervisor
from deploy_robot.target import Target

_COMMAND = "command"
_TEMPERATURE, _CHARGE, _FOOT_FORCE = 35.0, 0.8, 40.0  # degrees Celsius, share, N: so that every monitor has work
_PATIENCE = 20.0  # s of the robot's own clock for each stage


class StandingRobot:
    """Joints go where they are told at once; the clock advances by `period` s with each sample."""

    def __init__(self, robot: Robot, contract: Contract, period: float) -> None:
        self.supervisor = Supervisor(robot, contract)
        self._robot, self._period = robot, period
        self._now, self._seq = 100.0, 0
        self._joint_pos = np.array(robot.rest_pose)
        self._target_pos = robot.default_joint_pos
        self._command = np.zeros(len(contract.command_ranges[_COMMAND].elements)) if contract.command_ranges else None
        self._sends_targets = False
        self.sense()

    def activate(self) -> None:
        """Stand up and let a policy drive that asks for the start pose.

        Raises:
            LandbridgeError: the supervisor would not.
        """
        self._wait_for(Mode.PASSIVE, 1.0)
        self._request("stand")
        self._wait_for(Mode.READY, 0.5)
        self._sends_targets = True
        self._wait_for(Mode.READY, 0.5)
        self._request("arm")
        self._wait_for(Mode.ACTIVE, 0.5)

    def sense(self) -> None:
        """Take the next sample, a little different from the last as real ones are, and answer it with a target."""
        self._now += self._period
        self._seq += 1
        jitter = np.full(self._robot.num_joints, 1e-9 * self._seq)
        upright = np.array([1.0, 0.0, 0.0, 0.0])
        self._state = RobotState(
            self._now,
            self._seq,
            self._joint_pos + jitter,
            jitter,
            upright,
            jitter[:3],
            jitter.copy(),
            temperature=np.full(self._robot.num_joints, _TEMPERATURE),
            battery=_CHARGE,
            foot_force=np.full(len(self._robot.feet), _FOOT_FORCE),
        )
        if self._sends_targets:
            self._target: Target | None = Target(self._now, self._now, self._target_pos + jitter)
        else:
            self._target = None

    def step(self) -> None:
        """One step of the supervisor on the latest sample."""
        self._decision = self.supervisor.step(self._now, self._state, self._target, self._command)

    def require_active(self) -> None:
        """LandbridgeError unless the policy still drives."""
        if self.supervisor.mode is not Mode.ACTIVE:
            causes = "; ".join(self._decision.causes)
            raise LandbridgeError(f"the supervisor left the mode that was to be timed: {causes}")

    def _wait_for(self, mode: Mode, seconds: float) -> None:
        """Step until `mode` has lasted for `seconds`."""
        lasted, waited = 0.0, 0.0
        while lasted < seconds:
            self.sense()
            self.step()
            command = self._decision.command
            if command.kp.any():
                self._joint_pos = command.joint_target.copy()
            lasted = lasted + self._period if self.supervisor.mode is mode else 0.0
            waited += self._period
            if waited > _PATIENCE:
                causes = "; ".join(self._decision.causes) or self.supervisor.mode.value
                raise LandbridgeError(f"the supervisor does not become {mode.value}: {causes}")

    def _request(self, name: str) -> None:
        accepted, why = getattr(self.supervisor, f"request_{name}")(self._now)
        if not accepted:
            raise LandbridgeError(f"the supervisor refuses to {name}: {why}")
