"""An imported robot stands in an engine, and a policy trains on it."""

import dataclasses
from pathlib import Path

import mujoco
import pybullet_data
import pytest
import torch

from contract import robots
from contract.robot import Robot
from policies import recipes, training
from policies.config import TrainConfig
from policies.progress import NotesOnly
from policies.trainer import Outcome
from sim import engines, tasks
from sim.formats.importing.importer import import_robot
from sim.formats.tree import read_tree
from sim.formats.urdf import to_urdf
from sim.tasks.task import Task, Termination
from sim.tasks.terminations import tilted, touches_ground

A1 = Path(pybullet_data.getDataPath()) / "a1/a1.urdf"
ENVS, ROLLOUT, ITERATIONS = 4, 8, 2


@pytest.fixture(params=["our Go2 from URDF", "a foreign A1"])
def robot(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robot:
    """Imported, and known by name."""
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", str(tmp_path / "robots"))
    file = A1
    if request.param == "our Go2 from URDF":
        file = tmp_path / "go2.urdf"
        file.write_text(to_urdf(robots.load("unitree_go2")))
    return import_robot(str(file), "mine", tmp_path / "robots").robot


def walking_task(robot: Robot) -> Task:
    """The Go2's walking task for another robot of four legs with three joints each."""
    task = tasks.load("go2-velocity-flat")
    joints = {"shape": (robot.num_joints,), "elements": robot.joint_names}
    signals = tuple(
        dataclasses.replace(signal, **(joints if signal.frame == "joint" else {})) for signal in task.signals
    )
    base = [geom.name for geom in read_tree(robot).base.geoms if geom.collides]
    terminations = (Termination("tilted", tilted(1.0)), Termination("base_touches_ground", touches_ground(*base)))
    return dataclasses.replace(task, robot=robot.name, signals=signals, terminations=terminations)


def test_it_stands_on_its_feet(robot: Robot) -> None:
    engine = engines.make("mujoco_cpu", robot, num_envs=1, physics_dt=0.005, decimation=4, threads=0)
    pose = torch.tensor(robot.default_joint_pos).float()[None]
    still, level = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    start = torch.tensor([[0.0, 0.0, robot.standing_height]])
    engine.reset(torch.tensor([0]), start, level, still, still, pose, torch.zeros_like(pose))
    for _ in range(100):
        engine.step(pose)
    assert not engine.diverged.any()
    assert engine.state.root_pos[0, 2] > 0.6 * robot.standing_height
    assert engine.state.root_quat[0, 0] > 0.95
    weight = 9.81 * mujoco.MjModel.from_xml_path(str(robot.mjcf)).body_mass.sum()
    columns = [engine.contact_geoms.index(foot.geom) for foot in robot.feet]
    assert engine.state.contact_force[0, columns].sum() == pytest.approx(weight, rel=0.2)
    engine.close()


def test_a_policy_trains_on_it(robot: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "load", {"go2-velocity-flat": walking_task(robot)}.__getitem__)
    recipe = recipes.load("go2-velocity-flat")
    recipe = dataclasses.replace(
        recipe,
        num_envs=ENVS,
        ppo=dataclasses.replace(recipe.ppo, rollout_steps=ROLLOUT, minibatches=2),
        train=TrainConfig(steps=ITERATIONS * ENVS * ROLLOUT),
    )
    trainer = training.build_trainer(recipe, tmp_path / "run", NotesOnly())
    before = {name: value.clone() for name, value in trainer.controller.state_dict().items()}
    assert trainer.train() is Outcome.FINISHED
    assert trainer.env.robot.name == "mine"
    after = trainer.controller.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values() if value.is_floating_point())
    assert any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith("network"))
    trainer.env.close()
