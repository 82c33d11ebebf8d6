"""Reward terms: their value in states where it is plain, their sign, and that a mirror image earns the same."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from go2_states import DEFAULT, JOINTS, ROBOT

import sim.tasks
from sim.env import VecEnv
from sim.symmetry import Mirror, MirrorKind
from sim.tasks import rewards as r
from sim.tasks import terminations

TASK = sim.tasks.load("go2-velocity-flat")
GEOMS = (
    "base_box",
    "head",
    *(f"{leg}_{part}" for leg in ("FL", "FR", "RL", "RR") for part in ("thigh_collision", "foot")),
)
FEET = tuple(GEOMS.index(foot.geom) for foot in ROBOT.feet)


def _env(n=1, **changes):
    """The part of an environment that terms read: n robots that stand still, all feet on the ground, told to stand."""
    force = torch.zeros(n, len(GEOMS))
    force[:, FEET] = 37.0
    foot_pos = torch.zeros(n, 4, 3)
    foot_pos[:, :, 2] = ROBOT.feet[0].radius
    state = SimpleNamespace(
        root_pos=torch.tensor([[0.0, 0.0, ROBOT.standing_height]]).repeat(n, 1),
        root_ang_vel=torch.zeros(n, 3),
        joint_pos=DEFAULT.repeat(n, 1),
        joint_vel=torch.zeros(n, JOINTS),
        joint_torque=torch.zeros(n, JOINTS),
        contact_force=force,
        foot_pos=foot_pos,
        foot_vel=torch.zeros(n, 4, 3),
    )
    env = SimpleNamespace(
        num_envs=n,
        device=torch.device("cpu"),
        robot=ROBOT,
        engine=SimpleNamespace(contact_geoms=GEOMS, foot_columns=FEET, state=state),
        state=state,
        control_period=0.02,
        base_lin_vel=torch.zeros(n, 3),
        gravity=torch.tensor([[0.0, 0.0, -1.0]]).repeat(n, 1),
        command=torch.zeros(n, 3),
        clock=torch.zeros(n),
        default_joint_pos=DEFAULT,
        joint_limits=(torch.from_numpy(ROBOT.joint_lower).float(), torch.from_numpy(ROBOT.joint_upper).float()),
        joint_target=DEFAULT.repeat(n, 1),
        last_joint_target=DEFAULT.repeat(n, 1),
        last_joint_vel=torch.zeros(n, JOINTS),
        foot_contact=torch.ones(n, 4, dtype=torch.bool),
        air_time=torch.full((n, 4), 0.02),
    )
    for name, value in changes.items():
        owner = state if hasattr(state, name) else env
        assert hasattr(owner, name), name
        setattr(owner, name, torch.as_tensor(value))
    return env


def _value(term, **changes):
    value = term(_env(**changes))
    assert value.shape == (1,)
    return value.item()


WALK = [[0.5, 0.0, 0.0]]


def test_standing_as_told_costs_nothing_and_tracks_perfectly():
    env = _env()
    for term in (r.track_lin_vel, r.track_yaw_rate):
        assert term(env).item() == 1.0
    for term in TASK.rewards:
        if term.weight < 0:
            assert term.function(env).item() == pytest.approx(0.0, abs=1e-6), term.name


def test_tracking_is_best_at_the_command_and_the_same_on_both_sides():
    below, at, above = (_value(r.track_lin_vel, command=WALK, base_lin_vel=[[v, 0.0, 0.3]]) for v in (0.3, 0.5, 0.7))
    assert at == 1.0
    assert below == pytest.approx(above)
    assert below == pytest.approx(math.exp(-0.04 / 0.25))
    sideways = _value(r.track_lin_vel, command=WALK, base_lin_vel=[[0.5, 0.2, 0.0]])
    assert sideways == pytest.approx(below)
    yaw = _value(r.track_yaw_rate, command=[[0.0, 0.0, 0.4]], root_ang_vel=[[5.0, 5.0, -0.1]])
    assert yaw == pytest.approx(math.exp(-0.25 / 0.25))


@pytest.mark.parametrize(
    ("term", "changes", "expected"),
    [
        (r.vertical_velocity, {"base_lin_vel": [[1.0, 1.0, -0.5]]}, 0.25),
        (r.roll_pitch_rate, {"root_ang_vel": [[0.3, -0.4, 9.0]]}, 0.25),
        (r.tilt, {"gravity": [[math.sin(0.5), 0.0, -math.cos(0.5)]]}, math.sin(0.5) ** 2),
        (r.base_height, {"root_pos": [[7.0, 7.0, ROBOT.standing_height - 0.1]]}, 0.01),
        (r.torque, {"joint_torque": torch.full((1, JOINTS), -2.0)}, 48.0),
        (r.power, {"joint_torque": torch.full((1, JOINTS), -2.0), "joint_vel": torch.full((1, JOINTS), 3.0)}, 72.0),
        (r.joint_acceleration, {"joint_vel": torch.full((1, JOINTS), 0.2)}, 1200.0),
        (r.target_change, {"joint_target": DEFAULT[None] + 0.1}, 0.12),
        (r.joint_deviation, {"joint_pos": DEFAULT[None] - 0.1}, 0.12),
        (r.standing_deviation, {"joint_pos": DEFAULT[None] - 0.1}, 1.2),
        (r.standing_deviation, {"joint_pos": DEFAULT[None] - 0.1, "command": WALK}, 0.0),
        (r.foot_slip, {"foot_vel": torch.tensor([0.3, 0.4, 5.0]).expand(1, 4, 3)}, 1.0),
        (
            r.foot_slip,
            {"foot_vel": torch.ones(1, 4, 3), "foot_contact": [[True, False, False, False]]},
            2.0,
        ),
        (
            r.foot_clearance,
            {"foot_vel": torch.tensor([0.3, 0.4, 0.0]).expand(1, 4, 3), "command": WALK},
            4 * 0.0064 * 0.5,
        ),
        (r.foot_clearance, {"foot_vel": torch.ones(1, 4, 3)}, 0.0),
        (r.unwanted_contact, {"contact_force": torch.full((1, len(GEOMS)), 5.0)}, 6.0),
        (r.unwanted_contact, {"contact_force": torch.full((1, len(GEOMS)), 0.5)}, 0.0),
    ],
)
def test_values_that_are_plain(term, changes, expected):
    assert _value(term, **changes) == pytest.approx(expected, rel=1e-5)


def test_joint_limits_cost_from_their_margin_on():
    term = r.joint_limit(margin=0.1)
    lower, upper = (torch.from_numpy(v).float() for v in (ROBOT.joint_lower, ROBOT.joint_upper))
    assert _value(term, joint_pos=0.5 * (lower + upper)[None]) == 0.0
    assert _value(term, joint_pos=lower[None]) == pytest.approx(1.2, rel=1e-4)
    assert _value(term, joint_pos=upper[None]) == pytest.approx(1.2, rel=1e-4)
    one = (0.5 * (lower + upper)).clone()
    one[5] = upper[5] - 0.04
    assert _value(term, joint_pos=one[None]) == pytest.approx(0.06, abs=1e-5)


def test_touchdown_after_a_long_swing_pays_and_after_a_short_one_costs():
    contact = torch.tensor([[True, True, True, False]])
    short, long, very_long = (
        _value(r.air_time, command=WALK, foot_contact=contact, air_time=[[seconds, 0.02, 0.02, 0.3]])
        for seconds in (0.1, 0.35, 5.0)
    )
    assert short < 0.0 < long < very_long
    assert long == pytest.approx(-1.5 * short, rel=1e-4)
    assert very_long == pytest.approx(2 * long, rel=1e-4)
    assert _value(r.air_time, command=WALK) == 0.0  # feet that stay on the ground
    assert _value(r.air_time, foot_contact=contact, air_time=[[0.35, 0.02, 0.02, 0.02]]) == 0.0  # told to stand


def test_a_trot_is_diagonal_and_pays_only_while_walking():
    term = r.foot_swing(0.5, (0.0, 0.5, 0.5, 0.0), 0.08)
    feet = torch.zeros(1, 4, 3)
    feet[:, :, 2] = ROBOT.feet[0].radius + torch.tensor([0.08, 0.0, 0.0, 0.08])  # FL and RR at their highest
    perfect = {"foot_pos": feet, "command": WALK, "clock": [0.125]}
    assert _value(term, **perfect) == pytest.approx(1.0)
    assert _value(term, **{**perfect, "clock": [0.625]}) == pytest.approx(1.0, abs=1e-4)
    assert _value(term, **{**perfect, "clock": [0.375]}) < 0.01
    assert _value(term, **{**perfect, "command": [[0.0, 0.0, 0.0]]}) == 0.0


def test_terminations():
    tilted = terminations.tilted(1.0)
    for angle, fallen in ((0.0, False), (0.99, False), (1.01, True), (math.pi, True)):
        gravity = [[math.sin(angle), 0.0, -math.cos(angle)]]
        assert tilted(_env(gravity=gravity)).tolist() == [fallen]
    touches = terminations.touches_ground("base_box", "head")
    for geom, force, ended in (
        ("base_box", 2.0, True),
        ("head", 2.0, True),
        ("head", 0.5, False),
        ("FL_foot", 50.0, False),
    ):
        contact = torch.zeros(1, len(GEOMS))
        contact[0, GEOMS.index(geom)] = force
        assert touches(_env(contact_force=contact)).tolist() == [ended]


# -- symmetry ---------------------------------------------------------------------------------------------------


def _mirrored_pair(seed):
    """A real environment whose row 1 is the left-right mirror image of row 0, in a random state."""
    task = dataclasses.replace(TASK, positive_reward=False)
    env = VecEnv(task, 2, threads=0, auto_reset=False)
    generator = torch.Generator().manual_seed(seed)

    def put(holder, name, kind, original):
        mirror = Mirror(ROBOT, [(kind, original.shape[-1])], TASK.command.mirror_sign)
        setattr(holder, name, torch.stack([original, mirror(original[None])[0]]))

    def noise(size, scale=1.0):
        return scale * torch.randn(size, generator=generator)

    state = env.engine.state
    put(env, "base_lin_vel", MirrorKind.VECTOR, noise(3))
    put(state, "root_ang_vel", MirrorKind.AXIAL, noise(3))
    put(env, "gravity", MirrorKind.VECTOR, torch.nn.functional.normalize(noise(3), dim=0))
    put(env.commands, "value", MirrorKind.COMMAND, noise(3))
    put(state, "joint_pos", MirrorKind.JOINT, DEFAULT + noise(JOINTS, 0.5))
    for holder, name in ((state, "joint_vel"), (state, "joint_torque"), (env, "last_joint_vel")):
        put(holder, name, MirrorKind.JOINT, noise(JOINTS, 5.0))
    for name in ("joint_target", "last_joint_target"):
        put(env, name, MirrorKind.JOINT, DEFAULT + noise(JOINTS, 0.3))
    put(env, "air_time", MirrorKind.FOOT, 0.02 + 0.4 * torch.rand(4, generator=generator))
    put(env, "foot_contact", MirrorKind.FOOT, (noise(4) > 0).float())
    env.foot_contact = env.foot_contact > 0.5

    swap = torch.tensor(ROBOT.mirror.foot_permutation)
    flip = torch.tensor([1.0, -1.0, 1.0])
    for name, scale in (("foot_pos", 0.05), ("foot_vel", 0.5)):
        feet = noise((4, 3), scale)
        setattr(state, name, torch.stack([feet, feet[swap] * flip]))
    state.root_pos = torch.tensor([[0.3, 0.2, 0.29], [0.3, -0.2, 0.29]])
    force = noise(len(GEOMS), 3.0)
    other_side = {"FL": "FR", "FR": "FL", "RL": "RR", "RR": "RL"}
    names = env.engine.contact_geoms
    image = [names.index(other_side.get(n[:2], n[:2]) + n[2:]) for n in names]
    state.contact_force = torch.stack([force, force[image]])
    env.clock = torch.tensor([0.17, 0.17 + 0.25])  # half a gait period later, left and right have changed places
    return env


@pytest.mark.parametrize("seed", range(4))
def test_a_mirror_image_earns_the_same(seed):
    env = _mirrored_pair(seed)
    others = [(f.__name__, f) for f in (r.base_height, r.power, r.air_time, r.foot_clearance)]
    for name, function in [(t.name, t.function) for t in TASK.rewards] + others:
        value = function(env)
        assert torch.allclose(value[0], value[1], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("seed", range(4))
def test_the_critics_view_of_a_mirror_image_is_the_mirror_image_of_its_view(seed):
    env = _mirrored_pair(seed)
    mirror = Mirror(ROBOT, env.critic_parts, TASK.command.mirror_sign)
    view = env.critic_obs()
    assert torch.allclose(mirror(view[:1]), view[1:], atol=1e-5)
    assert torch.equal(mirror(mirror(view)), view)


@pytest.mark.parametrize("seed", range(4))
def test_costs_are_positive_and_their_weights_negative(seed):
    env = _mirrored_pair(seed)
    for term in TASK.rewards:
        value = term.function(env)
        assert value.shape == (2,)
        if term.weight < 0:
            assert (value >= 0.0).all(), term.name
