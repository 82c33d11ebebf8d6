"""What a training log says of the supervisor is what the supervisor would have done."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from deploy_robot.constraint import Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.judge import rows_of
from deploy_robot.limits import limits_of
from deploy_robot.thresholds import thresholds_of
from domain_rand.randomiser import EpisodeRandomiser
from policies import recipes
from policies.batched_judge import SUPERVISOR_PERIOD
from policies.metrics import read_records
from policies.recipe import with_arguments
from policies.robot_watch import RobotWatch
from policies.trainer import Trainer
from policies.training import build_trainer
from policies.training_monitors import TrainingMonitors
from sim import tasks
from sim.env import VecEnv

ROBOTS = 5
# What a robot has and a simulation has not: who stopped it, what got lost, what is late, what is warm.
OF_ROBOTS_ALONE = {
    "operator_stop": "stop_requests",
    "stale_state": "state_age",
    "lost_robot": "state_age",
    "frozen_state": "state_frozen",
    "stand_up": "stand_overdue",
    "clock": "clock_faults",
    "late_step": "step_time",
    "lost_policy": "target_age",
    "dead_policy": "target_age",
    "late_target": "target_delay",
}
JUDGED = {"finite_state", "imu_norm", "tilt", "joint_position", "joint_velocity", "joint_torque"}
JUDGED |= {"finite_target", "wild_target", "target_position", "target_slew"}


class Silent:
    def report(self, *_: object) -> None: ...

    def note(self, _: str) -> None: ...


@pytest.fixture
def env() -> Iterator[VecEnv]:
    task = tasks.load("go2-velocity-flat").with_episode(1.0)
    randomiser = EpisodeRandomiser(recipes.load(task.name).randomisation, 3)
    made = VecEnv(task, ROBOTS, randomiser=randomiser, seed=3, threads=0)
    yield made
    made.close()


def wild_target(env: VecEnv, rng: np.random.Generator) -> torch.Tensor:
    """Jumps, and now and then something that no policy may ask for."""
    target = env.default_joint_pos + 0.8 * torch.from_numpy(rng.normal(size=(ROBOTS, 12)).astype(np.float32))
    target[rng.integers(ROBOTS), rng.integers(12)] = 9.0 if rng.uniform() < 0.2 else 0.0
    return target


def reading_of_one(env: VecEnv, robot: int, previous: np.ndarray) -> Reading:
    """What the supervisor of one robot would look at; the fields of rows that are not judged are zero."""
    fields = {field.name: 0.0 for field in dataclasses.fields(Reading) if field.default is dataclasses.MISSING}
    signals = {name: values[robot].double().numpy() for name, values in env.signals.items()}
    return Reading(
        **{
            **fields,
            **{name: signals[name] for name in ("joint_pos", "joint_vel", "imu_quat")},
            "limits": limits_of(env.robot),
            "joint_torque": env.state.joint_torque[robot].double().numpy(),
            "target": env.joint_target[robot].double().numpy(),
            "previous_target": previous,
            "target_interval": env.control_period,
            "state_faults": sum(int((~np.isfinite(values)).sum()) for values in signals.values()),
            "target_faults": int((~np.isfinite(env.joint_target[robot].numpy())).sum()),
            "stop_reason": "",
        }
    )


def test_trips_are_those_of_one_supervisor_a_robot(env: VecEnv) -> None:
    watch, rng = RobotWatch(env), np.random.default_rng(0)
    thresholds = thresholds_of(CONSTRAINTS)
    table = tuple(row for row in watch.rows if row.name in JUDGED)
    columns = [watch.rows.index(row) for row in table]
    supervisors = [rows_of(table, thresholds) for _ in range(ROBOTS)]
    previous: list[np.ndarray | None] = [None] * ROBOTS
    found = np.zeros(len(table), int)
    for step in range(90):
        result = env.step(wild_target(env, rng))
        if step in (20, 21):
            env.signals["joint_vel"][2, 5] = torch.nan
        trips = watch.step()[columns]
        for n in range(ROBOTS):
            if result.done[n]:
                supervisors[n], previous[n] = rows_of(table, thresholds), None
            target = env.joint_target[n].double().numpy()
            reading = reading_of_one(env, n, target if previous[n] is None else previous[n])
            if not result.done[n]:
                previous[n] = target
            for r, row in enumerate(supervisors[n]):
                often = range(round(env.control_period / SUPERVISOR_PERIOD))
                tripped = sum(row.judge(reading, True, SUPERVISOR_PERIOD, SUPERVISOR_PERIOD) for _ in often)
                assert tripped == int(trips[r, n]), (step, n, row.constraint.name)
        found += trips.sum(dim=1).numpy()
    counts = dict(zip((row.name for row in table), found.tolist(), strict=True))
    assert counts["target_slew"] > 0
    assert counts["wild_target"] > 0
    assert counts["finite_state"] == 1, "a number that is none trips"
    assert counts["joint_velocity"] > 0


def test_what_only_a_robot_has_is_named(env: VecEnv) -> None:
    watch = RobotWatch(env)
    assert {name: watch.absent[name] for name in OF_ROBOTS_ALONE} == OF_ROBOTS_ALONE
    assert {row.name for row in watch.rows} >= JUDGED
    assert {row.name for row in watch.rows} | set(watch.absent) == {row.name for row in CONSTRAINTS}
    assert all(watch.absent.values())


def test_a_joint_without_a_motor_has_no_torque_to_judge() -> None:
    cart = VecEnv(tasks.load("cartpole"), 2, threads=0)
    try:
        watch = RobotWatch(cart)
        cart.step(cart.default_joint_pos.repeat(2, 1))
        assert not watch.step().any()
        assert watch.absent["tilt"] == "imu_quat"
        assert torch.isfinite(watch.figures).all()
    finally:
        cart.close()


# -- a training run -----------------------------------------------------------------------------------------------


def trainer_in(directory: Path, iterations: int, monitors: bool = True) -> Trainer:
    arguments = ("--num-envs", "4", "--ppo.rollout-steps", "8", "--ppo.minibatches", "2", "--ppo.precision", "float32")
    steps = ("--train.steps", str((iterations + 1) * 4 * 8), "--train.checkpoint-every", "1")
    recipe = with_arguments(recipes.load("go2-velocity-flat"), (*arguments, *steps, "--device", "cpu"))
    trainer = build_trainer(recipe, directory, Silent())
    if monitors:
        assert trainer.collector.monitors.every == 16
        trainer.collector.monitors.every = 1
    else:
        trainer.collector.monitors = None
    return trainer


def trained(directory: Path, iterations: int, monitors: bool = True, resume: bool = False) -> Trainer:
    torch.set_num_threads(1)
    trainer = trainer_in(directory, iterations, monitors)
    try:
        if resume:
            trainer.resume()
        trainer.train()
    finally:
        trainer.env.close()
    return trainer


def without_timing(record: dict) -> dict:
    return {name: value for name, value in record.items() if not name.startswith("speed/") and name != "seconds"}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return trained(tmp_path_factory.mktemp("straight"), 4)


def test_a_training_run_logs_trips_and_figures(straight: Trainer) -> None:
    records = list(read_records(straight.directory))
    assert len(records) == 4
    for record in records:
        for name in JUDGED:
            assert record[f"monitors/{name}"] >= 0.0
        for name in JUDGED - {"finite_state", "finite_target"}:
            shares = [record[f"monitor_figures/{name}_{quantile}"] for quantile in ("p50", "p99", "max")]
            assert shares == sorted(shares)
        assert 0.0 < record["speed/monitor_share"] < 1.0
        assert not any(name in key for key in record for name in OF_ROBOTS_ALONE)
    assert all(record["monitor_figures/target_slew_max"] > 0.0 for record in records)


def test_a_resumed_run_goes_on_bit_for_bit(straight: Trainer, tmp_path: Path) -> None:
    trained(tmp_path, 2)
    resumed = trained(tmp_path, 4, resume=True)
    a, b = (list(map(without_timing, read_records(run.directory))) for run in (straight, resumed))
    assert a == b
    for one, other in zip(straight.algorithm.parameters(), resumed.algorithm.parameters(), strict=True):
        assert torch.equal(one, other)


def test_learning_does_not_notice_the_monitors(straight: Trainer, tmp_path: Path) -> None:
    unwatched = trained(tmp_path, 4, monitors=False)
    for one, other in zip(straight.algorithm.parameters(), unwatched.algorithm.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not any(name.startswith("monitor") for record in read_records(tmp_path) for name in record)


def test_one_rollout_of_every_k_is_logged(env: VecEnv) -> None:
    monitors, rng = TrainingMonitors(env, every=4), np.random.default_rng(1)
    logged, costly = [], []
    for _ in range(9):
        monitors.begin()
        for _ in range(3):
            monitors.step(env.step(wild_target(env, rng)))
        figures, seconds = monitors.finish()
        logged.append(bool(figures))
        costly.append(seconds > 0.0)
    assert logged == [False, True, False, False, False, True, False, False, False]
    assert costly == [True, True, False, False, True, True, False, False, True]


def test_rates_are_trips_per_robot_hour(env: VecEnv) -> None:
    monitors = TrainingMonitors(env, every=1)
    monitors.begin()
    monitors.step(env.step(env.default_joint_pos.repeat(ROBOTS, 1)))
    result = env.step(env.default_joint_pos.repeat(ROBOTS, 1))
    env.signals["joint_pos"][0, 0] = torch.nan
    monitors.step(result)
    figures, _ = monitors.finish()
    hours = 2 * ROBOTS * env.control_period / 3600.0
    assert figures["monitors/finite_state"] == pytest.approx(1.0 / hours)
    assert figures["monitors/tilt"] == 0.0
    assert figures["monitor_figures/joint_position_max"] == float("inf")
    assert 0.0 <= figures["monitor_figures/tilt_p50"] < 0.5


def test_a_violation_that_a_fall_cuts_short_counts(env: VecEnv) -> None:
    monitors = TrainingMonitors(env, every=1)
    slow = next(i for i, row in enumerate(monitors.watch.rows) if row.name == "tilt")
    monitors.begin()
    target = env.default_joint_pos.repeat(ROBOTS, 1)
    result = env.step(target)
    env.signals["imu_quat"][1] = torch.tensor([0.0, 1.0, 0.0, 0.0])  # on its back, for one sample so far
    monitors.step(result)
    assert monitors.watch.pending[slow].tolist() == [False, True, False, False, False]
    result = env.step(target)
    result.terminated[:] = torch.tensor([True, True, False, False, False])
    monitors.step(result)
    figures, _ = monitors.finish()
    assert figures["monitors/tilt"] == pytest.approx(3600.0 / (2 * ROBOTS * env.control_period))


def test_another_table_begins_anew(env: VecEnv) -> None:
    monitors = TrainingMonitors(env, every=1)
    monitors.begin()
    state = monitors.checkpoint()
    monitors.restore({**state, "rows": ["something_else"], "rollouts": 5})
    assert monitors.checkpoint()["rollouts"] == 5
    assert not monitors.watch.pending.any()
