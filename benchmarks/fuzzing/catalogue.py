"""Everything that is fuzzed."""

from importlib.util import find_spec
from pathlib import Path

from benchmarks.fuzzing.bundles import bundle_targets
from benchmarks.fuzzing.buses import bus_targets
from benchmarks.fuzzing.seed import small_bundle
from benchmarks.fuzzing.targets import Target
from contract import policy_contract


def all_targets(scratch: Path) -> tuple[Target, ...]:
    """Every target, those of ROS messages where ROS is installed; `scratch` is an empty folder for files."""
    files, robot = small_bundle(scratch / "bundle")
    targets = (*bundle_targets(files, robot, scratch), *bus_targets())
    if find_spec("rclpy") is None:
        return targets
    from benchmarks.fuzzing.ros_messages import ros_targets

    return (*targets, *ros_targets(robot, policy_contract.from_json(files[policy_contract.FILE])))
