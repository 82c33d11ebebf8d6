"""What comes between a policy's target and the servos: delay and loss, offsets, and the slack of the gears.

In this order: delay, then the offsets of default pose and encoder, then backlash.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.robot import Robot
from sim.checks import check_range
from sim.engines.engine import Parameter
from sim.losses import Losses
from sim.stage import Stage


class Actuation(Stage):
    """The way of joint targets to the servos of `num_envs` robots.

    Attributes:
        slack: (N, J) rad, how far each motor is ahead of its joint in its gear; None without backlash.
    """

    def __init__(
        self,
        robot: Robot,
        num_envs: int,
        control_period: float,
        physics_dt: float,
        decimation: int,
        generator: torch.Generator,
    ) -> None:
        joints, legs, device = robot.num_joints, robot.legs, generator.device
        parameters = {
            "action_delay": Parameter(1, "s", 0.0, "age of a target when the motors get it, at most one period"),
            "action_jitter": Parameter(1, "s", 0.0, "each target's delay is up to this longer, uniformly"),
            "action_drop": Parameter(1, "1", 0.0, "probability that a target is lost: the motors hold the last one"),
            "action_hold": Parameter(1, "s", 0.0, "how long a loss of targets lasts, one period at least"),
            "default_pose_offset": Parameter(joints, "rad", 0.0, "what the motors add to every target", legs),
            "backlash": Parameter(joints, "rad", 0.0, "play between motor and joint, from flank to flank", legs),
        }
        super().__init__(parameters, num_envs, device)
        self._period = control_period
        # A target that arrives within the first half of a physics step is taken as there for all of it.
        self._latest = (torch.arange(decimation, device=device) + 0.5) * physics_dt
        self._generator = generator
        self._losses = Losses(num_envs, control_period, generator)
        self._lost = torch.zeros(num_envs, dtype=torch.bool, device=device)  # the target of the period before
        self._held = torch.zeros(num_envs, joints, device=device)  # what the motors had before that one
        self.slack: Tensor | None = None

    def check(self, ids: Tensor, names: frozenset[str]) -> None:
        if names & {"action_delay", "action_jitter"}:
            delay, jitter = (self.values[name][ids] for name in ("action_delay", "action_jitter"))
            name = "action_delay and action_jitter together" if self.uses("action_jitter") else "action_delay"
            check_range(name, torch.minimum(delay, delay + jitter), 0.0, self._period, "s")
            check_range(name, delay + jitter, 0.0, self._period, "s")
        if "action_drop" in names:
            check_range("action_drop", self.values["action_drop"][ids], 0.0, 1.0)
        for name in names & {"action_hold", "backlash"}:
            check_range(name, self.values[name][ids], 0.0, torch.inf)

    def reset(self, ids: Tensor) -> None:
        """New episodes begin with a link that is whole, and gears in the middle of their play."""
        self._losses.reset(ids)
        self._lost[ids] = False
        if self.slack is not None:
            self.slack[ids] = 0.0

    def targets(self, target: Tensor, last_target: Tensor, encoder_offset: Tensor, joint_pos: Tensor) -> Tensor:
        """Targets of the servos in each physics step of this period, (N, S, J) rad.

        Args:
            target: (N, J) what the policy asks for now. last_target: (N, J) and what it asked for a period ago.
            encoder_offset: (N, J) rad, read minus true: a servo closes its loop on its encoder, and so misses by this.
            joint_pos: (N, J) rad, true, now.
        """
        late = self.values["action_delay"]
        if self.uses("action_jitter"):
            uniform = torch.rand(len(target), 1, generator=self._generator, device=target.device)
            late = late + self.values["action_jitter"] * uniform
        if self.uses("action_drop"):
            # Whatever is not lost arrives within its period.
            last_target = self._held = torch.where(self._lost[:, None], self._held, last_target)
            self._lost = self._losses.draw(self.values["action_drop"][:, 0], self.values["action_hold"][:, 0])
            target = torch.where(self._lost[:, None], last_target, target)
        fresh = self._latest >= late
        offset = self.values["default_pose_offset"] - encoder_offset
        wanted = torch.where(fresh[:, :, None], target[:, None], last_target[:, None]) + offset[:, None]
        return self._through_gears(wanted, joint_pos) if self.uses("backlash") else wanted

    def _through_gears(self, wanted: Tensor, joint_pos: Tensor) -> Tensor:
        """Targets for a servo on the joint that give the torque of one on a motor without mass, in its play.

        Such a motor goes where it wants within the play, without a torque on the joint, and presses on a flank beyond:
        kp times the dead zone of target - q. On which flank it is, is decided once a control period.
        """
        half = 0.5 * self.values["backlash"][:, None]
        slack = torch.clamp(wanted - joint_pos[:, None], -half, half)
        # A target that is not finite has an engine's own answer; the gears remember nothing of it.
        self.slack = slack[:, -1].nan_to_num(0.0)
        return wanted - slack

    def state_dict(self) -> dict[str, Any]:
        own = {"lost": self._lost.clone(), "held": self._held.clone(), "losses": self._losses.state_dict()}
        return {**super().state_dict(), **own, "slack": None if self.slack is None else self.slack.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        device = self._held.device
        self._lost, self._held = (state[name].to(device, copy=True) for name in ("lost", "held"))
        self._losses.load_state_dict(state["losses"])
        slack = state["slack"]
        self.slack = None if slack is None else slack.to(device, copy=True)
