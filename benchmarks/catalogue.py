"""Every benchmark by name, in two sizes."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Benchmark
from contract.lookup import unknown


@dataclass(frozen=True)
class Entry:
    """Where a benchmark is. `quick` are the sizes for a look that takes seconds; None if there is no such thing."""

    module: str
    class_name: str
    quick: dict[str, Any] | None

    @property
    def title(self) -> str:
        """Heading on the page."""
        return str(self._load().TITLE)

    @property
    def about(self) -> str:
        """What is compared with what."""
        return str(self._load().ABOUT)

    def make(self, quick: bool) -> Benchmark:
        """The benchmark in full, or in quick sizes where it has them."""
        maker: Callable[..., Benchmark] = getattr(self._load(), self.class_name)
        return maker(**(self.quick or {})) if quick else maker()

    def _load(self) -> Any:
        return importlib.import_module(f"benchmarks.{self.module}")


CATALOGUE = {
    "engine": Entry("engine", "EngineBenchmark", {"num_envs": 64, "steps": 5, "rounds": 10}),
    "envpool": Entry("envpool_peer", "EnvPoolBenchmark", {"num_envs": 16, "steps": 5, "rounds": 10}),
    "warp": Entry("warp", "WarpBenchmark", {"sizes": (16,), "steps": 5, "rounds": 5}),
    "memory": Entry("memory", "MemoryBenchmark", {"sizes": (64, 256), "rounds": 5}),
    "randomisation": Entry("randomisation", "RandomisationBenchmark", {"num_envs": 64, "steps": 5, "rounds": 10}),
    "deploy": Entry("deploy", "DeployBenchmark", {"periods": 400}),
    "reaction": Entry("reaction", "ReactionBenchmark", {"trials": 2, "kept": None}),
    "false_trips": Entry(
        "false_trips",
        "FalseTripsBenchmark",
        {"episodes": 1, "seconds": 10.0, "workers": 1, "sessions": 0, "kept": None},
    ),
    "safety": Entry("safety", "SafetyBenchmark", {"steps": 2000, "steps_a_run": 1000, "workers": 1}),
    "fuzz": Entry("fuzz", "FuzzBenchmark", {"seconds": 1.0, "guided_seconds": 0.0}),
    "envelope": Entry(
        "envelope",
        "EnvelopeBenchmark",
        {"rate": 30.0, "robots": 16, "rounds": 1, "calibration_robots": 16, "page": None},
    ),
    "conformance": Entry("conformance", "ConformanceBenchmark", {"names": ("mujoco_cpu",), "page": None}),
    "identification": Entry("identification", "IdentificationBenchmark", {"trials": 2, "seconds": 4.0}),
    "learning": Entry("learning", "LearningBenchmark", None),
}


def chosen(names: tuple[str, ...], quick: bool) -> dict[str, Entry]:
    """The named benchmarks, or all; of all, a quick look leaves out what cannot be quick.

    Raises:
        UsageError: no benchmark of that name.
    """
    for name in names:
        if name not in CATALOGUE:
            raise unknown("benchmark", name, CATALOGUE)
    if names:
        return {name: entry for name, entry in CATALOGUE.items() if name in names}
    return {name: entry for name, entry in CATALOGUE.items() if not (quick and entry.quick is None)}
