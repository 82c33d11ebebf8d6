"""The engine, and the whole environment, against raw `mj_step` loops over the same models, states and targets."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import machine
from benchmarks.raw_loop import RawLoop
from benchmarks.results import Aim, Row
from benchmarks.scene import Targets, advance, make_env
from benchmarks.timing import rate_ratio, take_turns
from sim.env import VecEnv

TITLE = "Engine and environment against raw `mj_step`"
ABOUT = (
    "Go2 robots that shuffle, stumble and fall under random joint targets. The raw loop has one model and one data an "
    "environment, the very models of the engine (randomised), the same number of threads, and starts every round from "
    "the engine's states under the same targets; all environments finish a control step before the next begins, as "
    "they must where a policy answers. The whole environment adds delays, noise, pushes, rewards, terminations, "
    "resets and new draws of every parameter."
)


@dataclass(frozen=True)
class EngineBenchmark:
    """Sizes: environments, control steps a round, rounds, physics threads (all cores if None)."""

    num_envs: int = 256
    steps: int = 10
    rounds: int = 60
    threads: int | None = None

    def run(self) -> Iterator[Row]:
        """The engine alone, then the whole environment."""
        threads = self.threads or machine.cores()
        with closing(make_env(self.num_envs, threads)) as env, RawLoop(models_of(env), threads) as raw:
            targets = Targets(env, self.steps)
            substeps = env.engine.decimation

            def engine_steps() -> None:
                for row in targets.block:
                    env.engine.step(row[:, None].expand(-1, substeps, -1))

            def raw_steps() -> None:
                raw.run(controls[0], substeps)

            controls = [np.empty(0)]

            def prepare() -> None:
                # Steps of the environment, not measured, so that the fallen begin anew.
                advance(env, targets.draw())
                controls[0] = targets.draw().double().numpy()
                raw.place(*state_of(env))

            for what, contestant, aim in (
                ("engine alone", engine_steps, 0.90),
                ("whole environment", lambda: advance(env, targets.block), 0.75),
            ):
                seconds = take_turns({"ours": contestant, "raw": raw_steps}, self.rounds, prepare)
                rate = {name: self.num_envs * self.steps / np.median(taken) for name, taken in seconds.items()}
                yield Row(
                    what,
                    float(rate["ours"]),
                    float(rate["raw"]),
                    "control steps/s",
                    rate_ratio(seconds["ours"], seconds["raw"]),
                    Aim(aim),
                    f"{self.num_envs} environments, {threads} threads, {self.rounds} rounds of {self.steps} control "
                    f"steps; {substeps} physics steps a control step, so {substeps * rate['ours']:,.0f} of ours a "
                    f"second; {raw.contacts():.1f} contacts an environment",
                )


def models_of(env: VecEnv) -> list:
    """The engine's own models, which its randomisation writes."""
    return env.engine._models  # type: ignore[attr-defined]


def state_of(env: VecEnv) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, nq) and velocities (N, nv) as MuJoCo has them."""
    state = env.state
    qpos = torch.cat([state.root_pos, state.root_quat, state.joint_pos], dim=1)
    qvel = torch.cat([state.root_lin_vel, state.root_ang_vel, state.joint_vel], dim=1)
    return qpos.double().numpy(), qvel.double().numpy()
