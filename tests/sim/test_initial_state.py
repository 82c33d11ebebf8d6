"""First states of episodes: the task's spread, and what is drawn in its place."""

import dataclasses

import pytest
import torch
from go2_states import JOINTS, ROBOT

from contract.errors import UsageError
from sim.initial_state import StartModel
from sim.rotations import quat_rotate
from sim.tasks.task import InitialState
from sim.terrains import FLAT, Rough, Slope

LIMITS = torch.tensor(ROBOT.joint_lower).float(), torch.tensor(ROBOT.joint_upper).float()
DEFAULT = torch.tensor(ROBOT.default_joint_pos).float()
SPREAD = InitialState(height=0.02, lin_vel=0.3, ang_vel=0.4, joint_pos=0.15, joint_vel=0.5)


def _model(num_envs, terrain=FLAT, robot=ROBOT, seed=0, **values):
    model = StartModel(robot, num_envs, terrain, SPREAD, torch.Generator().manual_seed(seed))
    given = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}
    everyone = torch.arange(num_envs)
    model.set(everyone, {n: v.expand(num_envs, model.parameters[n].size).clone() for n, v in given.items()})
    return model


def _draw(model, ids=(0, 1, 2)):
    return model.draw(torch.tensor(ids), LIMITS)


VALUES = {
    "initial_height": 0.05,
    "initial_lin_vel": [0.1, 0.2, 0.3],
    "initial_ang_vel": [0.4, 0.5, 0.6],
    "initial_joint_pos": torch.linspace(-0.1, 0.1, JOINTS),
    "initial_joint_vel": torch.linspace(-1.0, 1.0, JOINTS),
    "spawn_pos": [2.0, -3.0],
}
FIELDS = {
    "initial_height": lambda start: start.root_pos[:, 2] - ROBOT.standing_height,
    "initial_lin_vel": lambda start: start.root_lin_vel,
    "initial_ang_vel": lambda start: start.root_ang_vel,
    "initial_joint_pos": lambda start: start.joint_pos - DEFAULT,
    "initial_joint_vel": lambda start: start.joint_vel,
    "spawn_pos": lambda start: start.root_pos[:, :2],
}


@pytest.mark.parametrize("name", VALUES)
def test_what_is_set_is_where_it_belongs_and_changes_nothing_else(name):
    plain, changed = _draw(_model(3)), _draw(_model(3, **{name: VALUES[name]}))
    expected = torch.as_tensor(VALUES[name]).expand_as(FIELDS[name](changed))
    assert torch.allclose(FIELDS[name](changed), expected, atol=1e-6)
    for other, field in FIELDS.items():
        if other != name:
            assert torch.equal(field(changed), field(plain)), other
    assert torch.equal(changed.root_quat, plain.root_quat)


def test_a_tilt_is_roll_and_pitch_whichever_way_the_robot_faces():
    start = _draw(_model(3, initial_tilt=[0.3, 0.0]))
    up = quat_rotate(start.root_quat, torch.tensor([0.0, 0.0, 1.0]).expand(3, 3))
    assert torch.allclose(up[:, 2].acos(), torch.tensor(0.3), atol=1e-4)
    side = quat_rotate(start.root_quat, torch.tensor([1.0, 0.0, 0.0]).expand(3, 3))
    assert torch.allclose(side[:, 2], torch.zeros(3), atol=1e-6)


def test_each_environment_has_its_own():
    model = _model(3, initial_height=torch.tensor([[0.0], [0.1], [0.2]]))
    height = _draw(model, (2, 0)).root_pos[:, 2] - ROBOT.standing_height
    assert torch.allclose(height, torch.tensor([0.2, 0.0]), atol=1e-6)


def test_joints_begin_within_their_limits():
    start = _draw(_model(3, initial_joint_pos=5.0))
    assert torch.allclose(start.joint_pos, LIMITS[1].expand(3, -1))


def test_a_robot_begins_on_the_ground_where_it_is_put():
    places = torch.tensor([[0.0, 0.0], [2.0, 1.0], [-3.0, 0.5]])
    start = _draw(_model(3, Slope(0.2), spawn_pos=places, initial_height=0.0))
    expected = ROBOT.standing_height + torch.tan(torch.tensor(0.2)) * (places[:, 0] + 0.5)
    assert torch.allclose(start.root_pos[:, 2], expected, atol=1e-5)


def test_a_place_beyond_the_ground_is_refused():
    model = _model(3, Rough(0.1, size=8.0), spawn_pos=[3.8, 0.0])
    with pytest.raises(UsageError, match=r"spawn_pos: the terrain has no ground all around \(3.8, 0\) m"):
        _draw(model)


def test_a_base_that_is_bolted_begins_nowhere_else():
    cart = dataclasses.replace(ROBOT, fixed_base=True)
    assert set(_model(1, robot=cart).parameters) == {"initial_joint_pos", "initial_joint_vel"}
