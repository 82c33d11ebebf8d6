"""The constraints judge one robot and all environments of a training run with the same code."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from contract import robots
from deploy_robot.constraint import Constraint, Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.limits import limits_of

GO2 = robots.load("unitree_go2")
ENVIRONMENTS = 5

# Sizes of the fields of a reading; the others are one number each.
SIZES = {
    **dict.fromkeys(("joint_pos", "joint_vel", "joint_torque", "target", "previous_target"), 12),
    "imu_quat": 4,
}
CONSTANT = ("limits", "stop_reason")


def random_batch() -> dict[str, np.ndarray]:
    """Every field of a reading, environment axis first."""
    rng = np.random.default_rng(3)
    names = [field.name for field in dataclasses.fields(Reading) if field.name not in CONSTANT]
    return {
        name: rng.normal(size=(ENVIRONMENTS, SIZES[name])) if name in SIZES else rng.uniform(size=ENVIRONMENTS)
        for name in names
    }


def in_library(convert: Callable, batch: dict[str, np.ndarray]) -> Reading:
    limits = limits_of(GO2)
    arrays = {name: convert(value) for name, value in vars(limits).items() if isinstance(value, np.ndarray)}
    fields = {name: convert(values) for name, values in batch.items()}
    fields["target_interval"] = fields["target_interval"][:, None]  # against joints
    return Reading(limits=dataclasses.replace(limits, **arrays), stop_reason="", **fields)


@pytest.mark.parametrize("row", CONSTRAINTS, ids=lambda row: row.name)
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_a_batch_is_judged_as_its_robots_are(row: Constraint, convert: Callable) -> None:
    batch = random_batch()
    figures = row.worst(in_library(convert, batch))
    assert isinstance(figures, type(convert(np.zeros(1))))
    assert tuple(figures.shape) == (ENVIRONMENTS,)
    single = [
        Reading(limits=limits_of(GO2), stop_reason="", **{name: values[i] for name, values in batch.items()})
        for i in range(ENVIRONMENTS)
    ]
    assert np.asarray(figures) == pytest.approx([row.worst(reading) for reading in single])
