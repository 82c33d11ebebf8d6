"""The whole environment against EnvPool's MuJoCo Playground Go1, a peer written in C++."""

import importlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from benchmarks import machine
from benchmarks.footprint import footprint
from benchmarks.results import Aim, Row
from benchmarks.scene import ACTION, Targets, make_env
from benchmarks.timing import Spread, rate_ratio, take_turns

TITLE = "Whole environment against EnvPool"
TASK = "Go1JoystickFlatTerrain-v1"
ABOUT = (
    f"EnvPool's `{TASK}`, MuJoCo Playground's Go1 rewritten in C++: also 50 Hz control, velocity commands, noisy "
    f"observations for actor and critic, rewards and resets. Both get targets uniform in +-{ACTION} rad around the "
    "default pose, and both give the critic's observation in every step. EnvPool randomises no physics, lets only feet "
    "collide and goes on with a robot until it is upside down; ours randomises every episode and ends it at a fall."
)
_PHYSICS_STEPS = 5  # of 4 ms a control step, EnvPool's default for this task


@dataclass(frozen=True)
class EnvPoolBenchmark:
    """Sizes: environments, control steps a round, rounds, threads (all cores if None)."""

    num_envs: int = 64
    steps: int = 20
    rounds: int = 40
    threads: int | None = None

    def run(self) -> Iterator[Row]:
        """Control steps a second, then environments in a gigabyte."""
        what = f"control steps, {self.num_envs} environments"
        try:
            envpool = importlib.import_module("envpool")
        except ImportError as error:
            why = f"EnvPool cannot be imported ({error}): pip install 'landbridge[benchmark]', as `make benchmark` does"
            yield Row(what, None, None, "control steps/s", None, Aim(2.0), why)
            return
        threads = self.threads or machine.cores()
        before = machine.resident_bytes()
        with closing(_Peer(envpool, self.num_envs, threads)) as peer:
            theirs = machine.resident_bytes() - before
            with closing(make_env(self.num_envs, threads)) as env:
                targets = Targets(env, self.steps)
                scaled = [np.empty(0)]

                def prepare() -> None:
                    # EnvPool's unit of action is a half rad.
                    scaled[0] = ((targets.draw() - env.default_joint_pos) / ACTION).double().numpy()

                def our_steps() -> None:
                    for row in targets.block:
                        env.step(row)
                        env.critic_obs()

                seconds = take_turns(
                    {"ours": our_steps, "envpool": lambda: peer.steps(scaled[0])}, self.rounds, prepare
                )
                decimation = env.engine.decimation
        ratio = rate_ratio(seconds["ours"], seconds["envpool"])
        rate = {name: float(self.num_envs * self.steps / np.median(taken)) for name, taken in seconds.items()}
        yield Row(
            what,
            rate["ours"],
            rate["envpool"],
            "control steps/s",
            ratio,
            Aim(2.0),
            f"EnvPool {envpool.__version__}, {threads} threads, {self.rounds} rounds of {self.steps} control steps. It "
            f"takes {_PHYSICS_STEPS} physics steps a control step, ours {decimation}: the ratio of physics steps a "
            f"second is {ratio.median * decimation / _PHYSICS_STEPS:.3g}",
        )
        ours, other = (self.num_envs * 1e9 / max(1, used) for used in (footprint(self.num_envs, threads), theirs))
        each = Spread.of([ours / other])
        yield Row("environments a gigabyte", ours, other, "1/GB", each, None, "growth of resident memory when made")


class _Peer:
    """EnvPool's environments, stepped synchronously."""

    def __init__(self, envpool: ModuleType, num_envs: int, threads: int) -> None:
        self._env = envpool.make_gymnasium(TASK, num_envs=num_envs, num_threads=threads, seed=1)
        self._env.reset()

    def steps(self, actions: np.ndarray) -> None:
        """One control step for each row of `actions` (T, N, J) in -1 .. 1."""
        for action in actions:
            self._env.step(action)

    def close(self) -> None:
        self._env.close()
