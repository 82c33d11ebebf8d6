"""A sweep plays what its plan says, and finds the failures that are known to be there."""

import json
from dataclasses import replace
from pathlib import Path

import balancing_policy
import numpy as np
import pytest
import torch
from signing_keys import AUTHOR

from contract.bundle import read_bundle, sign_bundle
from contract.errors import BundleError, LandbridgeError, UsageError
from contract.policy_contract import Contract
from deploy_robot.onnx_policy import load_policy
from domain_rand.distributions import Constant, Uniform
from domain_rand.randomiser import EpisodeRandomiser
from domain_rand.spec import Every, Per, Randomisation, Term
from policies import bundles
from policies.evaluation import evaluate
from policies.sweep import report, run
from policies.sweep.joint import CHANCE
from policies.sweep.plan import Plan, PlannedRandomiser, joined
from policies.sweep.plots import plots
from policies.sweep.result import Settings, SweepResult
from policies.sweep.run import sweep
from sim import tasks
from sim.env import VecEnv

CARTPOLE = bundles.path("cartpole")

# -- the plan -----------------------------------------------------------------------------------------------------

TRAINED = Randomisation(
    (
        Term("motor_strength", Uniform(0.9, 1.1)),
        Term("kp_factor", Uniform(0.9, 1.1), Per.COMPONENT, Every(Constant(0.04))),
        Term("kd_factor", Uniform(0.5, 1.5), Per.COMPONENT, Every(Constant(0.06))),
        Term("joint_pos_noise", Constant(0.002)),
    )
)
NAN = float("nan")
PLAN = joined(
    [
        Plan(np.array([0, 1]), np.array([0, 0]), {}),
        Plan(np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1]), {"motor_strength": np.array([0.2, 0.2, 3.0, 3.0])}),
        Plan(np.array([0, 1]), np.array([2, 2]), {"kp_factor": np.array([0.7, 0.7]), "backlash": np.full(2, 0.1)}),
    ]
)


def test_joined_plans_hold_each_parameter_where_it_was_held() -> None:
    assert PLAN.robots.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert PLAN.commands.tolist() == [0, 0, 0, 1, 0, 1, 2, 2]
    np.testing.assert_array_equal(PLAN.held["motor_strength"], [NAN, NAN, 0.2, 0.2, 3.0, 3.0, NAN, NAN])
    np.testing.assert_array_equal(PLAN.held["kp_factor"], [NAN] * 6 + [0.7] * 2)


def environment(rows: list[int], trained: Randomisation = TRAINED) -> tuple[VecEnv, PlannedRandomiser]:
    randomiser = PlannedRandomiser(EpisodeRandomiser(trained, 5), PLAN, np.array(rows))
    env = VecEnv(tasks.load("cartpole"), len(rows), randomiser=randomiser, threads=0, auto_reset=False)
    return env, randomiser


def test_what_is_held_is_held_and_all_else_is_of_the_robot() -> None:
    env, randomiser = environment([0, 2, 4, 7])
    strength = env.parameter("motor_strength")
    assert strength[1:3, 0].tolist() == pytest.approx([0.2, 3.0])
    assert (strength[1:3] == strength[1:3, :1]).all(), "all components alike"
    kp, kd = env.parameter("kp_factor"), env.parameter("kd_factor")
    assert (kp[:3] == kp[0]).all() and (kd[:3] == kd[0]).all(), "one robot at several levels"
    assert (kp[3] == 0.7).all() and not (kd[3] == kd[0]).all()
    assert env.parameter("backlash")[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.1]), "nominal where not held"
    expected = EpisodeRandomiser(TRAINED, 5)
    expected.bind(env.parameters)
    drawn = expected.draw(np.array([0, 1]), np.zeros(2, np.int64))
    assert torch.equal(strength[[0, 3]], drawn["motor_strength"])
    # The next go of the same environments.
    randomiser.rows = np.array([4, 4, 1, 0])
    env.reset()
    again = env.parameter("motor_strength")
    assert (again[:2] == 3.0).all()
    assert torch.equal(again[2:], drawn["motor_strength"].flip(0))
    env.close()


def test_what_changes_within_an_episode_changes_in_equal_robots_at_once_and_never_what_is_held() -> None:
    env, _ = environment([0, 4, 1, 6])
    seen = []
    for _ in range(12):
        env.step(env.joint_target)
        seen.append({name: env.parameter(name).clone() for name in ("kp_factor", "kd_factor", "motor_strength")})
    for now in seen:
        assert torch.equal(now["kd_factor"][0], now["kd_factor"][1])
        assert torch.equal(now["kd_factor"][0], now["kd_factor"][3])
        assert torch.equal(now["kp_factor"][0], now["kp_factor"][1])
        assert (now["kp_factor"][3] == 0.7).all()
        assert (now["motor_strength"][1] == 3.0).all()
        assert torch.equal(now["motor_strength"][0], now["motor_strength"][3])
    assert len({tuple(now["kp_factor"][0].tolist()) for now in seen}) > 3
    assert len({tuple(now["kd_factor"][2].tolist()) for now in seen}) > 2
    env.close()


def test_without_a_randomisation_all_else_is_nominal() -> None:
    env, _ = environment([0, 2, 7], Randomisation())
    assert env.parameter("motor_strength")[:, 0].tolist() == pytest.approx([1.0, 0.2, 1.0])
    assert env.parameter("kp_factor")[:, 0].tolist() == pytest.approx([1.0, 1.0, 0.7])
    env.close()


# -- a policy whose failures are known ------------------------------------------------------------------------------

# A motor without strength cannot push the cart, so the pole falls; with all of it and more the policy balances.
SETTINGS = Settings(
    parameters=("motor_strength", "action_delay"),
    levels=4,
    reach=10.0,
    repeats=6,
    trajectories=12,
    joint_reach=10.0,
    joint_repeats=2,
)


@pytest.fixture(scope="module")
def swept() -> SweepResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "BATCH", 64)  # several goes
        return sweep(CARTPOLE, SETTINGS, threads=0)


def test_a_motor_that_gets_weaker_fails_where_it_must(swept: SweepResult) -> None:
    assert swept.reference > 0.9
    weakest, delay = swept.parameters
    assert (weakest.parameter, delay.parameter) == ("motor_strength", "action_delay"), "smallest margin first"
    assert [level.value for level in weakest.levels] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0])
    assert (weakest.levels[0].successes, weakest.levels[0].falls) == (0, 6)
    assert weakest.levels[0].error is None, "nothing was left to measure"
    assert sum(level.falls for level in weakest.levels[3:]) == 0
    assert weakest.above.margin is None and weakest.above.tried == pytest.approx(10.0) and not weakest.above.limit
    side = weakest.below
    assert side.margin is not None and side.value is not None
    assert 2.5 < side.margin < 10.0
    assert side.value == pytest.approx(1.0 - 0.1 * side.margin)
    assert side.low is not None and side.low <= side.margin
    # What was trained with delays of up to 10 ms does not notice 20, and more than a period there is not.
    assert [level.value for level in delay.levels] == pytest.approx([0.0, 0.005, 0.0175, 0.02])
    assert delay.above.margin is None and delay.above.limit
    for one in swept.parameters:
        for level in one.levels:
            assert level.low <= level.success <= level.high
            assert level.successes + level.falls <= level.episodes == 6


def test_the_check_agrees_on_both_sides_of_the_margin(swept: SweepResult) -> None:
    def falls(strength: float) -> float:
        held = Randomisation((Term("motor_strength", Constant(strength), Per.ROBOT),))
        cells = evaluate(CARTPOLE, randomisation=held, episodes=4, threads=0, seed=9).result.cells
        return sum(cell.falls for cell in cells) / sum(cell.episodes for cell in cells)

    assert falls(0.05) > 1.0 - SETTINGS.share
    assert falls(0.75) == 0.0


def test_jointly_the_motor_breaks_it_and_the_delay_does_not(swept: SweepResult) -> None:
    joint = swept.joint
    assert joint is not None
    first, *rest = joint.effects
    assert first.parameter == "motor_strength"
    assert first.mu < -0.3, "more strength, fewer failures"
    assert joint.stands_out(first)
    assert {effect.parameter for effect in rest} == {"action_delay", CHANCE}
    assert not any(joint.stands_out(effect) for effect in rest)
    assert joint.episodes == 12 * 4 * 2


def test_equal_sweeps_give_equal_figures_and_pictures() -> None:
    few = replace(SETTINGS, parameters=("motor_strength",), levels=1, repeats=3, trajectories=0, others="nominal")
    first, second = (sweep(CARTPOLE, few, threads=0) for _ in range(2))
    assert replace(first, wall_time=0.0) == replace(second, wall_time=0.0)
    assert first.joint is None
    assert [level.value for level in first.parameters[0].levels] == pytest.approx([0.0, 1.0, 2.0])
    assert first.parameters[0].levels[0].falls == 3
    assert plots(first)["sweep.png"] == plots(second)["sweep.png"]


def test_a_bound_is_what_is_ordinary_where_that_is_more_than_the_bar(swept: SweepResult) -> None:
    cart, pole = swept.bounds
    assert (cart.name, pole.name) == ("cart error", "pole angle")
    assert cart.most >= cart.limit == 0.3
    assert pole.most == pole.limit


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"repeats": 0}, "repeats: must be at least 1, got 0"),
        ({"levels": 0}, "levels: must be at least 1"),
        ({"joint_repeats": -1}, "joint-repeats: must be at least 1"),
        ({"trajectories": 1}, "trajectories: must be 0 for none, or at least 2"),
        ({"reach": 0.0}, "reach: must be above 0"),
        ({"joint_reach": float("nan")}, "joint-reach: must be above 0"),
        ({"share": 1.1}, "share: must be above 0 and at most 1"),
        ({"parameters": ("kp_factor", "kp_factor")}, "parameters: name each once"),
    ],
)
def test_settings_without_sense_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Settings(**changes)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("motor_strenght", "unknown randomised parameter 'motor_strenght'.*did you mean 'motor_strength'"),
        ("joint_pos_noise", "parameters: joint_pos_noise cannot be varied: training always has it at 0.002"),
    ],
)
def test_parameters_that_cannot_be_varied_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        sweep(CARTPOLE, Settings(parameters=(name,)), threads=0)


def test_what_an_engine_cannot_set_is_refused() -> None:
    bouncing = Randomisation((Term("restitution", Uniform(0.0, 0.2)),))
    with pytest.raises(UsageError, match="restitution cannot be varied: engine mujoco_cpu cannot set it"):
        sweep(CARTPOLE, Settings(parameters=("restitution",)), randomisation=bouncing, threads=0)
    with pytest.raises(
        UsageError, match="nothing .* can be varied .restitution: engine mujoco_cpu cannot set it.*FILE"
    ):
        sweep(CARTPOLE, randomisation=bouncing, threads=0)


def test_a_bundle_without_randomisation_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing of this bundle's training can be varied .it has no randomisation"):
        sweep(balancing_policy.write(tmp_path / "bundle"), threads=0)


def test_a_contract_that_does_not_say_what_was_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(CARTPOLE)
    contract: Contract = replace(bundle.contract, randomisation={"kp_factor": {"kind": "uniform", "low": 1.0}})
    monkeypatch.setattr(run, "read_bundle", lambda path: replace(bundle, contract=contract))
    with pytest.raises(BundleError, match=r"contract.json: randomisation\.kp_factor"):
        sweep(CARTPOLE, threads=0)


# -- what it leaves behind ----------------------------------------------------------------------------------------


def test_the_folder_holds_figures_and_pictures(swept: SweepResult, tmp_path: Path) -> None:
    path = report.save(swept, tmp_path / "out")
    document = json.loads(path.read_text())
    assert json.dumps(document, allow_nan=False)
    assert document["parameters"][0]["below"]["margin"] == swept.parameters[0].below.margin
    assert document["settings"]["repeats"] == 6
    assert document["parameters"][0]["levels"][0]["error"] is None
    for name in ("sweep.png", "joint.png"):
        assert (path.parent / name).read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").write_text("")
    with pytest.raises(LandbridgeError, match="cannot write the sweep"):
        report.save(swept, tmp_path / "file")


def test_the_card_of_a_copy_has_the_margins(tmp_path: Path) -> None:
    source = read_bundle(CARTPOLE)
    own = tmp_path / "own"
    own.mkdir()
    for name, data in source.files.items():
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_bytes(data)
    sign_bundle(read_bundle(own), AUTHOR)
    few = replace(SETTINGS, parameters=("motor_strength",), levels=1, repeats=2, trajectories=0)
    result = sweep(own, few, threads=0)
    assert result.was_signed
    out = report.write_card(result, tmp_path / "new")
    new = read_bundle(out)
    assert (new.contract, new.onnx) == (source.contract, source.onnx)
    assert "signature.json" not in new.files
    assert set(new.plots) == {*source.plots, "sweep.png"}
    assert new.card.startswith(source.card.rstrip())
    assert "| `motor_strength` | 0.9 .. 1.1 |" in new.card
    assert load_policy(out).replay_golden() <= 1e-5
    with pytest.raises(BundleError, match="has changed since its sweep"):
        report.write_card(replace(result, digest="0" * 64), tmp_path / "other")
    assert not (tmp_path / "other").exists()


CHECKED = "# a policy\n\n## Check\n\nPassed.\n"
MONITORS = "\n## Monitors\n\nCalibrated.\n"


@pytest.mark.parametrize("monitors", ["", MONITORS], ids=["checked", "calibrated"])
def test_margins_are_written_once_and_before_the_monitors(monitors: str, swept: SweepResult) -> None:
    once = report.with_margins(CHECKED + monitors, swept)
    assert once.startswith(f"{CHECKED}\n## Margins\n\n")
    assert once.endswith(f"](plots/sweep.png)\n{monitors}")
    assert once.count("\n## ") == 2 + bool(monitors)
    assert report.with_margins(once, swept) == once
