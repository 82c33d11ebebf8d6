"""From recorded poses to an mp4 or a still picture."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import local

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from contract.errors import LandbridgeError, UsageError
from contract.robot import Robot
from sim.rendering.camera import Camera, Pinhole
from sim.rendering.figure import Figure
from sim.rendering.frames import Frames
from sim.rendering.ground import Ground

Image8 = NDArray[np.uint8]

SIZE = (848, 480)  # pixels, width and height
FPS = 25.0


class Scene:
    """All that is needed to draw any frame of one recording."""

    def __init__(self, robot: Robot, frames: Frames, size: tuple[int, int], camera: Camera):
        width, height = size
        if width < 64 or height < 64 or width % 2 or height % 2:
            raise UsageError(f"size: {width}x{height} cannot be encoded; use even numbers of at least 64.")
        self._frames = frames
        self._targets = camera.targets(frames)
        self._pinhole = Pinhole(camera.offset(frames), camera.field_of_view, width, height)
        self._pinhole.look_at(self._targets[0])
        self._ground = Ground(self._pinhole)
        self._figure = Figure(robot)
        self._font = ImageFont.load_default(size=height / 26)

    def draw(self, index: int) -> Image8:
        """Frame `index` as (H, W, 3) uint8 RGB."""
        self._pinhole.look_at(self._targets[index])
        self._figure.place(self._frames, index)
        picture = self._ground.draw(*self._figure.spheres(), self._figure.cast)
        self._figure.draw_over(picture, self._pinhole)
        image = np.clip(picture, 0, 255).astype(np.uint8)
        if not self._frames.captions:
            return image
        page = Image.fromarray(image)
        margin = self._pinhole.height // 30
        ImageDraw.Draw(page).text((margin, margin), self._frames.captions[index], fill=(28, 36, 48), font=self._font)
        return np.asarray(page)


def still(
    robot: Robot, frames: Frames, index: int = 0, size: tuple[int, int] = SIZE, camera: Camera | None = None
) -> Image8:
    """One frame of a recording as (H, W, 3) uint8 RGB.

    Raises:
        UsageError: the size is odd or tiny.
    """
    return Scene(robot, frames, size, camera or Camera()).draw(index)


def render(
    robot: Robot,
    frames: Frames,
    path: Path,
    fps: float = FPS,
    size: tuple[int, int] = SIZE,
    camera: Camera | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw a recording into an H.264 mp4 at `path`; the file appears there only when it is complete.

    Args:
        workers: threads that draw.
        progress: called with (frames done, frames in all) after each frame.

    Raises:
        UsageError: the size is odd or tiny, `fps` is not positive, or `workers` is below 1.
        LandbridgeError: the file cannot be written.
    """
    if workers < 1:
        raise UsageError(f"workers: must be at least 1, not {workers}.")
    frames = frames.resample(fps)
    pictures = _pictures(robot, frames, size, camera or Camera(), workers)
    partial = path.with_name(f".{path.stem}.partial.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _encode(pictures, partial, fps, size, len(frames), progress)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error).strip().splitlines()[0]
        raise LandbridgeError(f"cannot write the video {path}: {reason}") from error
    return path


def _encode(
    pictures: Iterator[Image8],
    path: Path,
    fps: float,
    size: tuple[int, int],
    count: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Give the pictures to ffmpeg; OSError where it could not write all `count` of them."""
    writer = imageio_ffmpeg.write_frames(
        str(path),
        size,
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        for done, image in enumerate(pictures, start=1):
            writer.send(np.ascontiguousarray(image))
            if progress is not None:
                progress(done, count)
    finally:
        writer.close()
    # ffmpeg finishes the file after the last picture, and says nothing where that fails.
    try:
        written, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    except RuntimeError:
        written = 0
    if written != count:
        raise OSError(f"{written} of {count} frames arrived in the file; the disk may be full")


def _pictures(robot: Robot, frames: Frames, size: tuple[int, int], camera: Camera, workers: int) -> Iterator[Image8]:
    """Every frame in order, drawn by `workers` threads; the ray caster lets other threads run meanwhile."""
    mine = local()

    def draw(index: int) -> Image8:
        if not hasattr(mine, "scene"):
            mine.scene = Scene(robot, frames, size, camera)
        image: Image8 = mine.scene.draw(index)
        return image

    with ThreadPoolExecutor(workers) as pool:
        # A few frames ahead and no more: a finished picture waits in memory until it is encoded.
        ahead: deque[Future[Image8]] = deque()
        for index in range(len(frames)):
            ahead.append(pool.submit(draw, index))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
