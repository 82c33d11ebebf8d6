"""What each optional part of the distribution gives, and which modules tell that it is installed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Extra:
    """One extra of the distribution.

    Attributes:
        name: as in `pip install "landbridge[NAME]"`.
        gives: what one can do with it.
        modules: the import packages that it installs and Landbridge's code imports.
        instead: another way to get the same, for machines that the wheels do not reach.
        beyond: import packages that come by that other way alone.
    """

    name: str
    gives: str
    modules: tuple[str, ...]
    instead: str = ""
    beyond: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """The command that installs it, and the other way where there is one."""
        command = f"pip install 'landbridge[{self.name}]'"
        return f"{command}, or {self.instead}" if self.instead else command


BASE = Extra(
    name="",
    gives="read, inspect and verify bundles",
    modules=("numpy", "onnxruntime", "rich", "tyro"),
)

EXTRAS = (
    Extra(
        name="train",
        gives="train, export and check policies, draw plots and videos",
        modules=(
            "torch",
            "mujoco",
            "onnx",
            "onnxscript",
            "tensorboard",
            "matplotlib",
            "PIL",
            "imageio_ffmpeg",
            "SALib",
            "cmaes",
        ),
    ),
    Extra(
        name="ros",
        gives="run a policy on a robot, or on the emulated one, over ROS 2",
        modules=(
            "rclpy",
            "mcap",
            "rmw_dds_common",
            "builtin_interfaces",
            "diagnostic_msgs",
            "geometry_msgs",
            "lifecycle_msgs",
            "rosgraph_msgs",
            "sensor_msgs",
            "std_msgs",
            "std_srvs",
            "trajectory_msgs",
        ),
        instead="source the system's ROS 2 (source /opt/ros/DISTRIBUTION/setup.bash)",
    ),
    Extra(
        name="gpu",
        gives="simulate on an NVIDIA GPU, with engine mujoco_warp",
        modules=("mujoco_warp", "warp"),
    ),
    Extra(
        name="isaaclab",
        gives="simulate in Isaac Lab, with engines isaac_lab and isaac_lab_physx",
        modules=("isaaclab", "isaaclab_newton", "newton"),
        instead="see docs/isaac_lab.md, since Isaac Lab itself wants a second command",
        beyond=("isaaclab_ov", "ovphysx", "ovstage"),
    ),
    Extra(
        name="pybullet",
        gives="check policies in an independent physics, with engine pybullet",
        modules=("pybullet",),
    ),
    Extra(
        name="robots",
        gives="write robots as USD, and fetch them from the MuJoCo Menagerie",
        modules=("pxr", "mujoco_menagerie"),
    ),
    Extra(
        name="unitree",
        gives="drive a Unitree Go2 over its own DDS topics",
        modules=("cyclonedds",),
    ),
    Extra(
        name="sign",
        gives="sign bundles, and have a robot refuse those that no trusted key has signed",
        modules=("cryptography",),
    ),
    Extra(
        name="dev",
        gives="run the tests and linters",
        modules=("pytest", "xdist", "hypothesis", "ruff", "mypy", "importlinter", "rosbags", "unitree_sdk2py"),
    ),
)


def extra_with(module: str) -> Extra | None:
    """The extra that installs `module` (dotted names count by their first part), or None where none does."""
    top = module.partition(".")[0]
    return next((extra for extra in EXTRAS if top in extra.modules + extra.beyond), None)
