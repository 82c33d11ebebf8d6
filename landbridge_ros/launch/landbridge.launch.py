"""robot_node and policy_node on one robot.

    ros2 launch landbridge_ros landbridge.launch.py robot:=unitree_go2 driver:=unitree_go2 address:=eth0 bundle:=PATH

policy_node stays unconfigured and the robot passive, whatever the arguments: standing up and handing over to a policy
are an operator's decisions (docs/bring_up.md).
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

_COMMON = {
    "bundle": ("", str, "policy bundle, a directory or zip"),
    "trusted_keys": ("", str, "PEM file or folder of keys that may sign bundles"),
    "dry_run": ("false", bool, "never write the robot"),
    "cpus": ("", str, "processors to stay on, such as 2,3"),
    "lock_memory": ("false", bool, "keep every page in memory"),
    "use_sim_time": ("false", bool, "stamp messages by /clock"),
}
_ROBOT_NODE = {
    "robot": ("unitree_go2", str, "robot description"),
    "driver": ("emulated", str, "how to reach the robot"),
    "address": ("", str, "where the driver finds the robot"),
    "rate": ("200.0", float, "control loop, Hz"),
    "record": ("false", bool, "record the whole run"),
}


def _parameters(names):
    return [
        {name: ParameterValue(LaunchConfiguration(name), value_type=type_) for name, (_, type_, _) in names.items()}
    ]


def generate_launch_description():
    """Both nodes, in the namespace that is given."""
    namespace = LaunchConfiguration("namespace")
    arguments = {"namespace": ("", str, "ROS namespace of both nodes")} | _COMMON | _ROBOT_NODE
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, _, description) in arguments.items()
            ),
            Node(
                package="landbridge_ros",
                executable="robot_node",
                name="robot_node",
                namespace=namespace,
                output="screen",
                parameters=_parameters(_COMMON | _ROBOT_NODE),
            ),
            LifecycleNode(
                package="landbridge_ros",
                executable="policy_node",
                name="policy_node",
                namespace=namespace,
                output="screen",
                parameters=_parameters(_COMMON),
            ),
        ]
    )
