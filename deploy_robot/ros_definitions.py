"""Definitions of the ROS 2 message types in a recording, so that a reader needs nothing else to decode it.

From the interface packages common_interfaces and rcl_interfaces of ROS 2 (Apache-2.0), fields only.
"""

_DEFINITIONS = {
    "builtin_interfaces/msg/Time": "int32 sec\nuint32 nanosec\n",
    "std_msgs/msg/Header": "builtin_interfaces/Time stamp\nstring frame_id\n",
    "std_msgs/msg/MultiArrayDimension": "string label\nuint32 size\nuint32 stride\n",
    "std_msgs/msg/MultiArrayLayout": "MultiArrayDimension[] dim\nuint32 data_offset\n",
    "std_msgs/msg/Float64MultiArray": "MultiArrayLayout layout\nfloat64[] data\n",
    "geometry_msgs/msg/Vector3": "float64 x\nfloat64 y\nfloat64 z\n",
    "geometry_msgs/msg/Quaternion": "float64 x 0\nfloat64 y 0\nfloat64 z 0\nfloat64 w 1\n",
    "geometry_msgs/msg/Twist": "Vector3 linear\nVector3 angular\n",
    "geometry_msgs/msg/TwistStamped": "std_msgs/Header header\nTwist twist\n",
    "sensor_msgs/msg/JointState": (
        "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
    ),
    "sensor_msgs/msg/Imu": (
        "std_msgs/Header header\n"
        "geometry_msgs/Quaternion orientation\nfloat64[9] orientation_covariance\n"
        "geometry_msgs/Vector3 angular_velocity\nfloat64[9] angular_velocity_covariance\n"
        "geometry_msgs/Vector3 linear_acceleration\nfloat64[9] linear_acceleration_covariance\n"
    ),
    "diagnostic_msgs/msg/KeyValue": "string key\nstring value\n",
    "diagnostic_msgs/msg/DiagnosticStatus": (
        "byte OK=0\nbyte WARN=1\nbyte ERROR=2\nbyte STALE=3\n"
        "byte level\nstring name\nstring message\nstring hardware_id\nKeyValue[] values\n"
    ),
    "diagnostic_msgs/msg/DiagnosticArray": "std_msgs/Header header\nDiagnosticStatus[] status\n",
}

_SEPARATOR = "=" * 80


def text(type_: str) -> str:
    """The definition of a type, followed by those that it is made of, as encoding `ros2msg` wants them."""
    parts = [_DEFINITIONS[type_]]
    for used in _used_by(type_):
        parts.append(f"MSG: {used.replace('/msg/', '/')}\n{_DEFINITIONS[used]}")
    return f"{_SEPARATOR}\n".join(parts)


def _used_by(type_: str) -> list[str]:
    package = type_.partition("/")[0]
    found: list[str] = []
    for line in _DEFINITIONS[type_].splitlines():
        field = line.split()[0].partition("[")[0]
        full = field.replace("/", "/msg/") if "/" in field else f"{package}/msg/{field}"
        if full in _DEFINITIONS and full not in found:
            found += [used for used in (full, *_used_by(full)) if used not in found]
    return found
