"""landbridge_ros: what ROS 2's own tools read of it is consistent with the nodes, and its scripts start them.

The launch file is run against stand-ins for `launch` and `launch_ros`, which exist as parts of a ROS installation only.
"""

import ast
import os
import runpy
import subprocess
import sys
import tomllib
import types
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from deploy_robot.ros.policy_node import PolicyNodeParameters
from deploy_robot.ros.robot_node import RobotNodeParameters

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "landbridge_ros"
MANIFEST = ElementTree.parse(PACKAGE / "package.xml").getroot()
PYTHON = ("rclpy", "launch", "launch_ros")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The entities of the launch description; each is a namespace of what it was made with."""

    def module(name: str, **members: object) -> None:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        vars(sys.modules[name]).update(members)

    def entity(kind: str) -> Any:
        return lambda *args, **made: types.SimpleNamespace(kind=kind, args=args, **made)

    module("launch", LaunchDescription=lambda entities: entities)
    module("launch.actions", DeclareLaunchArgument=entity("argument"))
    module("launch.substitutions", LaunchConfiguration=entity("configuration"))
    module("launch_ros")
    module("launch_ros.actions", Node=entity("node"), LifecycleNode=entity("lifecycle_node"))
    module("launch_ros.parameter_descriptions", ParameterValue=entity("value"))
    entities: list[Any] = runpy.run_path(str(PACKAGE / "launch" / "landbridge.launch.py"))[
        "generate_launch_description"
    ]()
    return entities


def test_the_manifest_is_of_this_version_and_names_what_the_nodes_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert MANIFEST.findtext("version") == project["version"]
    assert MANIFEST.findtext("license") == project["license"]
    assert MANIFEST.findtext("export/build_type") == "ament_python"
    imported = set()
    for path in (ROOT / "deploy_robot" / "ros").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    messages = {name for name in imported if name.endswith(("_msgs", "_srvs", "_interfaces"))}
    declared = {depend.text for depend in MANIFEST.findall("exec_depend")}
    assert messages - {"builtin_interfaces"} <= declared  # a part of every message package
    assert set(PYTHON) <= declared


def test_the_launch_file_starts_both_nodes_with_parameters_that_they_have(launched: list[Any]) -> None:
    arguments = {entity.args[0]: entity.default_value for entity in launched if entity.kind == "argument"}
    nodes = {entity.name: entity for entity in launched if entity.kind != "argument"}
    assert {name: node.kind for name, node in nodes.items()} == {"robot_node": "node", "policy_node": "lifecycle_node"}
    for name, schema in (("robot_node", RobotNodeParameters), ("policy_node", PolicyNodeParameters)):
        node, known = nodes[name], {field.name: field for field in fields(schema)}
        assert (node.package, node.executable) == (MANIFEST.findtext("name"), name)
        assert node.namespace.args == ("namespace",)
        (parameters,) = node.parameters
        for parameter, value in parameters.items():
            assert value.args[0].args == (parameter,)
            if parameter == "use_sim_time":  # rclpy's own
                continue
            default = known[parameter].default
            assert value.value_type is type(default)
            assert arguments[parameter].lower() == str(default).lower()
    assert all(entity.description for entity in launched if entity.kind == "argument")


def test_what_is_installed_is_found_by_ament_and_starts(tmp_path: Path) -> None:
    from ament_index_python import packages

    name = str(MANIFEST.findtext("name"))
    subprocess.run(
        [sys.executable, "setup.py", "-q", "install_data", "--install-dir", str(tmp_path)],
        cwd=PACKAGE,
        check=True,
        capture_output=True,
    )
    prefix = os.environ.get("AMENT_PREFIX_PATH")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMENT_PREFIX_PATH", str(tmp_path) if prefix is None else f"{tmp_path}:{prefix}")
        assert packages.get_package_prefix(name) == str(tmp_path)
        share = Path(packages.get_package_share_directory(name))
    assert (share / "package.xml").is_file()
    assert (share / "launch" / "landbridge.launch.py").is_file()
    for node in ("robot_node", "policy_node"):
        script = tmp_path / "lib" / name / node
        assert os.access(script, os.X_OK), "`ros2 run` lists what is executable there"
        done = subprocess.run(
            [sys.executable, script, "--ros-args", "-p", "priority:=100"],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == 2
        assert f"error: parameter priority of {node}" in done.stderr
