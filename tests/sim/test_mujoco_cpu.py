"""The MuJoCo engine against mechanics that can be written down, and against itself."""

import io
import itertools
import math

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
    make_engine,
    place,
    set_parameter,
    snapshot,
)

from contract.errors import UsageError
from sim import engines
from sim.engines.mujoco_ground import FLOOR
from sim.engines.mujoco_model import build_model
from sim.rotations import quat_multiply

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _mujoco_log_elsewhere(tmp_path, monkeypatch):
    """MuJoCo appends its warnings to a file in the working directory."""
    monkeypatch.chdir(tmp_path)


def _random_targets(engine, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, engine.num_envs, engine.decimation, JOINTS, generator=generator)
    return DEFAULT + 0.3 * noise


def _mass():
    return float(build_model(ROBOT, 0.005).model.body_mass.sum())


# -- mechanics --------------------------------------------------------------------------------------------------


def test_free_fall_is_that_of_the_integrator():
    """Velocity first, then position: z falls by g dt^2 n (n + 1) / 2 in n steps, 1/2 g t^2 and half a step more."""
    engine = make_engine()
    place(engine, height=IN_THE_AIR)
    for _ in range(10):
        engine.step(hold(engine))
    n, dt = 10 * engine.decimation, engine.physics_dt
    expected = IN_THE_AIR - GRAVITY * dt**2 * n * (n + 1) / 2
    assert engine.state.root_pos[0, 2].item() == pytest.approx(expected, abs=1e-4)
    assert engine.state.root_lin_vel[0, 2].item() == pytest.approx(-GRAVITY * n * dt, abs=1e-4)
    assert torch.allclose(engine.state.joint_pos[0], DEFAULT, atol=1e-4)


def test_step_response_of_the_hips_is_the_second_order_one():
    """I q'' + (kd + damping) q' + kp (q - target) = 0.

    All else that could move is held: hips that swing alike cancel their rolling and yawing torques on the base, a base
    of 10^6 kg does not yield to their forces, its centre of mass is where those forces pitch it no way, thighs and
    calves have rotors of 10^4 kg m^2, and in free fall there is no weight. A physics step of 0.25 ms leaves the
    integrator's error, of first order, below 1 % of the step.
    """
    pose = torch.tensor([0.0, 0.9, -1.5] * 4)
    hips = torch.arange(0, JOINTS, 3)
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    damping = 0.1

    model = build_model(ROBOT, 1e-3).model
    data = mujoco.MjData(model)
    data.qpos[7:] = pose
    mujoco.mj_forward(model, data)
    mass = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, mass)
    inertia = mass[6, 6]
    heave, pitch = (mass[row, 6 + hips] @ sign.numpy() for row in (2, 4))
    centre = np.array([-pitch / heave, 0.0, 0.0])

    engine = make_engine(physics_dt=2.5e-4, decimation=4)
    armature = torch.full((JOINTS,), 1e4)
    armature[hips] = 0.01
    set_parameter(engine, "payload_mass", 1e6)
    set_parameter(engine, "base_com", centre - model.body(ROBOT.base_body).ipos)
    set_parameter(engine, "joint_armature", armature)
    set_parameter(engine, "joint_friction", 0.0)
    set_parameter(engine, "joint_damping", damping)
    place(engine, height=1000.0, joint_pos=pose)
    step = torch.zeros(JOINTS)
    step[hips] = 0.2 * sign

    kp, kd = ROBOT.kp[0], ROBOT.kd[0] + damping
    omega, decay = math.sqrt(kp / inertia), kd / (2 * inertia)
    damped = math.sqrt(omega**2 - decay**2)  # under-damped, or this raises
    measured = []
    for _ in range(300):
        engine.step(hold(engine, pose + step))
        measured.append(engine.state.joint_pos[0, hips] / step[hips])
    t = 1e-3 * torch.arange(1, 301)
    expected = 1 - torch.exp(-decay * t) * (torch.cos(damped * t) + decay / damped * torch.sin(damped * t))
    assert expected.max() > 1.2  # it overshoots, so that inertia, stiffness and damping all show
    assert (torch.stack(measured) - expected[:, None]).abs().max() < 0.01


def test_torque_is_that_of_the_servo_and_stops_at_the_effort_limit():
    engine = make_engine(2, decimation=1)
    speed = torch.linspace(-2.0, 2.0, JOINTS)
    place(engine, height=IN_THE_AIR, joint_vel=speed)
    targets = torch.stack([DEFAULT + 0.3, DEFAULT - 100.0])
    engine.step(hold(engine, targets))
    kp, kd = torch.from_numpy(ROBOT.kp).float(), torch.from_numpy(ROBOT.kd).float()
    assert torch.allclose(engine.state.joint_torque[0], kp * 0.3 - kd * speed, atol=1e-4)
    assert torch.allclose(engine.state.joint_torque[1], -torch.from_numpy(ROBOT.joint_effort_limit).float())


def test_contact_forces_of_a_standing_robot_carry_its_weight():
    engine = make_engine()
    for _ in range(100):
        engine.step(hold(engine))
    forces = engine.state.contact_force[0]
    assert forces.sum().item() == pytest.approx(_mass() * GRAVITY, rel=0.02)
    feet = forces[list(engine.foot_columns)]
    assert (feet > 10.0).all()
    assert torch.allclose(feet.sum(), forces.sum())


def test_each_collision_geom_reports_its_own_contact():
    """Lying on its belly the base touches; upside down neither does a foot; a foot column is the foot's."""
    engine = make_engine(2)
    upside_down = torch.tensor([0.0, 1.0, 0.0, 0.0])
    place(engine, [0], height=0.08, joint_pos=torch.tensor(ROBOT.rest_pose))
    place(engine, [1], height=0.07, root_quat=upside_down)
    for _ in range(50):
        engine.step(hold(engine, torch.stack([torch.tensor(ROBOT.rest_pose), DEFAULT])))
    base = engine.contact_geoms.index("base_box")
    assert (engine.state.contact_force[:, base] > 1.0).all()
    assert (engine.state.contact_force[1, list(engine.foot_columns)] == 0.0).all()
    assert [engine.contact_geoms[c] for c in engine.foot_columns] == [f.geom for f in ROBOT.feet]


def test_a_folded_robot_stays_on_the_ground():
    """Belly, thighs and feet touch and calves rest on their stops: a solver that is cut short throws it up."""
    engine = make_engine(32)
    rest = torch.tensor(ROBOT.rest_pose)
    set_parameter(engine, "friction", torch.linspace(0.15, 1.2, 32)[:, None])
    place(engine, height=0.08, joint_pos=rest)
    for _ in range(60):
        engine.step(hold(engine, rest))
        assert (engine.state.root_pos[:, 2] < 0.1).all()
    weight = engine.state.contact_force.sum(dim=1)
    assert torch.allclose(weight.mean(), torch.tensor(_mass() * GRAVITY), rtol=0.05)


@pytest.mark.parametrize("friction", [0.2, 0.5, 0.8])
def test_sliding_slows_down_at_mu_g(friction):
    """On its belly, legs up, along a contact axis, where the pyramid of friction is as wide as the cone.

    The belly hops a little, so that the force is right on average only.
    """
    engine = make_engine(physics_dt=0.001, decimation=20)
    legs_up = torch.tensor([0.0, 3.14, -1.0] * 4)
    set_parameter(engine, "friction", friction)
    place(engine, height=0.057, joint_pos=legs_up)
    for _ in range(25):
        engine.step(hold(engine, legs_up))
    engine.push(torch.tensor([0]), torch.tensor([[2.0, 0.0, 0.0]]), torch.zeros(1, 3))
    for _ in range(10):
        engine.step(hold(engine, legs_up))
    slowed = 2.0 - engine.state.root_lin_vel[0, 0].item()
    assert slowed / 0.2 == pytest.approx(friction * GRAVITY, rel=0.1)


def test_only_the_robots_friction_counts():
    one, other = make_engine(), make_engine()
    other._models[0].geom(FLOOR).friction = [0.01, 0.0, 0.0]
    for engine in (one, other):
        place(engine, root_lin_vel=torch.tensor([0.5, 0.3, 0.0]))
        for _ in range(10):
            engine.step(hold(engine))
    assert_same(snapshot(one), snapshot(other))


def test_a_push_adds_its_velocity_to_the_whole_robot():
    engine = make_engine(2)
    place(engine, height=IN_THE_AIR)
    engine.push(torch.tensor([1]), torch.tensor([[0.5, -0.3, 0.0]]), torch.zeros(1, 3))
    assert torch.allclose(engine.state.root_lin_vel[1], torch.tensor([0.5, -0.3, 0.0]))
    for _ in range(10):
        engine.step(hold(engine))
    moved = engine.state.root_pos[1] - engine.state.root_pos[0]
    assert torch.allclose(moved, 0.2 * torch.tensor([0.5, -0.3, 0.0]), atol=1e-4)
    assert torch.allclose(engine.state.joint_pos[1], engine.state.joint_pos[0], atol=1e-5)


# -- conventions ------------------------------------------------------------------------------------------------


def test_joints_are_in_the_order_of_the_description():
    engine = make_engine(JOINTS)
    place(engine, height=IN_THE_AIR)
    for _ in range(5):
        engine.step(hold(engine, DEFAULT + 0.2 * torch.eye(JOINTS)))
    moved = (engine.state.joint_pos - DEFAULT).abs()
    assert torch.equal(moved.argmax(dim=1), torch.arange(JOINTS))
    model = build_model(ROBOT, 0.005).model
    assert tuple(model.actuator(i).name for i in range(model.nu)) == ROBOT.joint_names
    assert [int(model.actuator_trnid[i, 0]) for i in range(model.nu)] == list(range(1, JOINTS + 1))


def test_orientation_is_wxyz_world_from_base_and_the_spin_is_in_the_base_frame():
    """A robot rolled by 90 degrees spins about its own z axis, which lies along -y of the world."""
    engine = make_engine()
    half = math.pi / 4
    rolled = torch.tensor([math.cos(half), math.sin(half), 0.0, 0.0])
    rate = 2.0
    place(engine, height=IN_THE_AIR, root_quat=rolled, root_ang_vel=torch.tensor([0.0, 0.0, rate]))
    engine.step(hold(engine))
    angle = 0.5 * rate * 0.02
    expected = quat_multiply(rolled, torch.tensor([math.cos(angle), 0.0, 0.0, math.sin(angle)]))
    assert torch.allclose(engine.state.root_quat[0], expected, atol=2e-3)
    # Were the spin about the world's z, this component would be 0.02.
    assert engine.state.root_quat[0, 3].item() == pytest.approx(math.cos(half) * math.sin(angle), abs=2e-3)
    assert torch.allclose(engine.state.root_ang_vel[0], torch.tensor([0.0, 0.0, rate]), atol=0.1)


def test_the_trace_ends_in_the_state():
    engine = make_engine(2)
    for targets in _random_targets(engine, 3):
        engine.step(targets)
        for name, trace in vars(engine.trace).items():
            assert trace.shape[1] == engine.decimation
            assert torch.equal(trace[:, -1], getattr(engine.state, name))
            assert not torch.equal(trace[:, 0], trace[:, -1])


def test_feet_are_where_kinematics_puts_them():
    engine = make_engine()
    place(engine, height=IN_THE_AIR, root_lin_vel=torch.tensor([1.0, 0.0, 0.0]))
    placed = engine.state.foot_pos[0].clone()
    model = build_model(ROBOT, 0.005).model
    data = mujoco.MjData(model)
    data.qpos[:3], data.qpos[7:] = [0, 0, IN_THE_AIR], ROBOT.default_joint_pos
    mujoco.mj_kinematics(model, data)
    geoms = [model.geom(f.geom).id for f in ROBOT.feet]
    np.testing.assert_allclose(placed.numpy(), data.geom_xpos[geoms], atol=1e-6)
    engine.step(hold(engine))
    # Foot positions are one physics step old, hence three steps of 5 ms after the start.
    assert torch.allclose(engine.state.foot_pos[0, :, 0] - placed[:, 0], torch.tensor(0.015), atol=1e-4)
    assert torch.allclose(engine.state.foot_vel[0, :, 0], torch.tensor(1.0), atol=1e-2)


# -- environments do not touch each other -----------------------------------------------------------------------


def test_reset_of_some_leaves_the_others_alone():
    one, other = make_engine(3), make_engine(3)
    targets = _random_targets(one, 10)
    for i in range(10):
        if i == 5:
            place(one, [1], height=1.0)
            assert torch.equal(one.state.root_pos[1], torch.tensor([0.0, 0.0, 1.0]))
        one.step(targets[i])
        other.step(targets[i])
    assert_same(snapshot(one), snapshot(other), rows=[0, 2])
    assert not torch.equal(one.state.root_pos[1], other.state.root_pos[1])


def test_a_reset_forgets_what_was_before():
    used, fresh = make_engine(), make_engine()
    for targets in _random_targets(used, 5):
        used.step(targets)
    for engine in (used, fresh):
        place(engine)
    assert_same(snapshot(used), snapshot(fresh))
    for targets in _random_targets(used, 5, seed=1):
        used.step(targets)
        fresh.step(targets)
    assert_same(snapshot(used), snapshot(fresh))


def test_the_number_of_threads_changes_no_bit():
    results = []
    for threads in (0, 1, 3):
        engine = make_engine(7, threads=threads)
        set_parameter(engine, "payload_mass", torch.linspace(-1.0, 2.0, 7)[:, None])
        for targets in _random_targets(engine, 15):
            engine.step(targets)
        results.append(snapshot(engine))
        engine.close()
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


@pytest.mark.parametrize("decimation", [1, 4])
@pytest.mark.parametrize("fault", ["nan target", "infinite target", "speed 1e9", "speed 1e12", "fast base"])
def test_a_diverged_environment_is_flagged_and_harms_no_other(fault, decimation):
    """Also in its very first physics step, where MuJoCo's own repair would leave the clock as if all were well."""
    engine, healthy = make_engine(3, decimation=decimation), make_engine(3, decimation=decimation)
    targets = _random_targets(engine, 6)
    broken = targets.clone()
    if fault == "nan target":
        broken[0, 1, -1, 2] = math.nan
    elif fault == "infinite target":
        broken[0, 1, 0, 0] = math.inf
    elif fault == "fast base":
        place(engine, [1], height=IN_THE_AIR, root_lin_vel=torch.tensor([0.0, 200.0, 0.0]))
    else:
        place(engine, [1], joint_vel=torch.tensor([float(fault.split()[1])] + [0.0] * 11))
    engine.step(broken[0])
    healthy.step(targets[0])
    assert engine.diverged.tolist() == [False, True, False]
    assert all(torch.isfinite(v).all() for v in snapshot(engine).values())
    assert_same(snapshot(engine), snapshot(healthy), rows=[0, 2])

    for each in (engine, healthy):
        place(each, [1])
    assert not engine.diverged.any()
    for i in range(1, 6):
        engine.step(targets[i])
        healthy.step(targets[i])
        assert not engine.diverged.any()
    assert_same(snapshot(engine), snapshot(healthy))


# -- parameters -------------------------------------------------------------------------------------------------

# What MuJoCo derives from masses and rotor inertias.
_DERIVED = {"body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "dof_length", "actuator_acc0"}
_TURNED = {"body_iquat", "bvh_aabb"}  # another order of the principal axes is another frame
_FIELDS = {
    "friction": (0.3, {"geom_friction"}, set()),
    "foot_friction_factor": ([0.5, 0.9, 1.1, 1.6], {"geom_friction"}, set()),
    "payload_mass": (2.0, {"body_mass"}, _DERIVED),
    "payload_pos": ([0.05, 0.0, 0.1], set(), set()),  # of no payload
    "base_mass_factor": (1.4, {"body_mass", "body_inertia"}, _DERIVED | _TURNED),
    "base_stretch": ([0.2, 0.0, -0.1], {"body_inertia"}, _DERIVED | _TURNED),
    "base_shear": ([0.1, 0.2, -0.1], {"body_inertia", "body_iquat"}, _DERIVED | _TURNED),
    "link_mass_factor": (torch.linspace(0.7, 1.3, 12).tolist(), {"body_mass", "body_inertia"}, _DERIVED),
    "battery_sag": (0.3, {"actuator_forcerange"}, set()),
    "joint_stop_margin": (0.1, {"jnt_range"}, set()),
    "gravity_offset": ([0.1, 0.2, 0.3], set(), set()),  # not an array of the model itself
    "base_force": ([1.0, 2.0, 3.0], set(), set()),  # acts in a step, as does the torque
    "base_torque": ([1.0, 2.0, 3.0], set(), set()),
    "base_com": ([0.03, -0.02, 0.01], {"body_ipos", "bvh_aabb"}, _DERIVED),
    "motor_strength": (0.5, {"actuator_gainprm", "actuator_biasprm", "actuator_forcerange"}, set()),
    "kp_factor": (1.5, {"actuator_gainprm", "actuator_biasprm"}, set()),
    "kd_factor": (1.5, {"actuator_biasprm"}, set()),
    "joint_friction": (0.7, {"dof_frictionloss"}, set()),
    "joint_damping": (0.7, {"dof_damping"}, set()),
    "joint_armature": (0.05, {"dof_armature"}, _DERIVED),
}


def _model_arrays(model):
    fields = {n: getattr(model, n) for n in dir(model) if not n.startswith("_")}
    return {n: np.array(v) for n, v in fields.items() if isinstance(v, np.ndarray)}


def _changed(before, after):
    return {n for n in before if not np.allclose(before[n], after[n], rtol=1e-9, atol=1e-12, equal_nan=True)}


def test_every_parameter_is_tried():
    assert set(_FIELDS) == set(make_engine().capabilities.parameters)


@pytest.mark.parametrize("name", sorted(_FIELDS))
def test_a_parameter_changes_what_it_says_in_its_environment_alone(name):
    value, fields, derived = _FIELDS[name]
    engine = make_engine(2)
    before = [_model_arrays(m) for m in engine._models]
    set_parameter(engine, name, value, [1])
    after = [_model_arrays(m) for m in engine._models]
    assert not _changed(before[0], after[0])
    changed = _changed(before[1], after[1])
    assert fields <= changed <= fields | derived

    # The nominal value brings the nominal robot back.
    set_parameter(engine, name, engine.capabilities.parameters[name].nominal, [1])
    assert not _changed(before[1], _model_arrays(engine._models[1]))


def test_parameters_set_one_by_one_or_together_give_one_robot():
    together, one_by_one = make_engine(), make_engine()
    values = {n: torch.as_tensor(v[0]).expand(1, s) for n, v, s in _sized(together)}
    together.set_parameters(torch.tensor([0]), values)
    for name in reversed(values):
        one_by_one.set_parameters(torch.tensor([0]), {name: values[name]})
    assert not _changed(*(_model_arrays(e._models[0]) for e in (together, one_by_one)))


def _sized(engine):
    return [(n, v, engine.capabilities.parameters[n].size) for n, v in _FIELDS.items()]


def test_motor_parameters_change_the_torque_as_they_say():
    """Rows: nominal, strength, kp, kd; and the same saturated."""
    engine = make_engine(8, decimation=1)
    for offset in (0, 4):
        set_parameter(engine, "motor_strength", 0.8, [1 + offset])
        set_parameter(engine, "kp_factor", 1.2, [2 + offset])
        set_parameter(engine, "kd_factor", 1.4, [3 + offset])
    place(engine, height=IN_THE_AIR, joint_vel=torch.ones(JOINTS))
    targets = DEFAULT + torch.tensor([0.2] * 4 + [50.0] * 4)[:, None]
    engine.step(hold(engine, targets))
    kp, kd, limit = (torch.from_numpy(v).float() for v in (ROBOT.kp, ROBOT.kd, ROBOT.joint_effort_limit))
    asked = torch.stack([0.2 * kp - kd, 0.8 * (0.2 * kp - kd), 0.24 * kp - kd, 0.2 * kp - 1.4 * kd])
    saturated = torch.stack([limit, 0.8 * limit, limit, limit])
    assert torch.allclose(engine.state.joint_torque, torch.cat([asked, saturated]), atol=1e-4)


def test_a_payload_is_carried_and_a_shifted_centre_of_mass_loads_its_side():
    engine = make_engine(4)
    set_parameter(engine, "payload_mass", 2.0, [1])
    set_parameter(engine, "base_com", [0.03, 0.0, 0.0], [2])
    set_parameter(engine, "base_com", [0.0, 0.03, 0.0], [3])
    for _ in range(100):
        engine.step(hold(engine))
    feet = engine.state.contact_force[:, list(engine.foot_columns)]  # FL FR RL RR
    weight = feet.sum(dim=1)
    assert (weight[1] - weight[0]).item() == pytest.approx(2.0 * GRAVITY, rel=0.1)
    assert torch.allclose(weight[2:], weight[0], rtol=0.02)
    assert feet[2, :2].sum() > feet[0, :2].sum() + 3.0
    assert feet[3, ::2].sum() > feet[0, ::2].sum() + 3.0


def test_a_shifted_centre_of_mass_moves_no_surface():
    """On its back, the base a millimetre into the ground: wherever its centre of mass is, it touches alike."""
    engine = make_engine(9)
    shifts = [[0.0] * 3, *itertools.product((-0.03, 0.03), repeat=3)]
    set_parameter(engine, "base_com", shifts)
    place(engine, height=0.056, root_quat=torch.tensor([0.0, 1.0, 0.0, 0.0]))
    engine.step(hold(engine))
    assert (engine.state.contact_force[:, engine.contact_geoms.index("base_box")] > 100.0).all()


def test_joint_friction_damping_and_armature_act_on_the_joints():
    """Hips that coast in free fall: rows nominal, friction, damping; and one that is driven, with a heavy rotor."""
    engine = make_engine(5)
    set_parameter(engine, "kp_factor", 0.0, [0, 1, 2])
    set_parameter(engine, "kd_factor", 0.0, [0, 1, 2])
    set_parameter(engine, "joint_friction", 0.6, [1])
    set_parameter(engine, "joint_damping", 0.6, [2])
    set_parameter(engine, "joint_armature", 0.1, [4])
    spin = torch.zeros(5, JOINTS)
    spin[:3, 0] = 2.0
    place(engine, height=IN_THE_AIR, joint_vel=spin)
    kick = torch.zeros(5, JOINTS)
    kick[3:, 0] = 0.2
    engine.step(hold(engine, DEFAULT + kick))
    speed = engine.state.joint_vel[:, 0]
    assert 0.0 < speed[1] < speed[0] - 0.05
    assert 0.0 < speed[2] < speed[0] - 0.05
    assert 0.0 < speed[4] < 0.8 * speed[3]


def test_an_unknown_parameter_is_refused_by_name():
    engine = make_engine()
    with pytest.raises(UsageError, match=r"no parameter 'ice'.*payload_mass"):
        engine.set_parameters(torch.tensor([0]), {"ice": torch.zeros(1, 1)})


# -- checkpoints and construction -------------------------------------------------------------------------------


def test_a_loaded_state_goes_on_bit_for_bit():
    engine, other = make_engine(2), make_engine(2)
    set_parameter(engine, "payload_mass", [[1.0], [-0.5]])
    set_parameter(engine, "motor_strength", torch.linspace(0.9, 1.1, JOINTS))
    set_parameter(other, "friction", 0.1)  # to be overwritten
    targets = _random_targets(engine, 20)
    for i in range(5):
        engine.step(targets[i])
    file = io.BytesIO()
    torch.save(engine.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_same(snapshot(engine), snapshot(other))
    for i in range(5, 20):
        engine.step(targets[i])
        other.step(targets[i])
        assert_same(snapshot(engine), snapshot(other))


def test_a_saved_state_is_a_copy():
    engine = make_engine()
    saved = engine.state_dict()
    before = {name: value.clone() for name, value in saved["fields"].items()}
    engine.step(hold(engine, DEFAULT + 0.5))
    engine.push(torch.tensor([0]), torch.ones(1, 3), torch.ones(1, 3))
    assert all(torch.equal(before[n], saved["fields"][n]) for n in before)
    assert torch.equal(saved["state"][0, 1:4].float(), before["root_pos"][0])


def test_engines_by_name():
    assert "mujoco_cpu" in engines.names()
    engine = engines.make("mujoco_cpu", ROBOT, num_envs=1, physics_dt=0.005, decimation=4, threads=0)
    assert engine.name == "mujoco_cpu"
    engine.close()
    with pytest.raises(UsageError, match=r"unknown engine 'mujoco_gpu'.*did you mean 'mujoco_cpu'"):
        engines.make("mujoco_gpu", ROBOT, num_envs=1, physics_dt=0.005, decimation=4)
