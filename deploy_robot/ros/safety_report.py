"""What robot_node tells the world about its supervisor, as a DiagnosticArray that standard tools show."""

from dataclasses import dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from deploy_robot.ros.conversions import MessageError
from deploy_robot.supervisor import Mode, Reaction

_LEVEL = {
    Reaction.NONE: DiagnosticStatus.OK,
    Reaction.CLIP: DiagnosticStatus.WARN,
    Reaction.HOLD: DiagnosticStatus.WARN,
    Reaction.DAMP: DiagnosticStatus.ERROR,
    Reaction.STOP: DiagnosticStatus.ERROR,
}


@dataclass(frozen=True)
class SafetyReport:
    """The supervisor's latest decision. `trips` counts them since the start, `last_trips` describes a few."""

    mode: Mode
    reaction: Reaction
    causes: tuple[str, ...] = ()
    trips: int = 0
    last_trips: tuple[str, ...] = ()
    refused_commands: int = 0


def to_message(report: SafetyReport, robot: str, stamp: Time) -> DiagnosticArray:
    """One status of the name `safety`."""
    values = [
        ("mode", report.mode.value),
        ("reaction", report.reaction.name.lower()),
        ("trips", str(report.trips)),
        ("refused_commands", str(report.refused_commands)),
        *(("cause", cause) for cause in report.causes),
        *(("trip", trip) for trip in report.last_trips),
    ]
    status = DiagnosticStatus(
        level=_LEVEL[report.reaction],
        name="safety",
        message="; ".join(report.causes) or report.mode.value,
        hardware_id=robot,
        values=[KeyValue(key=key, value=value) for key, value in values],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def from_message(message: DiagnosticArray) -> SafetyReport:
    """Inverse of `to_message`. MessageError where the message is not one of ours."""
    statuses = [status for status in message.status if status.name == "safety"]
    if len(statuses) != 1:
        raise MessageError(f"status: expected one named 'safety', got {len(statuses)}")
    pairs = [(pair.key, pair.value) for pair in statuses[0].values]
    single = dict(pairs)
    try:
        return SafetyReport(
            mode=Mode(single["mode"]),
            reaction=Reaction[single["reaction"].upper()],
            causes=tuple(value for key, value in pairs if key == "cause"),
            trips=int(single["trips"]),
            last_trips=tuple(value for key, value in pairs if key == "trip"),
            refused_commands=int(single["refused_commands"]),
        )
    except KeyError as error:
        raise MessageError(f"safety report: unknown or missing {error}") from None
    except ValueError as error:
        raise MessageError(f"safety report: {error}") from None
