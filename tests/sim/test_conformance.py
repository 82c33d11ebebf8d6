"""Every installed engine keeps the laws of `sim.conformance`, and a law sees an engine that breaks it."""

import functools
import itertools
from collections.abc import Iterator

import broken_engines as broken
import pytest

from sim import engines
from sim.conformance import LAWS, Bench, Law, judge
from sim.conformance.parameters import JUDGES
from sim.conformance.robots import BALL, BLOCK, RIG, TWO_ARMS

INSTALLED = [name for name in engines.names() if engines.missing_module(name) is None]
BY_NAME = {law.name: law for law in LAWS}


def _in_a_worker_of_its_own(name: str):
    """Engines are built once a worker, and Warp compiles for minutes: no two workers should."""
    return pytest.param(name, marks=pytest.mark.xdist_group("warp" if name == "mujoco_warp" else name))


@pytest.fixture(scope="module", params=[_in_a_worker_of_its_own(name) for name in INSTALLED])
def bench(request) -> Iterator[Bench]:
    with Bench(functools.partial(engines.make, request.param, threads=0, device="cpu")) as bench:
        yield bench


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_an_engine_keeps_the_law(bench: Bench, law: Law):
    outcome = judge(law, bench)
    assert not outcome.failure
    if outcome.measurement is None:
        assert outcome.not_offered
    else:
        measured = outcome.measurement
        assert outcome.holds, f"{measured.deviation:.3g} {measured.unit} is more than {measured.tolerance:.3g}"


@pytest.mark.parametrize("robot", [BALL, BLOCK, RIG, TWO_ARMS], ids=lambda robot: robot.name)
def test_every_parameter_of_an_engine_has_its_law(bench: Bench, robot):
    setup = next(law.setup for law in LAWS if law.setup.robot == robot)
    assert set(bench.engine(setup).capabilities.parameters) <= set(JUDGES)


def test_laws_have_names_of_their_own_and_say_what_holds():
    assert len(BY_NAME) == len(LAWS)
    assert all(law.statement.endswith(".") for law in LAWS)


def test_the_bench_builds_each_setup_once():
    """Laws that share a setup follow each other."""
    setups = [law.setup for law in LAWS]
    changes = sum(a != b for a, b in itertools.pairwise(setups))
    assert changes == len(set(setups)) - 1


def test_what_an_engine_says_that_it_lacks_is_not_held_against_it():
    with Bench(functools.partial(broken.Modest, threads=0)) as bench:
        outcomes = {law.name: judge(law, bench) for law in LAWS}
    lacking = {name: outcome.not_offered for name, outcome in outcomes.items() if outcome.not_offered}
    assert lacking == {
        "friction": "no parameter friction",
        "terrain_stairs": "no terrain Stairs",
        "terrain_rough": "no terrain Rough",
        "terrain_boxes": "no terrain Boxes",
        **dict.fromkeys(
            ("weight", "contact_columns", "payload_mass", "base_mass_factor", "weight_alone", "no_self_collision"),
            "contact forces are not measured",
        ),
        "restitution": "no parameter restitution",
    }
    assert all(outcome.holds for name, outcome in outcomes.items() if name not in lacking)


def test_an_error_of_an_engine_is_an_outcome():
    with Bench(functools.partial(broken.Crashing, threads=0)) as bench:
        outcome = judge(BY_NAME["free_fall"], bench)
    assert outcome.failure == "RuntimeError: the solver gave up"
    assert not outcome.holds


# -- a law sees what is wrong -----------------------------------------------------------------------------------

BROKEN = [
    ("orientation", broken.ScalarLast),
    ("orientation", broken.SpinInTheWorld),
    ("frames", broken.CentreOfMass),
    ("push", broken.VelocityInTheBase),
    ("joint_order", broken.BreadthFirst),
    ("saturation", broken.NoEffortLimit),
    ("step_response", broken.SoftServo),
    ("pendulum_energy", broken.Damped),
    ("passive", broken.Damped),
    ("passive", broken.Braked),
    ("free_fall", broken.WeakGravity),
    ("weight", broken.WeakGravity),
    ("no_self_collision", broken.SelfCollision),
    ("joint_stops", broken.NoStops),
    ("friction_sticks", broken.SlipperyFloor),
    ("friction_slips", broken.SlipperyFloor),
    ("friction_direction", broken.SlipperyFloor),
    ("targets_in_steps", broken.OneTarget),
    ("trace_times", broken.LateTrace),
    ("trace_end", broken.LateTrace),
    ("foot_velocity", broken.StaleFeet),
    ("servo_torque", broken.TorqueAsked),
    ("motor_torque", broken.TorqueAsked),
    ("contact_columns", broken.SwappedContacts),
    ("weight", broken.HalfTheContacts),
    ("fixed_base", broken.WanderingBase),
    ("reset_isolation", broken.EveryoneIsReset),
    ("push_isolation", broken.EveryoneIsPushed),
    ("parameter_isolation", broken.EveryoneIsSet),
    ("divergence_isolation", broken.EveryoneDiverges),
    ("divergence", broken.NeverDiverges),
    ("divergence", broken.Poisoned),
    ("determinism", broken.Unrepeatable),
    ("reset_forgets", broken.Remembers),
    ("checkpoint", broken.ForgetsParameters),
    ("refusals", broken.Permissive),
    ("layout", broken.DoublePrecision),
    ("terrain_flat", broken.Sunk),
    ("terrain_slope", broken.Sunk),
    ("terrain_stairs", broken.Sunk),
    ("terrain_boxes", broken.Sunk),
    ("terrain_rough", broken.WrongDiagonals),
    *((name, broken.ignoring(name)) for name in JUDGES if name != "restitution"),
    *((name, broken.EveryoneIsSet) for name in JUDGES if name != "restitution"),
    ("restitution", broken.Dead),
    ("base_inertia", broken.ignoring("base_shear")),
    ("joint_friction_sticks", broken.ignoring("joint_friction")),
    ("weight_alone", broken.also_setting("joint_damping", "payload_mass", 1.0)),
    ("flight_alone", broken.also_setting("friction", "base_com", 0.1)),
    ("slide_alone", broken.also_setting("payload_mass", "friction", 0.1)),
    ("joints_alone", broken.also_setting("friction", "joint_damping", 0.1)),
]


@pytest.mark.parametrize(
    ("law", "engine"), BROKEN, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_a_law_sees_an_engine_that_breaks_it(law: str, engine: type):
    make = functools.partial(engine, threads=0)
    with Bench(make) as bench:
        outcome = judge(BY_NAME[law], bench)
    assert outcome.measurement is not None, outcome.failure
    assert not outcome.holds, f"{outcome.measurement.deviation:.3g} is within {outcome.measurement.tolerance:.3g}"


def test_each_law_has_an_engine_that_breaks_it():
    assert {law for law, _ in BROKEN} == set(BY_NAME)


def test_nan_is_within_no_tolerance():
    """Comparisons with NaN are false, and `max` passes over it."""
    with Bench(functools.partial(broken.NotANumber, threads=0)) as bench:
        held = {law.name for law in LAWS if judge(law, bench).holds}
    assert held == {"layout", "refusals"}
