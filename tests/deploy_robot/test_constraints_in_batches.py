"""The constraints judge one robot and all environments of a training run with the same code."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
import toy_policy
from made_up_arm import ARM

from contract import robots
from contract.policy_contract import CommandRange, Contract
from contract.robot import Robot
from deploy_robot.constraint import Constraint, Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.limits import Limits, limits_of

GO2 = robots.load("unitree_go2")
ENVIRONMENTS = 5
CONSTANT = ("limits", "stop_reason")


def sizes(robot: Robot) -> dict[str, int]:
    """Of the fields of a reading; the others are one number each."""
    joints = ("joint_pos", "joint_vel", "joint_torque", "target", "previous_target", "temperature")
    return {
        **dict.fromkeys(joints, robot.num_joints),
        "imu_quat": 4,
        "gyro": 3,
        "foot_force": len(robot.feet),
        "command": 3,
    }


def contract_of(robot: Robot) -> Contract:
    """Of a policy with a command and a training envelope."""
    n = robot.num_joints
    toy = toy_policy.contract()
    statistics = toy.training_envelope["joint_pos"]
    each = {
        name: dataclasses.replace(statistics, low=(-0.8,) * size, high=(0.8,) * size)
        for name, size in (("joint_pos", n), ("joint_vel", n), ("gyro", 3))
    }
    return dataclasses.replace(
        toy,
        robot=robot.name,
        joint_names=robot.joint_names,
        default_joint_pos=tuple(robot.default_joint_pos),
        joint_lower=tuple(robot.joint_lower),
        joint_upper=tuple(robot.joint_upper),
        velocity_limit=tuple(robot.joint_velocity_limit),
        effort_limit=tuple(robot.joint_effort_limit),
        action_lower=tuple(robot.joint_lower),
        action_upper=tuple(robot.joint_upper),
        command_ranges={"command": CommandRange(("vx", "vy", "yaw_rate"), (-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))},
        training_envelope=each,
    )


def random_batch(robot: Robot) -> dict[str, np.ndarray]:
    """Every field of a reading, environment axis first."""
    rng = np.random.default_rng(3)
    names = [field.name for field in dataclasses.fields(Reading) if field.init and field.name not in CONSTANT]
    size = sizes(robot)
    return {
        name: rng.normal(size=(ENVIRONMENTS, size[name])) if name in size else rng.uniform(size=ENVIRONMENTS)
        for name in names
    }


def in_library(convert: Callable, limits: Limits, batch: dict[str, np.ndarray]) -> Reading:
    arrays = {name: convert(value) for name, value in vars(limits).items() if isinstance(value, np.ndarray)}
    fields = {name: convert(values) for name, values in batch.items()}
    fields["target_interval"] = fields["target_interval"][:, None]  # against joints
    return Reading(limits=dataclasses.replace(limits, **arrays), stop_reason="", **fields)


@pytest.mark.parametrize("row", CONSTRAINTS, ids=lambda row: row.name)
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_a_batch_is_judged_as_its_robots_are(row: Constraint, convert: Callable) -> None:
    robot = ARM if row.name == "workspace" else GO2
    limits = limits_of(robot, contract_of(robot))
    assert row.known(limits)
    batch = random_batch(robot)
    figures = row.worst(in_library(convert, limits, batch))
    assert isinstance(figures, type(convert(np.zeros(1))))
    assert tuple(figures.shape) == (ENVIRONMENTS,)
    single = [
        Reading(limits=limits, stop_reason="", **{name: values[i] for name, values in batch.items()})
        for i in range(ENVIRONMENTS)
    ]
    assert np.asarray(figures) == pytest.approx([row.worst(reading) for reading in single])


@pytest.mark.parametrize("row", [row for row in CONSTRAINTS if row.signal or row.fact], ids=lambda row: row.name)
def test_one_number_that_is_not_finite_never_passes(row: Constraint) -> None:
    robot = ARM if row.name == "workspace" else GO2
    limits = limits_of(robot, contract_of(robot))
    batch = {name: np.clip(values, -0.1, 0.1) for name, values in random_batch(robot).items()}
    sound = Reading(limits=limits, stop_reason="", **{name: values[0] for name, values in batch.items()})
    assert np.isfinite(row.worst(sound))
    seen = (row.signal,) if row.signal else ("joint_pos", "imu_quat") if row.name == "base_height" else ("joint_pos",)
    for name in seen:
        for bad in (np.nan, np.inf, -np.inf):
            values = np.array(getattr(sound, name))
            values[(-1,) * values.ndim] = bad
            with np.errstate(invalid="ignore"):
                figure = row.worst(dataclasses.replace(sound, **{name: values}))
            assert not figure <= row.limit
