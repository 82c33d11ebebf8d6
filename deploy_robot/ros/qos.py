"""Quality of service of every topic. Publishers are reliable, so that any subscriber can connect; whoever
wants the freshest sample subscribes best effort with a queue of one (REP 2003).

The sensors and the joint commands carry deadlines of three periods: the middleware of either side says when one was
missed, and the node counts it for /diagnostics. What a missed one means for the robot is the supervisor's business,
which has clocks of its own. A subscriber's deadline keeps out publishers that promise none, so robot_node asks for
none on `~/joint_command`: a policy node of somebody else's may drive, too.
"""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

DEADLINE_PERIODS = 3.0
"""Two periods give false alarms on a busy machine."""

SLOWEST_RATE = 50.0
"""Hz, of robot_node's loop; its parameter goes no lower, and a deadline has to be the same at both ends."""

STREAM_PUBLISHER = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)
STREAM_SUBSCRIBER = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def deadline(period: float) -> Duration:
    """Three times `period` (s)."""
    return Duration(nanoseconds=round(1e9 * DEADLINE_PERIODS * period))


def command_publisher(period: float) -> QoSProfile:
    """Of joint commands that are sent every `period` s."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE, deadline=deadline(period)
    )


SENSOR_PUBLISHER = command_publisher(1.0 / SLOWEST_RATE)
SENSOR_SUBSCRIBER = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    deadline=deadline(1.0 / SLOWEST_RATE),
)
# For the black box, which wants every message; nobody waits for it.
RECORD = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)
# The newest report is kept for those who come later.
STATUS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
