"""`landbridge video RECORDING`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Video:
    """Turn a recording of a robot, or a bundle in simulation, into an mp4.

    Needs no OpenGL, display or GPU. A recording is the truth.npz that `landbridge run` leaves of an emulated robot, or
    an episode that `landbridge check` leaves.

    Examples:
        landbridge video runs/run-20260504-123000/truth.npz
        landbridge video runs/check-20260504-123000/episodes/fall-17.npz --out fall.mp4
        landbridge video go2-velocity-flat.zip --command 0.8,0,0.5 --seconds 10
    """

    source: Annotated[Path, tyro.conf.Positional]
    """Recording (.npz), or bundle directory or .zip, or the name of a shipped bundle."""
    out: Path | None = None
    """The video; by default beside a recording, and in this folder for a bundle."""
    start: float = 0.0
    """Seconds of a recording to leave out at its beginning."""
    seconds: float | None = None
    """Length; by default all of a recording, and 10 s of a bundle."""
    command: str = "0.6,0,0"
    """Of a bundle: velocity forwards and to the left (m/s) and yaw rate (rad/s): VX,VY,YAW_RATE."""
    seed: int = 0
    """Of a bundle: the simulated robot's parameters and noise."""
    fps: float = 25.0
    """Frames a second."""
    size: tuple[int, int] = (848, 480)
    """Width and height in pixels."""

    def run(self) -> int:
        """Exit code 0; UsageError where there is nothing to show."""
        import os

        from contract import robots
        from policies.counted import counted
        from sim.rendering import read_recording, render

        if self.source.suffix == ".npz":
            name, frames = read_recording(self.source)
            start = float(frames.time[0]) + self.start
            frames = frames.between(start, start + self.seconds if self.seconds else float(frames.time[-1]))
            out = self.out or self.source.with_suffix(".mp4")
        else:
            from landbridge.arguments import velocity_command
            from landbridge.shipped import find
            from policies.showcase import showcase

            name, frames = showcase(find(self.source), velocity_command(self.command), self.seconds or 10.0, self.seed)
            out = self.out or Path(f"{self.source.stem}.mp4")
        with counted("drawing", "frames") as progress:
            render(robots.load(name), frames, out, self.fps, self.size, workers=os.cpu_count() or 1, progress=progress)
        print(out)
        return 0
