"""Tasks as data: what they name exists, and the actor reads only what a robot can measure."""

from dataclasses import replace

import pytest
import torch

import contract.robots
import sim.tasks
from contract.errors import UsageError
from domain_rand.presets import CARTPOLE, FULL, QUADRUPED
from sim.env import VecEnv
from sim.tasks.task import InitialState


@pytest.fixture(params=sim.tasks.names())
def task(request):
    return sim.tasks.load(request.param)


def test_an_unknown_task_is_refused_with_the_closest_name():
    with pytest.raises(UsageError, match=r"unknown task 'go2-velocity'.*did you mean 'go2-velocity-flat'"):
        sim.tasks.load("go2-velocity")


def test_a_task_carries_the_name_that_it_is_loaded_by(task):
    assert sim.tasks.load(task.name) is task
    assert task.robot in contract.robots.names()


def test_the_actor_reads_only_what_a_robot_measures(task):
    assert all(signal.measurable for signal in task.signals)
    names = [signal.name for signal in task.signals]
    assert names[-1] == task.command.name
    assert len(set(names)) == len(names)


def test_periods_fit(task):
    assert task.physics_dt * task.decimation == pytest.approx(task.control_period)
    steps = task.episode_seconds / task.control_period
    assert steps == pytest.approx(round(steps))
    assert task.with_episode(3.0).episode_seconds == 3.0
    assert task.with_episode(3.0).rewards == task.rewards


def test_commands_are_ranges(task):
    spec = task.command
    signs = spec.mirror_sign if contract.robots.load(task.robot).mirror else spec.lower
    sizes = {len(v) for v in (spec.elements, spec.lower, spec.upper, signs)}
    assert sizes == {task.signals[-1].shape[0]}
    assert all(low <= high for low, high in zip(spec.lower, spec.upper, strict=True))
    assert 0.0 < spec.hold[0] <= spec.hold[1]
    assert 0.0 <= spec.zero_fraction <= 1.0
    # A range that is not its own mirror image would teach a robot to favour one side.
    for low, high, sign in zip(spec.lower, spec.upper, spec.mirror_sign, strict=False):
        assert sign == 1.0 or low == -high


def test_the_check_stays_within_what_was_trained(task):
    check = task.check
    names = [cell.name for cell in check.commands]
    assert len(set(names)) == len(names)
    for cell in check.commands:
        for value, low, high in zip(cell.command, task.command.lower, task.command.upper, strict=True):
            assert low <= value <= high, cell.name
    assert any(not any(cell.command) for cell in check.commands), "standing is checked"
    assert 0.0 <= check.settle < check.seconds


def test_terms_have_names_of_their_own(task):
    for terms in (task.rewards, task.terminations, task.critic):
        names = [term.name for term in terms]
        assert len(set(names)) == len(names)


def test_its_robot_stands_through_an_episode_in_its_default_pose(task):
    """Nothing in the task ends an episode of a robot that does as it is told, without noise or pushes."""
    still = replace(task.with_episode(2.0), initial=InitialState())
    env = VecEnv(still, 1, threads=0, auto_reset=False)
    env.commands.fix(torch.zeros(1, len(task.command.lower)))
    for _ in range(env.max_steps - 1):
        result = env.step(env.default_joint_pos[None])
        assert not result.done.any()
    assert result.tracking_error.item() < 0.05
    assert result.reward.item() > 0.0
    assert env.step(env.default_joint_pos[None]).truncated.all()


@pytest.mark.parametrize(
    ("name", "preset"), [("go2-velocity-flat", QUADRUPED), ("go2-velocity-flat", FULL), ("cartpole", CARTPOLE)]
)
def test_presets_name_parameters_of_the_environment(name, preset):
    env = VecEnv(sim.tasks.load(name), 1, threads=0)
    assert {term.parameter for term in preset.terms} <= set(env.parameters)
