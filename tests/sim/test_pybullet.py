"""The PyBullet engine: what is Bullet's alone. Laws of physics that all engines keep are in the conformance suite."""

import io
import math
import subprocess
import sys

import mujoco
import numpy as np
import pytest
import torch
from go2_states import (
    DEFAULT,
    GRAVITY,
    IN_THE_AIR,
    JOINTS,
    ROBOT,
    assert_same,
    hold,
    place,
    set_parameter,
    snapshot,
)

import contract.robots
from contract.errors import UsageError
from contract.robot import Foot, Joint, Robot
from sim import engines
from sim.engines.mujoco_model import build_model
from sim.terrains import Boxes

pybullet = pytest.importorskip("pybullet")

from sim.engines.pybullet.engine import PybulletEngine

MASS = float(build_model(ROBOT, 0.005).model.body_mass.sum())
REST = torch.tensor(ROBOT.rest_pose)


@pytest.fixture
def make():
    """Makes engines on the calling thread, robots standing; closes them."""
    made = []

    def engine(num_envs=1, robot=ROBOT, **settings):
        made.append(PybulletEngine(robot, num_envs=num_envs, processes=0, **settings))
        if robot is ROBOT:
            place(made[-1])
        return made[-1]

    yield engine
    for each in made:
        each.close()


def _random_targets(engine, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, engine.num_envs, engine.decimation, JOINTS, generator=generator)
    return DEFAULT + 0.3 * noise


# -- the robot that Bullet gets is the one that MuJoCo gets -----------------------------------------------------


@pytest.mark.parametrize("undisturbed", [True, False])
def test_torques_accelerate_the_robot_as_in_mujoco(make, undisturbed):
    """Base and joints, each joint driven in an environment of its own: masses, frames, armature, and their parameters.

    In one short step from rest nothing depends on velocities. What is left is how far Bullet's solver turns rotors.
    """
    dt, torque = 1e-3, 20.0
    engine = make(JOINTS, physics_dt=dt, decimation=1)
    model = build_model(ROBOT, dt).model
    parameters = {"joint_friction": 0.0, "joint_damping": 0.0, "kd_factor": 0.0}
    if not undisturbed:
        parameters |= {"payload_mass": 3.0, "base_com": [0.05, -0.03, 0.02]}
        parameters |= {"joint_armature": torch.linspace(0.005, 0.03, JOINTS)}
        base = model.body(ROBOT.base_body)
        base.mass += parameters["payload_mass"]
        base.ipos += parameters["base_com"]
        model.dof_armature[6:] = parameters["joint_armature"]
    for name, value in parameters.items():
        set_parameter(engine, name, value)
    model.dof_frictionloss[:] = model.dof_damping[:] = 0.0
    kp = torch.from_numpy(ROBOT.kp).float()
    quat = torch.tensor([0.8, -0.2, 0.4, 0.4])
    place(engine, height=IN_THE_AIR, root_quat=quat)
    engine.step(hold(engine, DEFAULT + torch.diag(torque / kp)))

    data = mujoco.MjData(model)
    data.qpos[:] = [0, 0, IN_THE_AIR, *quat, *ROBOT.default_joint_pos]
    model.actuator_gainprm[:] = model.actuator_biasprm[:] = 0.0
    state = engine.state
    got = torch.cat([state.root_lin_vel, state.root_ang_vel, state.joint_vel], dim=1) / dt
    for i in range(JOINTS):
        data.qfrc_applied[6 + i] = torque
        mujoco.mj_forward(model, data)
        data.qfrc_applied[:] = 0.0
        np.testing.assert_allclose(got[i], data.qacc, atol=1e-3 * np.abs(data.qacc).max(), err_msg=str(i))


def test_a_standing_robot_is_carried_by_its_feet(make):
    engine = make(2)
    set_parameter(engine, "payload_mass", 2.0, [1])
    for _ in range(75):
        engine.step(hold(engine))
    forces = engine.state.contact_force
    expected = GRAVITY * torch.tensor([MASS, MASS + 2.0])
    assert torch.allclose(forces.sum(dim=1), expected, rtol=1e-3)
    feet = forces[:, list(engine.foot_columns)]
    assert (feet > 20.0).all()
    assert torch.equal(feet.sum(dim=1), forces.sum(dim=1))
    assert torch.allclose(engine.state.foot_pos[..., 2], torch.tensor(ROBOT.feet[0].radius), atol=1e-3)


def test_geoms_that_share_a_body_report_their_own_contacts(make):
    """A folded robot lies on its belly; one on its nose touches with the head, which is on the base, too."""
    engine = make(2)
    half = math.radians(80.0) / 2
    place(engine, [0], height=0.08, joint_pos=REST)
    place(engine, [1], height=0.34, joint_pos=REST, root_quat=torch.tensor([math.cos(half), 0.0, math.sin(half), 0.0]))
    touched = torch.zeros(2, len(engine.contact_geoms), dtype=torch.bool)
    for _ in range(6):
        engine.step(hold(engine, REST))
        touched |= engine.state.contact_force > 1.0
    box, head = (engine.contact_geoms.index(name) for name in ("base_box", "head"))
    assert touched[0, box] and not touched[0, head]
    assert touched[1, head] and not touched[1, box]


_SKATE = """
<mujoco>
  <compiler autolimits="true"/>
  <default><geom group="3" contype="0" conaffinity="1" priority="1" mass="0"/></default>
  <worldbody>
    <body name="base">
      <freejoint/>
      <inertial mass="1" pos="0 0 0" diaginertia="0.01 0.01 0.01"/>
      <geom name="plain" type="box" size="0.1 0.1 0.05" friction="0.3 0 0"/>
      <geom name="rough" type="sphere" size="0.02" pos="0 0 0.1" friction="0.9 0 0"/>
      <body name="flag">
        <inertial mass="0.1" pos="0 0 0" diaginertia="0.001 0.001 0.001"/>
        <joint name="pole" axis="0 0 1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def skate(tmp_path):
    """A box with two geoms of different friction, of which the second is the foot."""
    path = tmp_path / "skate.xml"
    path.write_text(_SKATE)
    pole = Joint("pole", -math.inf, math.inf, velocity_limit=1.0, effort_limit=0.0, default_pos=0.0, kp=0.0, kd=0.0)
    foot = Foot("only", "base", "rough", 0.02)
    return Robot("skate", "a box", path, "base", (pole,), standing_height=0.05, sources=(), feet=(foot,))


def test_each_geom_has_its_own_friction_until_the_parameter_says_otherwise(make, skate):
    engine = make(2, skate)
    assert engine.capabilities.parameters["friction"].nominal == 0.9
    engine.set_parameters(torch.tensor([1]), {"friction": torch.tensor([[0.625]])})

    def frictions(row):
        world = engine._worlds._worlds[row]
        return [world._call("getDynamicsInfo", world._body, link)[1] for link in world._geom_links]

    assert frictions(0) == [0.3, 0.9]
    assert frictions(1) == [0.625, 0.625]
    engine.set_parameters(torch.tensor([1]), {"friction": torch.tensor([[0.9]])})
    assert frictions(1) == [0.3, 0.9]


def test_a_foot_on_the_base_moves_with_it(make, skate):
    engine = make(1, skate)
    half = math.pi / 4
    zero = torch.zeros(1, 3)
    turned = torch.tensor([[math.cos(half), math.sin(half), 0.0, 0.0]])
    engine.reset(torch.tensor([0]), torch.tensor([[1.0, 2.0, 3.0]]), turned, zero, zero, zero[:, :1], zero[:, :1])
    assert torch.allclose(engine.state.foot_pos[0, 0], torch.tensor([1.0, 1.9, 3.0]), atol=1e-6)


# -- conventions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("yaw", [0.0, 100.0, 179.0, 260.0, 350.0])
def test_an_orientation_keeps_its_sign(make, yaw):
    engine = make()
    half = math.radians(yaw) / 2
    quat = torch.tensor([math.cos(half), 0.0, 0.0, math.sin(half)])
    for sign in (1.0, -1.0):
        place(engine, height=IN_THE_AIR, root_quat=sign * quat)
        engine.step(hold(engine))
        assert torch.allclose(engine.trace.root_quat[0], sign * quat.expand(engine.decimation, 4), atol=1e-3)


def test_feet_lag_by_one_physics_step(make):
    for decimation in (1, 2, 4):
        engine = make(decimation=decimation)
        place(engine, height=IN_THE_AIR, root_lin_vel=torch.tensor([1.0, 0.0, 0.0]))
        start = engine.state.foot_pos.clone()
        for _ in range(2):
            engine.step(hold(engine))
        moved = engine.state.foot_pos - start
        steps = 2 * decimation - 1
        assert torch.allclose(moved[..., 0], torch.tensor(0.005 * steps), atol=1e-4)
        assert torch.allclose(engine.state.foot_vel[..., 0], torch.tensor(1.0), atol=2e-2)


def test_a_push_moves_the_origin_of_the_base_and_not_its_centre_of_mass(make):
    """In free flight a spinning base moves about the centre of mass of the whole robot, which flies straight."""
    engine = make(2)
    set_parameter(engine, "base_com", [0.1, 0.0, 0.0], [1])
    place(engine, height=IN_THE_AIR)
    spin = torch.tensor([[0.0, 0.0, 1.5]]).expand(2, 3)
    engine.push(torch.tensor([0, 1]), torch.tensor([[0.5, -0.3, 0.2]]).expand(2, 3), spin)
    expected = torch.tensor([0.5, -0.3, 0.2])
    assert torch.allclose(engine.state.root_lin_vel, expected.expand(2, 3))
    engine.step(hold(engine))
    change = engine.trace.root_ang_vel[:, 0] - spin
    assert change.abs().max() < 0.1
    fallen = torch.tensor([0.0, 0.0, -0.5 * GRAVITY * 0.02**2])
    moved = engine.state.root_pos - torch.tensor([0.0, 0.0, IN_THE_AIR])
    assert torch.allclose(moved, (0.02 * expected + fallen).expand(2, 3), atol=1.5e-3)


# -- a step is a function of the state --------------------------------------------------------------------------


def test_contacts_of_the_past_are_forgotten(make):
    """On boxes, where Bullet keeps most: an engine that lay on others goes on as one that never did."""
    terrain = Boxes(0.05, count=30, size=4.0, clear=0.25, edge=0.2)
    one, other = make(terrain=terrain), make(terrain=terrain)
    place(one, height=0.4, root_lin_vel=torch.tensor([1.0, 0.5, 0.0]))
    for i, targets in enumerate(_random_targets(one, 24)):
        if i % 4 == 0:
            place(other, height=0.1, joint_pos=REST)
            other.step(targets)
            other.load_state_dict(one.state_dict())
        one.step(targets)
        other.step(targets)
        assert_same(snapshot(one), snapshot(other))
    assert one.state.contact_force.any()


def test_a_loaded_state_goes_on_bit_for_bit(make):
    engine, other = make(2), make(2)
    set_parameter(engine, "payload_mass", [[1.0], [-0.5]])
    set_parameter(engine, "base_com", [0.02, -0.01, 0.0])
    set_parameter(engine, "joint_armature", 0.015)
    set_parameter(other, "friction", 0.1)  # to be overwritten
    targets = _random_targets(engine, 10)
    for i in range(4):
        engine.step(targets[i])
    saved = engine.state_dict()
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    for i in range(4, 10):
        engine.step(targets[i])
    other.load_state_dict(torch.load(file, weights_only=True))
    for i in range(4, 10):
        other.step(targets[i])
    assert_same(snapshot(engine), snapshot(other))


@pytest.mark.parametrize("fault", ["nan target", "speed 1e12", "fast base"])
def test_a_diverged_environment_is_flagged_and_harms_no_other(make, fault):
    engine, healthy = make(2), make(2)
    targets = _random_targets(engine, 3)
    broken = targets[0].clone()
    if fault == "nan target":
        broken[1, -1, 2] = math.nan
    elif fault == "fast base":
        place(engine, [1], height=IN_THE_AIR, root_lin_vel=torch.tensor([0.0, 200.0, 0.0]))
    else:
        place(engine, [1], joint_vel=torch.tensor([1e12] + [0.0] * 11))
    engine.step(broken)
    healthy.step(targets[0])
    assert engine.diverged.tolist() == [False, True]
    assert all(torch.isfinite(v).all() for v in snapshot(engine).values())
    for each in (engine, healthy):
        place(each, [1])
    assert not engine.diverged.any()
    for i in (1, 2):
        engine.step(targets[i])
        healthy.step(targets[i])
    assert not engine.diverged.any()
    assert_same(snapshot(engine), snapshot(healthy))


# -- robots on a fixed base, and what is refused ----------------------------------------------------------------


def test_a_cart_is_driven_and_its_pole_falls(make):
    robot = contract.robots.load("cartpole")
    engine = make(2, robot)
    still = torch.zeros(2, 3)
    joints = torch.tensor([[0.0, 0.1], [0.0, 0.0]])
    engine.reset(torch.arange(2), still, torch.zeros(2, 4), still, still, joints, torch.zeros(2, 2))
    place_of_rail = engine.state.root_pos.clone()
    targets = torch.tensor([[0.0, 0.0], [0.5, 9.0]])[:, None].expand(2, engine.decimation, 2)
    for _ in range(25):
        engine.step(targets)
    state = engine.state
    assert state.joint_pos[0, 1] > 0.3  # its pole has fallen further
    assert state.joint_pos[1, 0] > 0.1  # that cart is on its way
    assert (state.joint_torque[:, 1] == 0.0).all()  # no motor there, whatever the target
    assert torch.equal(state.root_pos, place_of_rail)
    with pytest.raises(UsageError, match="push: the base of cartpole is fixed"):
        engine.push(torch.tensor([0]), still[:1], still[:1])


def test_an_unknown_parameter_is_refused_by_name(make):
    with pytest.raises(UsageError, match=r"no parameter 'ice'.*payload_mass"):
        make().set_parameters(torch.tensor([0]), {"ice": torch.zeros(1, 1)})


def test_engine_by_name():
    engine = engines.make("pybullet", ROBOT, num_envs=1, physics_dt=0.005, decimation=4, threads=0)
    assert engine.name == "pybullet"
    engine.close()
    with pytest.raises(UsageError, match="engine pybullet runs on the processor alone"):
        engines.make("pybullet", ROBOT, num_envs=1, physics_dt=0.005, decimation=4, device="cuda:0")


def test_importing_pybullet_is_silent_and_its_absence_is_an_import_error():
    quiet = subprocess.run(
        [sys.executable, "-c", "import sim.engines.pybullet.quiet"], check=False, capture_output=True
    )
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")
    without = "import sys; sys.modules['pybullet'] = None; import sim.engines.pybullet.quiet"
    missing = subprocess.run([sys.executable, "-c", without], check=False, capture_output=True, text=True)
    assert missing.stderr.splitlines()[-1].startswith("ModuleNotFoundError: ")
