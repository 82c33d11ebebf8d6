"""The supervisor with a Go2 that has a weight: it stands up, sits down and sinks as it should, without a trip."""

import dataclasses

import numpy as np
import pytest

from contract import robots
from contract.rotations import tilt
from deploy_robot.decision import Mode
from deploy_robot.driver import RobotState
from deploy_robot.supervisor import Supervisor
from hil_tests.robot_physics import Command, HiddenParameters, RobotPhysics, Sample
from hil_tests.sensor_model import SensorConfig, SensorModel

GO2 = robots.load("unitree_go2")
TIMESTEP = 0.001  # s
STEPS_A_COMMAND = 5
SENSOR_DELAY = 3  # steps


class SupervisedPhysics:
    """Physics and motors at 1 kHz, sensors with noise and 3 ms of delay, and the supervisor at 200 Hz."""

    def __init__(self, hidden: HiddenParameters, seed: int) -> None:
        self.physics = RobotPhysics(GO2, hidden, TIMESTEP)
        self.supervisor = Supervisor(GO2)
        self.trips: list[str] = []
        self.samples: list[Sample] = []
        self._sensors = SensorModel(SensorConfig(), GO2.num_joints, np.random.default_rng(seed))
        self._steps = 0
        self._states: list[RobotState] = []
        self._command = self.supervisor.damping_command()

    @property
    def now(self) -> float:
        return 50.0 + TIMESTEP * self._steps

    def run(self, seconds: float) -> Mode:
        for _ in range(round(seconds / TIMESTEP)):
            if self._steps % STEPS_A_COMMAND == 0:
                state = self._states[-SENSOR_DELAY] if len(self._states) >= SENSOR_DELAY else None
                decision = self.supervisor.step(self.now, state, None)
                self._command = decision.command
                self.trips += [trip.message for trip in decision.new_trips]
            command = Command(self._command.joint_target, self._command.kp, self._command.kd)
            sample = self.physics.step(self.now, command)
            self.samples.append(sample)
            low = self._sensors.measure(sample, self._steps)
            self._states = [
                *self._states[-SENSOR_DELAY:],
                RobotState(
                    low.stamp, low.sequence, low.joint_pos, low.joint_vel, low.imu_quat, low.gyro, low.joint_torque
                ),
            ]
            self._steps += 1
        return self.supervisor.mode

    def accept(self, name: str) -> None:
        accepted, why = getattr(self.supervisor, f"request_{name}")(self.now)
        assert accepted, why

    @property
    def height(self) -> float:
        return float(self.samples[-1].root_pos[2])


def stood_up(seed: int) -> SupervisedPhysics:
    hidden = HiddenParameters.draw(GO2.num_joints, np.random.default_rng(seed))
    robot = SupervisedPhysics(dataclasses.replace(hidden, base_mass=(1.0, 1.15)[seed % 2]), seed)
    assert robot.run(1.0) is Mode.PASSIVE
    robot.accept("stand")
    assert robot.run(2.5) is Mode.READY
    assert robot.height > 0.26
    assert max(tilt(sample.root_quat) for sample in robot.samples) < 0.2
    assert not robot.trips
    return robot


@pytest.mark.parametrize("seed", [0, 1])
def test_stands_up_and_sits_down_whatever_its_workshop_did(seed: int) -> None:
    robot = stood_up(seed)
    robot.accept("sit")
    assert robot.run(2.5) is Mode.PASSIVE
    assert robot.height < 0.08
    assert not robot.trips
    assert np.abs([sample.root_lin_vel[2] for sample in robot.samples]).max() < 0.5


def test_sinks_and_does_not_drop_when_it_is_stopped() -> None:
    robot = stood_up(1)
    robot.supervisor.request_stop(robot.now, "the test wants it")
    assert robot.run(1.5) is Mode.STOPPED
    assert robot.height < 0.08
    # Falling freely from there it would arrive at 2 m/s.
    assert min(sample.root_lin_vel[2] for sample in robot.samples) > -1.0
    assert robot.trips == ["operator_stop: the test wants it"]
