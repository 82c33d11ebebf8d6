import dataclasses
import io
import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from rich.console import Console
from toy_training import PointMass, ToyController

from contract.errors import LandbridgeError, UsageError
from policies.algorithms.ppo import PPO, TrainingDivergedError
from policies.checkpoint import CheckpointError
from policies.config import PPOConfig, TrainConfig
from policies.metrics import MetricsFile, read_metrics, read_records
from policies.progress import LiveProgress
from policies.trainer import Outcome, Trainer

NUM_ENVS, STEPS = 16, 8
PATIENCE = 30.0  # s
ITERATION = NUM_ENVS * STEPS
PPO_CONFIG = PPOConfig(
    rollout_steps=STEPS, epochs=2, minibatches=2, critic_hidden=(8,), precision="float32", max_bad_steps=8
)


class Listener:
    def __init__(self):
        self.reports, self.notes = [], []

    def report(self, iteration, done, seconds_left, figures):
        self.reports.append((iteration, done, seconds_left, figures))

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.fixture(autouse=True)
def threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trainer_in(directory, iterations, seed=0, poison=lambda env, reward: reward, **changes):
    """A trainer whose budget is one warm-up rollout and so many iterations."""
    torch.manual_seed(seed)
    env, controller = PointMass(NUM_ENVS, seed=seed, poison=poison), ToyController((8,))
    ppo = PPO(controller, env.critic_dim, PPO_CONFIG)
    settings = {"steps": (iterations + 1) * ITERATION, "checkpoint_every": 2, **changes}
    config = TrainConfig(**settings)
    return Trainer(env, controller, ppo, config, directory, Listener())


def learned(trainer):
    """What decides how training goes on, as one flat list of tensors."""
    optimizer = trainer.algorithm.optimizer.state_dict()["state"]
    return [
        *trainer.algorithm.state_dict().values(),
        *(value for slot in optimizer.values() for value in slot.values()),
        *trainer.env.state_dict()["signals"].values(),
        trainer.env.x,
        *trainer.collector.memory.values(),
        torch.tensor(trainer.algorithm.learning_rate, dtype=torch.float64),
    ]


def without_timing(record):
    return {k: v for k, v in record.items() if not k.startswith("speed/") and k != "seconds"}


# -- resuming -----------------------------------------------------------------------------------------------------


def test_three_iterations_and_three_after_a_resume_are_six_bit_for_bit(tmp_path):
    straight = trainer_in(tmp_path / "straight", 6)
    assert straight.train() is Outcome.FINISHED
    assert straight.iteration == 6

    trainer_in(tmp_path / "parts", 3).train()
    torch.rand(17)  # whatever happens between the two processes
    resumed = trainer_in(tmp_path / "parts", 6, seed=99)
    resumed.resume()
    assert resumed.iteration == 3
    assert resumed.train() is Outcome.FINISHED

    for a, b in zip(learned(straight), learned(resumed), strict=True):
        assert torch.equal(a, b)
    records = [list(map(without_timing, read_records(tmp_path / name))) for name in ("straight", "parts")]
    assert records[0] == records[1]
    assert resumed.best == straight.best
    assert resumed.summary()["steps"] == 7 * ITERATION


def test_records_of_iterations_that_were_lost_are_dropped(tmp_path):
    trainer_in(tmp_path, 5).train()
    for path in (tmp_path / "checkpoints").glob("iteration_00000[45].pt"):
        path.unlink()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"iteration": 6, "ste')  # killed while writing
    resumed = trainer_in(tmp_path, 5)
    resumed.resume()
    resumed.train()
    assert [record["iteration"] for record in read_records(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_is_used(tmp_path):
    trainer_in(tmp_path, 4).train()
    newest = tmp_path / "checkpoints" / "iteration_000004.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    resumed = trainer_in(tmp_path, 4)
    resumed.resume()
    assert resumed.iteration == 2
    assert len(resumed.reporter.notes) == 1
    assert "iteration_000004.pt is damaged" in resumed.reporter.notes[0]
    assert "going back to iteration_000002.pt" in resumed.reporter.notes[0]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    trainer_in(tmp_path, 7, keep_checkpoints=2).train()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["iteration_000006.pt", "iteration_000007.pt"]


# -- being stopped ------------------------------------------------------------------------------------------------


def kill_at(step, number, times=1):
    def poison(env, reward):
        if env.steps == step:
            for _ in range(times):
                handler = signal.getsignal(number)
                os.kill(os.getpid(), number)
                deadline = time.monotonic() + PATIENCE
                # Signals that arrive together are one: wait until the first has been served and has gone back.
                while signal.getsignal(number) is handler and time.monotonic() < deadline:
                    time.sleep(0.001)
        return reward

    return poison


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_iteration_and_saves(tmp_path, number):
    before = signal.getsignal(number)
    straight = trainer_in(tmp_path / "straight", 6)
    straight.train()
    stopped = trainer_in(tmp_path / "stopped", 6, poison=kill_at(3 * STEPS + 2, number))
    assert stopped.train() is Outcome.INTERRUPTED
    assert stopped.iteration == 3
    assert signal.getsignal(number) is before
    assert (tmp_path / "stopped" / "checkpoints" / "iteration_000003.pt").exists()

    resumed = trainer_in(tmp_path / "stopped", 6)
    resumed.resume()
    assert resumed.train() is Outcome.FINISHED
    for a, b in zip(learned(straight), learned(resumed), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def interruptible():
    """Ctrl-C as Python has it, also where a shell that put the tests into the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_ends_at_once(tmp_path, interruptible):
    trainer = trainer_in(tmp_path, 6, poison=kill_at(3 * STEPS + 2, signal.SIGINT, times=2))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.iteration == 2


# -- budget, figures ----------------------------------------------------------------------------------------------


def test_the_first_budget_that_is_spent_ends_training(tmp_path):
    trainer = trainer_in(tmp_path, 10**6, minutes=1e-9)
    assert trainer.train() is Outcome.FINISHED
    assert trainer.iteration == 0
    assert trainer_in(tmp_path / "b", 1, minutes=1e9).train() is Outcome.FINISHED


def test_no_budget_is_refused():
    with pytest.raises(UsageError, match=r"train\.steps and train\.minutes"):
        TrainConfig(steps=None, minutes=None)


WANTED = {
    "reward/state",
    "reward/force",
    "task/reward_per_second",
    "task/tracking_error",
    "task/falls_per_minute",
    "task/diverged",
    "episode/return",
    "episode/seconds",
    "policy/entropy",
    "policy/action_std",
    "policy/kl",
    "policy/clip_fraction",
    "policy/learning_rate",
    "policy/gradient_norm",
    "loss/policy",
    "loss/value",
    "loss/explained_variance",
    "speed/steps_per_second",
    "speed/collect_share",
    "speed/update_share",
}


def test_every_figure_reaches_tensorboard_and_the_metrics_file(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = trainer_in(tmp_path, 8)
    trainer.train()
    metrics = read_metrics(tmp_path)
    assert set(metrics) >= WANTED
    assert metrics["iteration"].tolist() == list(range(1, 9))
    assert metrics["steps"].tolist() == [ITERATION * (i + 2) for i in range(8)]
    assert np.all(np.diff(metrics["seconds"]) > 0.0)

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= WANTED
    kl = [event.value for event in events.Scalars("policy/kl")]
    np.testing.assert_allclose(kl, metrics["policy/kl"], rtol=1e-6)


def test_figures_mean_what_they_say(tmp_path):
    """A reward of -2 a step, 40 steps of 0.1 s an episode: -20 a second, and -80 an episode once they are whole."""
    trainer = trainer_in(tmp_path, 12, poison=lambda env, reward: torch.full_like(reward, -2.0))
    trainer.train()
    last = trainer.reporter.reports[-1][3]
    assert last["task/reward_per_second"] == pytest.approx(-20.0)
    assert last["episode/return"] == pytest.approx(-80.0)
    assert last["episode/seconds"] == pytest.approx(4.0)
    assert last["task/falls_per_minute"] == 0.0
    assert last["speed/collect_share"] + last["speed/update_share"] == pytest.approx(1.0)
    iteration, done, left, _ = trainer.reporter.reports[-1]
    assert (iteration, done, left) == (12, 1.0, 0.0)


def test_falls_are_counted_per_minute_and_divergence_apart(tmp_path):
    class Falling(PointMass):
        def step(self, joint_target):
            result = super().step(joint_target)
            first = torch.zeros(self.num_envs, dtype=torch.bool)
            first[:2] = True
            diverged = first.clone()
            diverged[0] = False
            result.terminated, result.done, result.diverged = first, first | result.truncated, diverged
            result.truncated = result.truncated & ~first
            result.final_critic_obs = torch.zeros(int(result.truncated.sum()), 2)
            return result

    trainer = trainer_in(tmp_path, 2)
    trainer.env = trainer.collector.env = Falling(NUM_ENVS, episode_steps=1000)
    trainer.train()
    figures = trainer.reporter.reports[-1][3]
    assert figures["task/falls_per_minute"] == pytest.approx(600.0 / NUM_ENVS)  # one of 16, ten times a second
    assert figures["task/diverged"] == STEPS
    assert torch.equal(trainer.collector.memory["last_action"][:2], torch.zeros(2, 1))
    assert trainer.collector.memory["last_action"][2:].abs().min() > 0.0


# -- bad luck -----------------------------------------------------------------------------------------------------


def test_training_that_diverges_ends_with_a_sentence_and_a_finite_checkpoint(tmp_path):
    def poison(env, reward):
        return reward * torch.nan if env.steps > 4 * STEPS else reward

    trainer = trainer_in(tmp_path, 50, poison=poison, checkpoint_every=1)
    with pytest.raises(TrainingDivergedError, match="not finite in 8 steps in a row"):
        trainer.train()
    resumed = trainer_in(tmp_path, 4)
    resumed.resume()
    assert all(torch.isfinite(p).all() for p in resumed.algorithm.parameters())
    assert read_metrics(tmp_path)["policy/skipped_steps"].tolist()[:4] == [0.0, 0.0, 0.0, 4.0]


def test_a_full_disk_ends_training_with_a_sentence(tmp_path, monkeypatch):
    trainer = trainer_in(tmp_path, 6)

    def full(self, iteration, figures):
        if iteration == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(MetricsFile, "append", full)
    with pytest.raises(LandbridgeError, match=r"cannot write the training log.*No space left"):
        trainer.train()
    resumed = trainer_in(tmp_path, 6)
    resumed.resume()
    assert resumed.iteration == 2


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        trainer_in(tmp_path, 1).resume()


def test_a_damaged_metrics_file_is_refused_by_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 1}\nrubbish\n{"iteration": 3}\n')
    with pytest.raises(LandbridgeError, match="line 2"):
        read_records(path)
    with pytest.raises(LandbridgeError, match="cannot read the metrics"):
        read_records(tmp_path / "absent.jsonl")


def test_figures_that_are_not_finite_are_valid_json(tmp_path):
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.append(1, {"a": float("nan"), "b": 2.0})
    assert json.loads(file.path.read_text(), parse_constant=pytest.fail) == {"iteration": 1, "a": None, "b": 2.0}
    assert np.isnan(read_metrics(tmp_path)["a"][0])


# -- progress -----------------------------------------------------------------------------------------------------

FIGURES = {
    "speed/steps_per_second": 6543.2,
    "task/reward_per_second": 1.234,
    "task/tracking_error": 0.456,
    "task/falls_per_minute": 0.789,
}
TEXT = "iteration 7  6,543 steps/s  1:15 left  reward 1.23/s  error 0.46 m/s  falls 0.79/min"


def test_without_a_terminal_progress_is_a_line_now_and_then():
    stream = io.StringIO()
    with LiveProgress("go2", Console(file=stream, width=40)) as progress:
        for done in (0.1, 0.2, 0.3):
            progress.report(7, done, 75.0, FIGURES)
        progress.note("saved [somewhere]")
        progress.report(7, 1.0, 75.0, FIGURES)
    lines = stream.getvalue().splitlines()
    assert lines == [f"go2  10 %  {TEXT}", "saved [somewhere]", f"go2 100 %  {TEXT}"]


def test_on_a_terminal_progress_is_a_bar():
    stream = io.StringIO()
    with LiveProgress("go2", Console(file=stream, force_terminal=True, width=150)) as progress:
        progress.report(7, 0.25, 7505.0, FIGURES)
    assert " 25 %" in stream.getvalue()
    assert "2:05:05 left" in stream.getvalue()


# -- threads ------------------------------------------------------------------------------------------------------


def test_threads_are_set_for_each_phase(tmp_path):
    seen = []

    class Watching(PointMass):
        def step(self, joint_target):
            seen.append(torch.get_num_threads())
            return super().step(joint_target)

    trainer = trainer_in(tmp_path, 2)
    trainer.config = dataclasses.replace(trainer.config, collect_threads=1, update_threads=2)
    trainer.env = trainer.collector.env = Watching(NUM_ENVS)
    trainer.train()
    assert set(seen[STEPS:]) == {1}
    assert torch.get_num_threads() == 2
