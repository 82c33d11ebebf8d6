"""Fuzzing that is guided by which lines an input reaches: `python -m benchmarks.fuzzing.coverage TARGET [OPTION ...]`.

The options are libFuzzer's. Needs atheris.
"""

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from random import Random

from benchmarks.fuzzing.worker import Outcome

_INPUT_TIMEOUT = 30  # s
_MAX_MEMORY = 4096  # MiB
_SETUP = 120.0  # s


def available() -> bool:
    """Whether atheris is installed."""
    return find_spec("atheris") is not None


def fuzz_guided(name: str, seconds: float, seed: int) -> Outcome:
    """Run the target for so long in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "max_total_time": max(1, round(seconds)),
            "seed": seed + 1,  # libFuzzer takes 0 for the time of day
            "timeout": _INPUT_TIMEOUT,
            "rss_limit_mb": _MAX_MEMORY,
            "artifact_prefix": f"{scratch}/",
            "print_final_stats": 1,
        }
        argv = [sys.executable, "-m", __name__, name, *(f"-{option}={value}" for option, value in options.items())]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=seconds + _SETUP, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(findings=["did not end in time"])
    tried = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    outcome = Outcome(int(tried[1]) if tried else 0)
    if done.returncode or not tried:
        outcome.findings.append(_reason(done.stderr) or f"exit code {done.returncode}")
    return outcome


def _reason(stderr: str) -> str:
    """The Python exception that libFuzzer stopped at, else its own error."""
    errors = [line for line in stderr.splitlines() if re.match(r"[\w.]*(Error|Exception|Violation): ", line)]
    errors += [line for line in stderr.splitlines() if "ERROR: libFuzzer" in line]
    return errors[0][:300] if errors else ""


def main(argv: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["contract", "deploy_robot"]):
        from benchmarks.fuzzing.catalogue import all_targets
    with tempfile.TemporaryDirectory() as scratch:
        target = next(target for target in all_targets(Path(scratch)) if target.name == argv[1])
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        (corpus / "sound").write_bytes(target.seed)

        def change(data: bytes, max_size: int, seed: int) -> bytes:
            random = Random(seed)
            if random.random() < 0.5:
                return atheris.Mutate(data, max_size)
            try:
                return target.change(random, data)[:max_size]
            except Exception:  # it knows how to change sound inputs only
                return target.change(random, target.seed)[:max_size]

        options = [*argv[2:], f"-max_len={4 * len(target.seed)}"]
        atheris.Setup([argv[0], *options, str(corpus)], target.accepts, custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
