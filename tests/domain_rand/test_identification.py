"""Identification on simulated robots whose parameters are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console

from contract import robots
from contract.errors import UsageError
from domain_rand import file
from domain_rand.distributions import Empirical, TruncatedNormal, Uniform
from domain_rand.identification import report
from domain_rand.identification.fixture import hung
from domain_rand.identification.identify import Identification, Request, identify, pooled
from domain_rand.identification.log import MotionLog
from domain_rand.identification.posterior import Z90, Direction, require_windows
from domain_rand.identification.replay import Setting
from domain_rand.identification.search import Effort
from domain_rand.identification.simulated import Wiggle, simulated_log
from domain_rand.identification.unknowns import known_parameters, parse_unknowns, values_of
from domain_rand.identification.windows import Noise, cut, noise_of
from domain_rand.spec import At, How, Per, Randomisation, Term
from sim import engines
from sim.conformance.robots import TWO_ARMS

GO2 = robots.load("unitree_go2")
NOISE = Noise(joint_pos=0.002, joint_vel=0.1, gyro=1.0, tilt=1.0)
QUICK = Effort(generations=6, windows=8, steps=3)
SETTING = Setting(batch=64, threads=0)
PARAMETERS = known_parameters(engines.capabilities("mujoco_cpu", TWO_ARMS).parameters)


def make_log(**changes: object) -> MotionLog:
    time = 0.005 * np.arange(200)
    fields: dict[str, object] = {
        "name": "a log",
        "time": time,
        "joint_pos": np.sin(time)[:, None] * np.ones(4),
        "joint_vel": np.cos(time)[:, None] * np.ones(4),
        "target_time": np.array([0.0, 0.5]),
        "target": np.array([[0.0] * 4, [1.0] * 4]),
    }
    return MotionLog(**{**fields, **changes})  # type: ignore[arg-type]


def fit(log: MotionLog, *words: str, prior: Randomisation | None = None) -> Identification:
    request = Request(words, prior or Randomisation(), setting=SETTING, effort=QUICK)
    return identify(log, TWO_ARMS, request)


TRUTH = {"joint_damping": 0.3, "motor_strength": 0.85, "action_delay": 0.0085}


@pytest.fixture(scope="module")
def recorded() -> MotionLog:
    return simulated_log(TWO_ARMS, TRUTH, Wiggle(seconds=6.0), NOISE, seed=3)


@pytest.fixture(scope="module")
def found(recorded: MotionLog) -> Identification:
    return fit(recorded, "joint_damping=0.05,0.6", "motor_strength=0.7,1.3", "action_delay=0,0.02")


def test_what_the_log_tells_comes_back_within_a_tenth(found: Identification) -> None:
    for finding in found.findings:
        assert finding.identified
        assert finding.estimate == pytest.approx(TRUTH[finding.parameter], rel=0.1)
        assert finding.prior_low < finding.low < finding.estimate < finding.high < finding.prior_high
    assert not found.open
    assert found.misfit == pytest.approx(1.0, abs=0.1)
    assert found.misfit_before > found.misfit


def test_a_delay_between_two_physics_steps_is_told(found: Identification) -> None:
    delay = next(finding for finding in found.findings if finding.parameter == "action_delay")
    assert delay.estimate == pytest.approx(TRUTH["action_delay"], abs=0.001)  # a step is 5 ms


def test_the_posterior_becomes_what_training_reads(found: Identification, tmp_path: Path) -> None:
    report.save(found, tmp_path)
    written = {term.parameter: term for term in file.read(tmp_path / report.RANDOMISATION).terms}
    assert set(written) == set(TRUTH)
    for finding in found.findings:
        term = written[finding.parameter]
        assert isinstance(term.distribution, TruncatedNormal)
        assert term.distribution.mean == pytest.approx(finding.estimate)
        half = Z90 * term.distribution.std
        assert term.distribution.mean - half == pytest.approx(finding.low)
        assert term.provenance.how is How.IDENTIFIED
        assert "simulated" in term.provenance.text
    told = json.loads((tmp_path / report.RESULT).read_text())
    assert told["findings"][0]["estimate"] == found.findings[0].estimate
    assert {path.name for path in tmp_path.glob("*.png")} == {"residuals.png", "intervals.png"}
    console = Console(record=True, width=200)
    report.show(found, console)
    assert "joint_damping" in console.export_text()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of 24 intervals that are what they say, 14 or fewer hold the truth once in 19,000 such experiments."""
    held = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        truth = {
            "joint_damping": float(rng.uniform(0.1, 0.5)),
            "motor_strength": float(rng.uniform(0.8, 1.2)),
            "action_delay": float(rng.uniform(0.002, 0.018)),
        }
        log = simulated_log(TWO_ARMS, truth, Wiggle(seconds=4.0), NOISE, seed)
        told = fit(log, "joint_damping=0.05,0.6", "motor_strength=0.7,1.3", "action_delay=0,0.02")
        held += sum(finding.low <= truth[finding.parameter] <= finding.high for finding in told.findings)
    assert held >= 15


def test_gains_and_strength_are_confounded_and_said_to_be_so(recorded: MotionLog) -> None:
    prior = Randomisation(
        (
            Term("kp_factor", Uniform(0.7, 1.3), Per.ROBOT, At.START_UP),
            Term("kd_factor", Uniform(0.7, 1.3), Per.ROBOT),
            Term("motor_strength", Uniform(0.7, 1.3), Per.ROBOT),
        )
    )
    told = fit(
        recorded,
        "kp_factor",
        "kd_factor",
        "motor_strength",
        "joint_damping=0.05,0.6",
        "action_delay=0,0.02",
        prior=prior,
    )
    verdicts = {finding.parameter: finding.verdict for finding in told.findings}
    for name in ("kp_factor", "motor_strength"):
        assert verdicts[name].startswith("not identifiable: confounded with")
    assert "kp_factor" in verdicts["motor_strength"]
    assert any("motor_strength" in sentence and "kp_factor" in sentence for sentence in told.open)
    assert verdicts["action_delay"] == "identified"
    kept = {term.parameter: term for term in told.randomisation.terms}
    for term in prior.terms[::2]:
        assert kept[term.parameter] == term


def test_what_changes_nothing_is_not_identifiable_and_keeps_its_prior(recorded: MotionLog) -> None:
    told = fit(recorded, "motor_strength=0.7,1.3", "friction=0.4,1.2")
    friction = told.findings[1]
    assert not friction.identified
    assert friction.verdict == "not identifiable: 100% of the prior's width is left"
    assert "friction hardly changes what was measured" in told.open
    assert told.randomisation.terms[1] == Term("friction", Uniform(0.4, 1.2), Per.ROBOT)


def test_a_delay_that_the_stamps_tell_is_measured(recorded: MotionLog) -> None:
    ages = np.random.default_rng(0).uniform(0.002, 0.006, len(recorded.time))
    stamped = MotionLog(**{**vars(recorded), "age": ages})
    told = fit(
        stamped, "joint_damping=0.05,0.6", "motor_strength=0.7,1.3", "action_delay=0,0.02", "sensor_delay=0,0.04"
    )
    delay = told.findings[-1]
    assert delay.parameter == "sensor_delay"
    assert delay.estimate == pytest.approx(0.004, abs=0.0005)
    term = told.randomisation.terms[-1]
    assert isinstance(term.distribution, Empirical)
    assert term.provenance.how is How.MEASURED
    with pytest.raises(UsageError, match="sensor_delay; name a parameter"):
        fit(stamped, "sensor_delay=0,0.04")


def test_two_delays_without_stamps_are_confounded(recorded: MotionLog) -> None:
    told = fit(
        recorded, "action_delay=0,0.02", "sensor_delay=0,0.02", "motor_strength=0.7,1.3", "joint_damping=0.05,0.6"
    )
    assert told.findings[0].verdict == "not identifiable: confounded with sensor_delay"
    assert told.findings[1].verdict == "not identifiable: confounded with action_delay"
    assert told.findings[2].identified


# -- parts ----------------------------------------------------------------------------------------------------


def test_the_mean_of_a_target_is_taken_over_a_step() -> None:
    log = make_log()
    mean = log.targets_at(np.array([0.0, 0.495, 0.496, 0.499, 0.5, 3.0]), 0.005)
    assert mean[:, 0] == pytest.approx([0.0, 0.0, 0.2, 0.8, 1.0, 1.0])
    assert log.targets_at(np.array([-1.0]), 0.005)[0] == pytest.approx(np.zeros(4))


@given(
    times=hnp.arrays(np.float64, 6, elements=st.floats(0.01, 1.0)),
    values=hnp.arrays(np.float64, (6, 2), elements=st.floats(-5.0, 5.0)),
    start=st.floats(0.0, 6.0),
)
def test_the_mean_target_is_never_beyond_the_targets(times: np.ndarray, values: np.ndarray, start: float) -> None:
    joints = np.zeros((2, 2))
    log = MotionLog("a log", np.array([0.0, 1.0]), joints, joints, np.cumsum(times), values)
    mean = log.targets_at(np.array([start]), 0.005)[0]
    assert (mean >= values.min(axis=0) - 1e-6).all()
    assert (mean <= values.max(axis=0) + 1e-6).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joint_vel": np.zeros((3, 4))}, r"a log: joint_vel must be \(200, 4\), is \(3, 4\)"),
        ({"target": np.full((2, 4), np.nan)}, "a log: target holds a number that is not finite"),
        ({"target_time": np.array([1.0, 0.0])}, "a log: target_time must rise"),
        ({"time": np.zeros(1), "joint_pos": np.zeros((1, 4))}, "a log: holds no motion: 1 samples and 2 targets"),
    ],
)
def test_a_log_that_is_none_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_log(**changes)


def test_windows_leave_out_gaps_and_start_from_fitted_states() -> None:
    time = 0.005 * np.arange(400) + np.where(np.arange(400) >= 200, 0.3, 0.0)
    log = make_log(
        time=time,
        joint_pos=np.sin(time)[:, None] * np.ones(4),
        joint_vel=np.cos(time)[:, None] * np.ones(4),
    )
    windows = cut(log, 0.3, 0.01, NOISE)
    assert len(windows.start) == 6
    assert windows.offset.max() == pytest.approx(0.3)
    assert np.diff(windows.offset, axis=1) == pytest.approx(np.full((6, 29), 0.01))
    assert windows.joint_pos[:, 0] == pytest.approx(np.sin(windows.start), abs=1e-3)
    assert windows.joint_vel[:, 0] == pytest.approx(np.cos(windows.start), abs=1e-2)
    with pytest.raises(UsageError, match=r"no window of 2 s without a gap in its 2\.0 s"):
        cut(log, 2.0, 0.01, NOISE)


def test_noise_is_told_from_motion(recorded: MotionLog) -> None:
    noise = noise_of(recorded)
    assert noise.joint_pos == pytest.approx(NOISE.joint_pos, rel=0.1)
    assert noise.joint_vel == pytest.approx(NOISE.joint_vel, rel=0.1)


def test_unknowns_by_joint_leg_and_robot() -> None:
    known = known_parameters(engines.capabilities("mujoco_cpu", GO2).parameters)
    prior = Randomisation((Term("base_mass_factor", TruncatedNormal(1.0, 0.1, 0.8, 1.2)),))
    words = ["motor_strength:component=0.5,1.5", "joint_damping:leg=0,1", "base_mass_factor", "base_com:component=-1,1"]
    unknowns = parse_unknowns(words, known, prior, GO2)
    assert unknowns[0].names[0] == "motor_strength[FL_hip_joint]"
    assert unknowns[1].names == tuple(f"joint_damping[{leg}]" for leg in ("FL", "FR", "RL", "RR"))
    assert unknowns[2].names == ("base_mass_factor",)
    assert unknowns[3].names == ("base_com[x]", "base_com[y]", "base_com[z]")
    values = values_of(unknowns, np.linspace(0.0, 1.0, 20)[None])
    assert values["motor_strength"].shape == (1, 12)
    assert values["joint_damping"][0].reshape(4, 3).std(axis=1) == pytest.approx(0.0)
    assert np.unique(values["joint_damping"]).size == 4
    assert values["base_mass_factor"] == pytest.approx(0.8 + 0.4 * 16 / 19)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name at least one parameter"),
        (["gravitas"], "gravitas"),
        (["friction"], "the prior has no range for it: give one, as in friction=LOW,HIGH"),
        (["friction=1,0"], "must be two numbers LOW,HIGH, rising"),
        (["friction=1,1"], "its range must have a width"),
        (["friction=a,b"], "must be two numbers"),
        (["friction:hand=0,1"], "hand is none of robot, leg, component"),
        (["joint_damping:leg=0,1"], "does not belong to legs"),
        (["friction=0,1", "friction=0,2"], "named twice"),
        (["fric tion"], "must be NAME, NAME:PER or NAME:PER=LOW,HIGH"),
    ],
)
def test_words_that_name_no_unknown_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_unknowns(words, PARAMETERS, Randomisation(), TWO_ARMS)


def test_logs_that_do_not_fit_are_refused(recorded: MotionLog) -> None:
    with pytest.raises(UsageError, match="of 4 joints, and unitree_go2 has 12"):
        identify(recorded, GO2, Request(["friction=0,1"], base="fixed", setting=SETTING))
    joints = np.zeros((200, 12))
    blind = make_log(joint_pos=joints, joint_vel=joints, target=np.zeros((2, 12)))
    with pytest.raises(UsageError, match="needs an IMU and feet; say --base fixed"):
        identify(blind, GO2, Request(["friction=0,1"], window=0.05, setting=SETTING))
    with pytest.raises(UsageError, match="5 windows are too few to identify 2 numbers: 8 at least"):
        require_windows(5, 2)


def test_a_robot_that_hangs_has_its_joints_and_no_other_motion(tmp_path: Path) -> None:
    body = hung(GO2, tmp_path)
    assert body.fixed_base
    log = simulated_log(body, {"joint_damping": 0.2}, Wiggle(seconds=0.5), NOISE, seed=0)
    assert log.joint_pos.shape == (100, 12)
    assert np.abs(log.joint_pos - GO2.default_joint_pos).max() < 0.5  # nothing pulls at it but its own weight


def test_many_numbers_of_one_parameter_share_one_distribution() -> None:
    mean, std = np.array([0.9, 1.1]), np.array([0.01, 0.02])
    distribution = pooled(mean, std, (0.8, 1.12))
    assert isinstance(distribution, TruncatedNormal)
    assert distribution.mean == pytest.approx(1.0)
    assert distribution.std == pytest.approx(np.sqrt(0.1**2 + 0.5 * (0.01**2 + 0.02**2)))
    assert distribution.support == pytest.approx((0.87, 1.12))


def test_open_directions_are_told_in_words() -> None:
    assert Direction({"a": 1.0}, 0.9).sentence == "a hardly changes what was measured"
    both = Direction({"a": 0.7, "b": 0.7}, 0.9).sentence
    assert both == "a and b are confounded: raising them together hardly changes what was measured"
    three = Direction({"a": 0.7, "b": -0.5, "c": -0.4}, 0.9).sentence
    assert three == "a, b and c are confounded: raising a and lowering b and c hardly changes what was measured"
