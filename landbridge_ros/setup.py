"""The ROS 2 package: what `ros2 run` and `ros2 launch` look for. The nodes themselves come with Landbridge."""

from setuptools import setup

setup(
    name="landbridge_ros",
    version="0.1.0",
    packages=[],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/landbridge_ros"]),
        ("share/landbridge_ros", ["package.xml"]),
        ("share/landbridge_ros/launch", ["launch/landbridge.launch.py"]),
        ("lib/landbridge_ros", ["scripts/robot_node", "scripts/policy_node"]),
    ],
)
