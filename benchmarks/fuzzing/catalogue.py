"""Everything that is fuzzed."""

from pathlib import Path

from benchmarks.fuzzing.bundles import bundle_targets
from benchmarks.fuzzing.seed import small_bundle
from benchmarks.fuzzing.targets import Target


def all_targets(scratch: Path) -> tuple[Target, ...]:
    """Every target; `scratch` is an empty folder for files."""
    return bundle_targets(*small_bundle(scratch / "bundle"), scratch)
