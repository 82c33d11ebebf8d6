"""Whatever is done to a bundle, by chance or by design, it is refused in one sentence or is sound."""

from collections.abc import Iterator
from random import Random

import pytest
import toy_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing.bundles import bundle_targets
from benchmarks.fuzzing.targets import Target
from contract.bundle import read_files

NAMES = (
    "zip archive",
    "zip archive under trusted keys",
    "manifest.json",
    "signature.json under trusted keys",
    "contract.json",
    "golden.npz",
    "policy.onnx, scanned",
    "policy.onnx, scanned and run",
)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Target]]:
    scratch = tmp_path_factory.mktemp("fuzz")
    files = read_files(toy_policy.write(scratch / "toy"))
    return {target.name: target for target in bundle_targets(files, toy_policy.ROBOT, scratch)}


def test_every_target_is_here_and_takes_what_is_sound(targets: dict[str, Target]) -> None:
    assert tuple(targets) == NAMES
    for target in targets.values():
        assert target.accepts(target.seed), target.name


@pytest.mark.parametrize("name", NAMES)
@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=100)
def test_changed_input_is_refused_or_sound(targets: dict[str, Target], name: str, random: Random) -> None:
    target = targets[name]
    target.accepts(target.change(random, target.seed))


@pytest.mark.parametrize("name", NAMES)
def test_changes_reach_what_they_are_meant_to_break(targets: dict[str, Target], name: str) -> None:
    """Or nothing would follow from a fuzzer that finds nothing."""
    target = targets[name]
    verdicts = [target.accepts(target.change(Random(i), target.seed)) for i in range(40)]
    assert not all(verdicts)
