"""`landbridge replay LOG [BUNDLE]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from contract.bundle import Bundle
    from deploy_robot.recording import Recording

_DIGITS = 12  # of a digest


@dataclass(frozen=True)
class Replay:
    """Replay a recording: the policy's commands, bit for bit, or the safety monitors with other thresholds.

    With a bundle, gives its policy the recorded signals and compares every joint target with the recorded one. With
    another bundle than the recorded one, says where the commands part.

    With --monitors, judges the recorded signals again: by the recorded limits, or the bundle's where one is given,
    with the limits that follow in their place (in the units of `landbridge monitors`).

    Exit code 0; 1 where the commands part.

    Examples:
        landbridge replay runs/my-run/trip-20260102-030405-tilt.mcap go2-velocity-flat
        landbridge replay runs/my-run/run-20260102-030400.mcap --monitors
        landbridge replay runs/my-run/run-20260102-030400.mcap --monitors tilt=0.6 joint_velocity=0.8
    """

    log: Annotated[Path, tyro.conf.Positional]
    """Recording (.mcap) of `landbridge run` or robot_node."""
    bundle: Annotated[Path | None, tyro.conf.Positional] = None
    """Bundle directory or .zip, or the name of a shipped one."""
    monitors: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="[LIMIT ...]")] = None
    """Judge again, with these limits in place of the others: CONSTRAINT=LIMIT ..."""

    def run(self) -> int:
        """Exit code as above.

        Raises:
            UsageError: nothing to do, a limit that is none, or a bundle that does not fit the recording.
            BundleError: the bundle is not whole.
            LandbridgeError: the recording cannot be read.
        """
        from rich.console import Console

        from contract.bundle import read_bundle
        from contract.errors import UsageError
        from deploy_robot.recording import read_recording
        from landbridge.shipped import find

        if self.bundle is None and self.monitors is None:
            raise UsageError("give a BUNDLE to replay its commands, or --monitors to judge the recording again")
        limits = dict(_limit(text) for text in self.monitors or ())
        bundle = read_bundle(find(self.bundle)) if self.bundle else None
        recording = read_recording(self.log)
        console = Console(highlight=False, soft_wrap=True)
        about = recording.about
        console.print(f"{recording.seconds:.1f} s of a {about.get('robot')}", markup=False)
        if recording.damage:
            console.print(f"the file is {recording.damage}: what comes before that is used", markup=False)
        if self.monitors is not None:
            _judge(console, recording, bundle, limits)
            return 0
        assert bundle is not None
        return _commands(console, recording, bundle)


def _commands(console: "Console", recording: "Recording", bundle: "Bundle") -> int:
    from deploy_robot.onnx_policy import named_robot, prove
    from deploy_robot.replay import Parting, replay_commands

    def described(parting: Parting) -> str:
        return (
            f"step {parting.step} ({parting.time:.3f} s), {parting.joint}: recorded {parting.recorded:.9g} rad,"
            f" replayed {parting.replayed:.9g}, difference {parting.size:.3g}"
        )

    digest = recording.about.get("digest", "")
    if digest != bundle.digest:
        recorded = f"bundle {digest[:_DIGITS]}" if digest else "no bundle"
        console.print(f"recorded with {recorded}; this one is {bundle.digest[:_DIGITS]}", markup=False)
    replay = replay_commands(recording, prove(bundle, named_robot(bundle.contract)))
    missing = f", {replay.missing} more are missing in the recording" if replay.missing else ""
    console.print(f"{replay.steps} steps replayed{missing}")
    if replay.first is None or replay.largest is None:
        console.print("the commands are the same, bit for bit")
        return 0
    console.print(f"{replay.differing} steps differ", markup=False)
    console.print(f"the commands part at {described(replay.first)}", markup=False)
    console.print(f"largest difference at {described(replay.largest)}", markup=False)
    return 1


def _judge(console: "Console", recording: "Recording", bundle: "Bundle | None", limits: dict[str, float]) -> None:
    from deploy_robot.replay import rejudge

    judgement = rejudge(recording, bundle.contract if bundle else None, limits)
    recorded = {(trip.time, trip.constraint) for trip in judgement.recorded}
    judged = {(trip.time, trip.constraint) for trip in judgement.judged}
    gone = [trip for trip in judgement.recorded if (trip.time, trip.constraint) not in judged]
    if judgement.lost:
        console.print(f"{judgement.lost} messages were not recorded, so times may differ")
    for trip in sorted([*judgement.judged, *gone], key=lambda trip: trip.time):
        key = (trip.time, trip.constraint)
        change = "  " if key in recorded and key in judged else "+ " if key in judged else "- "
        console.print(f"{change}{trip.time:8.2f} s  {trip.reaction.name.lower():<5} {trip.message}", markup=False)
    added = len(judged - recorded)
    console.print(
        f"{len(judgement.judged)} trips; recorded were {len(judgement.recorded)}: {added} new (+), {len(gone)} gone (-)"
    )


def _limit(text: str) -> tuple[str, float]:
    from contract.errors import UsageError

    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"--monitors {text}: must be CONSTRAINT=LIMIT, as in tilt=0.6") from None
