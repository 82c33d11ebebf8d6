"""The gap between two engines: known faults are put into one, and the comparison must see through them."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import balancing_policy
import faulty_engine
import fixed_pose_policy
import numpy as np
import pytest
from faulty_engine import HIPS, Maker, with_borders, with_parameters
from rich.console import Console

from contract.errors import BundleError, LandbridgeError, UsageError
from contract.policy_contract import CommandRange
from policies import bundles
from policies.gap import report as gap_report
from policies.gap.measure import Gap, GapResult, measure
from sim import engines

GO2 = bundles.path("go2-velocity-flat")
STANDING, FOLDED = fixed_pose_policy.STANDING, fixed_pose_policy.FOLDED
PERIOD = 0.02  # s

Against = Callable[..., GapResult]


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch) -> Against:
    """Compares a bundle in MuJoCo and in an engine with a fault."""

    def compare(maker: Maker, bundle: Path = GO2) -> GapResult:
        monkeypatch.setitem(engines._MAKERS, "faulty", maker)
        monkeypatch.setitem(engines._MODULES, "faulty", ())
        return short(bundle, "mujoco_cpu", "faulty").result

    return compare


def short(bundle: Path, first: str, second: str) -> Gap:
    return measure(bundle, first, second, leg_seconds=0.24, states=32, threads=0)


@pytest.fixture(scope="module")
def same() -> Gap:
    return short(GO2, "mujoco_cpu", "mujoco_cpu")


def test_an_engine_has_no_gap_to_itself(same: Gap) -> None:
    result = same.result
    assert result.passed
    assert result.cause == "none"
    assert not result.findings
    assert result.parts_first is None
    assert result.second == "mujoco_cpu (again)"
    assert all(row.size == 0.0 for row in result.differences)
    for channel in same.channels["closed"] + same.channels["open"]:
        assert np.abs(channel.difference).max() < 1e-12, channel.signal
    # An engine is put into a state to rounding, and the yardsticks are not nothing.
    assert all(row.reset < 1e-4 < row.trained for row in result.differences if row.where == "ground")


@pytest.mark.parametrize(
    ("maker", "signal", "elements", "says"),
    [
        (with_borders(targets=HIPS), "target", set(HIPS), "FL_hip_joint and FR_hip_joint are swapped"),
        (with_borders(joints=HIPS), "joint_pos", set(HIPS), "FL_hip_joint and FR_hip_joint are swapped"),
        (with_borders(readings=HIPS), "joint_pos", set(HIPS), "FL_hip_joint and FR_hip_joint are swapped"),
        (
            with_borders(targets={"FL_hip_joint": "FL_calf_joint", "FL_calf_joint": "FL_hip_joint"}),
            "target",
            {"FL_hip_joint", "FL_calf_joint"},
            "FL_hip_joint and FL_calf_joint are swapped",
        ),
        (with_borders(reversed_joints=("RR_calf_joint",)), "joint_pos", {"RR_calf_joint"}, "RR_calf_joint is reversed"),
        (with_borders(target_offset=STANDING), "target", None, "the default pose, once more"),
        (with_borders(xyzw=True), "imu_quat", set(), "the order is (x, y, z, w)"),
        (with_borders(periods=2), "control period", set(), "the contract says 20 ms"),
        (with_parameters(kp_factor=0.8), "torque", None, "another kp than the contract, in N m/rad: 20 for 25"),
        (with_parameters(motor_strength=0.0), "torque", None, "do not follow their targets"),
        (with_parameters(kd_factor=1.3), "torque", None, "another kd than the contract, in N m s/rad: 0.65 for 0.5"),
    ],
    ids=["targets", "joints", "readings", "hip-calf", "reversed", "offset", "xyzw", "period", "kp", "dead", "kd"],
)
def test_names_a_breach_of_the_contract(
    against: Against, maker: Maker, signal: str, elements: set[str] | None, says: str
) -> None:
    result: GapResult = against(maker)
    assert result.cause == "contract"
    assert not result.passed
    found = result.findings[0]
    assert (found.fault, found.engine, found.signal) == ("contract", "faulty", signal)
    assert says in found.sentence
    assert says in result.summary
    if elements is not None:
        assert set(found.elements) == elements
    # One fault is one finding; of swapped readings position and velocity are both wrong.
    assert all(says in f.sentence for f in result.findings)
    # What the contract breaks is no difference of physics.
    assert not result.explanations


def test_says_which_signal_parts_first_and_when(against: Against) -> None:
    result: GapResult = against(with_borders(reversed_joints=("RR_calf_joint",)))
    first = result.parts_first
    assert first is not None
    # Equal signals, equal targets, and the motor of that joint pushes the wrong way in the first step.
    assert (first.group, first.element, first.time) == ("torque", "RR_calf_joint", pytest.approx(PERIOD))
    assert first.size > 10.0 * first.tolerance
    assert [parting.group for parting in result.closed] == ["observation", "target", "torque", "contact", "base motion"]
    observation, target = result.closed[:2]
    assert observation.time == target.time == pytest.approx(PERIOD)
    assert observation.element == "RR_calf_joint"
    # Open loop the targets are the same by definition.
    assert [parting.group for parting in result.open] == ["observation", "torque", "contact", "base motion"]


def test_a_misread_signal_parts_before_anything_has_moved(against: Against) -> None:
    result: GapResult = against(with_borders(xyzw=True))
    assert result.parts_first is not None
    assert (result.parts_first.signal, result.parts_first.time) == ("imu_quat", 0.0)


@pytest.mark.parametrize(
    ("parameters", "where", "trained"),
    [
        ({"friction": 0.4}, "ground", True),
        ({"friction": 0.25}, "ground", False),
        ({"payload_mass": 2.0}, "air", True),
        ({"joint_damping": 0.25}, "air", True),
    ],
    ids=["friction", "ice", "payload", "damping"],
)
def test_names_the_parameter_that_differs_and_its_value(
    against: Against, parameters: dict[str, float], where: str, trained: bool
) -> None:
    result: GapResult = against(with_parameters(**parameters))
    ((name, value),) = parameters.items()
    assert result.cause == "physics"
    explanation = next(e for e in result.explanations if e.where == where)
    (like,) = explanation.equivalents
    assert (like.parameter, like.value) == (name, pytest.approx(value, rel=0.02))
    assert like.trained is trained
    assert explanation.explained > 0.99
    assert [f.signal for f in result.findings] == [name]
    assert f"moves like mujoco_cpu with {name} {like.value:.3g} " in result.summary


def test_names_two_parameters_one_from_the_air_and_one_from_the_ground(against: Against) -> None:
    result: GapResult = against(with_parameters(payload_mass=1.5, friction=0.4))
    air, ground = result.explanations
    assert [(e.parameter, e.value) for e in air.equivalents] == [("payload_mass", pytest.approx(1.5, rel=0.02))]
    assert [(e.parameter, e.value) for e in ground.equivalents] == [("friction", pytest.approx(0.4, rel=0.02))]
    assert {f.signal for f in result.findings} == {"payload_mass", "friction"}


def test_knows_a_finer_physics_step_from_another_robot(against: Against) -> None:
    result: GapResult = against(with_borders(finer=2))
    assert result.cause == "physics"
    for explanation in result.explanations:
        (like,) = explanation.equivalents
        assert (like.parameter, like.unit) == ("physics step", "s")
        assert like.value == pytest.approx(0.0025, rel=1e-3)


def test_higher_ground_is_another_task(against: Against) -> None:
    result: GapResult = against(with_borders(higher_ground=0.02))
    assert result.cause == "task"
    assert not result.passed
    assert result.findings[0].signal == "ground height"
    assert result.findings[0].size == pytest.approx(0.02, abs=0.001)


def test_an_independent_solver_keeps_the_contract_and_differs_in_contact() -> None:
    result = short(GO2, "mujoco_cpu", "pybullet").result
    assert result.cause == "physics"
    assert {finding.fault for finding in result.findings} == {"physics"}
    # Hard contacts where MuJoCo's give way: most of the difference is on the ground, and feet touch at other times.
    assert "from the states of the run" in result.findings[0].sentence
    assert result.touch is not None
    assert 0.0 < result.touch.earlier + result.touch.later < 0.5
    assert result.passed, result.summary


def test_commands_beyond_training_are_the_tasks_fault(tmp_path: Path) -> None:
    narrow = {"command": CommandRange(("vx", "vy", "yaw_rate"), (-0.5, -0.5, -1.0), (0.5, 0.5, 1.0))}
    bundle = fixed_pose_policy.write(tmp_path / "narrow", command_ranges=narrow)
    result = short(bundle, "mujoco_cpu", "mujoco_cpu").result
    assert (result.cause, result.passed) == ("task", False)
    assert result.findings[0].sentence.startswith("the course commands vx up to 0.6, the bundle was trained from -0.5")


def test_a_policy_that_fails_alike_in_both_is_not_the_engines_fault(tmp_path: Path) -> None:
    tipping = tuple((np.array(STANDING) + np.array([0.0, 0.9, 0.0] * 4)).tolist())
    bundle = fixed_pose_policy.write(tmp_path / "tipping", tipping)
    result = short(bundle, "mujoco_cpu", "mujoco_cpu").result
    assert (result.cause, result.passed) == ("task", False)
    assert "falls is beyond the task's bar in both engines" in result.summary
    assert result.falls["mujoco_cpu"][0] == result.falls["mujoco_cpu (again)"][0]


def test_another_pose_in_the_contract_than_in_the_robot_is_found(tmp_path: Path) -> None:
    bundle = fixed_pose_policy.write(tmp_path / "pose", default_joint_pos=FOLDED)
    result = short(bundle, "mujoco_cpu", "mujoco_cpu").result
    found = result.findings[0]
    assert (found.fault, found.engine, found.signal) == ("contract", "bundle", "default_joint_pos")
    assert found.size == pytest.approx(np.abs(np.array(FOLDED) - STANDING).max())


class TestWithoutFeetOrBase:
    """The cart and pole: fixed base, a slide, a passive joint, no IMU, no feet."""

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        return balancing_policy.write(tmp_path / "balancing")

    def test_has_no_gap_to_itself(self, bundle: Path) -> None:
        gap = short(bundle, "mujoco_cpu", "mujoco_cpu")
        assert gap.result.cause == "none"
        assert [parting.group for parting in gap.result.closed] == ["observation", "target", "torque"]
        assert [parting.unit for parting in gap.result.closed] == ["m", "m", "N"]
        assert gap_report.plots(gap)

    def test_is_scored_once_it_has_settled(self, bundle: Path) -> None:
        scored = measure(bundle, "mujoco_cpu", "mujoco_cpu", states=8, threads=0).result
        assert scored.passed
        assert {"cart error in mujoco_cpu", "cart error, difference"} <= {bar.name for bar in scored.bars}
        shorter = short(bundle, "mujoco_cpu", "mujoco_cpu").result
        assert not any("error" in bar.name for bar in shorter.bars)

    def test_tells_joints_apart_by_how_they_move(self, against: Against, bundle: Path) -> None:
        result: GapResult = against(with_borders(reversed_joints=("hinge",)), bundle)
        assert result.cause == "contract"
        # Turned round, the whole machine is the same again: either joint may be the reversed one.
        assert result.findings[0].sentence.endswith("slider is reversed, or hinge is reversed")

    def test_finds_a_weak_motor(self, against: Against, bundle: Path) -> None:
        result: GapResult = against(with_parameters(motor_strength=0.8), bundle)
        assert [f.unit for f in result.findings] == ["of kp", "of kd", "of effort limit"]
        assert all(f.size == pytest.approx(0.2, abs=0.005) for f in result.findings)
        assert {f.elements for f in result.findings} == {("slider",)}


def test_leaves_a_document_and_pictures(same: Gap, tmp_path: Path) -> None:
    path = gap_report.save(same, tmp_path / "gap")
    assert {file.name for file in path.parent.iterdir()} == {
        "gap.json",
        "growth.png",
        "motors.png",
        "one_period.png",
        "signals.png",
    }
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in path.parent.glob("*.png"))
    document = json.loads(path.read_text())
    assert (document["cause"], document["passed"], document["parts_first"]) == ("none", True, None)
    assert all(bar["passed"] for bar in document["bars"])
    assert len(document["differences"]) == len(same.result.differences)
    (tmp_path / "file").write_text("")
    with pytest.raises(LandbridgeError, match="cannot write the comparison"):
        gap_report.save(same, tmp_path / "file" / "gap")


def test_shows_what_parts_what_differs_and_the_verdict(against: Against) -> None:
    result: GapResult = against(with_borders(reversed_joints=("RR_calf_joint",)))
    written = StringIO()
    gap_report.show(result, Console(file=written, width=120))
    lines = written.getvalue().splitlines()
    torque = next(line for line in lines if line.startswith("torque"))
    assert torque.split()[:5] == ["torque", "0.02", "s", "torque", "RR_calf_joint"]
    assert any(line.startswith("contract ") and "RR_calf_joint is reversed" in line for line in lines)
    assert any(line.startswith("first to part: torque") and "after 0.02 s" in line for line in lines)
    assert lines[-1].startswith("FAIL  beyond the bars (breaches of the contract")
    assert lines[-1].endswith("at fault where they part: contract")


def test_refuses_what_it_cannot_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mujoco_gpu"):
        short(GO2, "mujoco_cpu", "mujoco_gpu")
    with pytest.raises(UsageError, match="seconds: a leg of the course must last at least"):
        measure(GO2, "mujoco_cpu", "mujoco_cpu", leg_seconds=0.0)
    with pytest.raises(BundleError):
        short(tmp_path / "nothing", "mujoco_cpu", "mujoco_cpu")
    monkeypatch.setitem(engines._MAKERS, "absent", faulty_engine.with_parameters())
    monkeypatch.setitem(engines._MODULES, "absent", ("no_such_simulator",))
    with pytest.raises(ModuleNotFoundError) as raised:
        short(GO2, "mujoco_cpu", "absent")
    assert raised.value.name == "no_such_simulator"
