"""report.html: one file that shows what was made, how it was judged, and how it ran."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contract.bundle import Bundle, read_bundle
from contract.errors import LandbridgeError
from contract.storage import replace_file
from policies import check_report, report_page, report_plots
from policies.metrics import read_metrics
from policies.report_page import Html, code, heading, paragraph, section, table
from policies.session_log import SessionLog, read_session

_LARGEST_FILM = 8_000_000  # bytes inside the page; a larger one is linked
_CHECK_PICTURES = (
    ("scores.png", "Scores by command; dashed: the bar on the mean over all commands"),
    ("commands.png", "Commanded against measured"),
    ("margins.png", "Torque and joint velocity, as a fraction of the limit"),
    ("sensitivity.png", "Randomised parameters and how the robot did"),
    ("traces.png", "Joints of one episode"),
)


@dataclass(frozen=True)
class Requirement:
    """One thing that had to hold, in words that a reader of the report understands."""

    name: str
    measured: str
    wanted: str
    passed: bool


@dataclass(frozen=True)
class Stage:
    """One step of the way to the report, how long it took, and what became of it."""

    name: str
    seconds: float
    passed: bool
    note: str = ""


@dataclass(frozen=True)
class Sources:
    """Where to find what the report shows; None leaves its section out.

    Attributes:
        bundle: directory or zip.
        training: directory of a training run.
        check: folder that `policies.check_report.save` wrote.
        session: folder of a session over ROS 2.
        video: mp4 of that session.
    """

    bundle: Path | None = None
    training: Path | None = None
    check: Path | None = None
    session: Path | None = None
    video: Path | None = None


def write_report(
    path: Path,
    title: str,
    sources: Sources,
    requirements: Sequence[Requirement] = (),
    stages: Sequence[Stage] = (),
) -> Path:
    """Write the report. A source that cannot be read becomes a sentence in its section.

    Raises:
        LandbridgeError: the report cannot be written.
    """
    parts: list[object] = []
    if requirements or stages:
        parts += [_verdict(requirements, stages)]
    builders: tuple[tuple[str, Path | None, Callable[[Path], list[object]]], ...] = (
        ("", sources.session, lambda folder: [_tiles(read_session(folder))]),
        ("The walk", sources.video, lambda video: _film(video, path.parent)),
        ("Run over ROS 2", sources.session, _session),
        ("Check in simulation", sources.check, _check),
        ("Training", sources.training, _training),
        ("The bundle", sources.bundle, lambda bundle: _bundle(read_bundle(bundle))),
    )
    for name, source, build in builders:
        if source is None:
            continue
        try:
            content = build(source)
        except (LandbridgeError, OSError, ValueError, KeyError, TypeError) as error:
            content = [paragraph(f"Not available: {error}", "note")]
        parts += [section(name, content)] if name else content
    if stages:
        rows = [(s.name, f"{s.seconds:.1f} s", report_page.verdict_word(s.passed), s.note) for s in stages]
        parts.append(section("Steps", [table(("step", "took", "", ""), rows, numbers=[1])]))
    page = report_page.page(title, f"Landbridge, {datetime.now().astimezone():%d %B %Y, %H:%M %Z}", parts)
    try:
        replace_file(path, page.encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write the report {path}: {error.strerror or error}") from error
    return path


def _verdict(requirements: Sequence[Requirement], stages: Sequence[Stage]) -> Html:
    failed = [f"{r.name}: {r.measured}, wanted {r.wanted}" for r in requirements if not r.passed]
    failed += [f"{s.name}: {s.note or 'failed'}" for s in stages if not s.passed]
    sentence = "; ".join(failed) if failed else "Everything that was asked for holds."
    rows = [(r.name, r.measured, r.wanted, report_page.verdict_word(r.passed)) for r in requirements]
    banner = report_page.verdict(not failed, sentence)
    if not rows:
        return banner
    return report_page.join(
        [banner, section("Requirements", [table(("requirement", "measured", "wanted", ""), rows, numbers=[1, 2])])]
    )


def _tiles(log: SessionLog) -> Html:
    motion, delay = log.summary["motion"] or {}, log.summary["sensor_to_command"]
    return report_page.tiles(
        (
            (_number(motion.get("distance"), "{:.1f} m"), "walked over ROS 2"),
            (_number(motion.get("tracking_error"), "{:.2f} m/s"), "mean velocity error"),
            (_number(motion.get("falls"), "{:d}"), "falls"),
            (str(len(log.summary["trips"])), "monitor trips"),
            (_number(delay and delay["p99"] * 1e3, "{:.1f} ms"), "sensor to command, p99"),
        )
    )


def _film(video: Path, beside: Path) -> list[object]:
    size = video.stat().st_size
    if size <= _LARGEST_FILM:
        return [report_page.film(video.read_bytes())]
    target = video.relative_to(beside).as_posix() if video.is_relative_to(beside) else video.resolve().as_uri()
    return [paragraph(report_page.link(target, f"{video.name} ({size / 1e6:.0f} MB)"))]


def _session(folder: Path) -> list[object]:
    log = read_session(folder)
    summary, motion = log.summary, log.summary["motion"] or {}
    rows = [
        ("robot", f"{summary['robot']}, {summary['driver']}"),
        ("command", ", ".join(f"{v:g}" for v in summary["command"]) + " (m/s, m/s, rad/s)"),
        ("policy drove for", f"{summary['seconds']:.1f} s"),
        ("distance walked", _number(motion.get("distance"), "{:.2f} m")),
        ("velocity error", _number(motion.get("tracking_error"), "{:.3f} m/s")),
        ("yaw rate error", _number(motion.get("yaw_rate_error"), "{:.3f} rad/s")),
        ("falls", _number(motion.get("falls"), "{:d}")),
        ("period of robot_node", _percentiles(summary["robot_loop"])),
        ("period of the policy", _percentiles(summary["policy_loop"])),
        ("sensor sample to command", _percentiles(summary["sensor_to_command"])),
        ("real-time factor of the emulated robot", _number(summary["real_time_factor"], "{:.3f}")),
    ]
    if summary["problem"]:
        rows.append(("ended early", summary["problem"]))
    parts: list[object] = [table(("", ""), rows)]
    if len(log.time):
        parts += [heading("How it moved"), report_page.picture(report_plots.motion(log), "velocity over time")]
    parts += [heading("How long it took"), report_page.picture(report_plots.timing(log), "timing histograms")]
    parts.append(heading("Monitor trips"))
    trips = [(f"{t['time']:.2f} s", t["constraint"], t["reaction"], t["message"]) for t in summary["trips"]]
    parts.append(table(("time", "constraint", "reaction", ""), trips) if trips else paragraph("None."))
    return parts


def _check(folder: Path) -> list[object]:
    result = json.loads((folder / check_report.RESULT).read_text(encoding="utf-8"))
    bars = [
        (
            bar["name"],
            _number(bar["value"], "{:.3f}"),
            f"{bar['limit']:g}",
            bar["unit"],
            report_page.verdict_word(bar["passed"]),
        )
        for bar in result["bars"]
    ]
    parts: list[object] = [
        paragraph(
            f"{result['episodes']} episodes of {result['seconds']:g} s of the exported graph itself, robots randomised"
            f" {result['randomisation_width']:g} times as widely as in training, seed {result['seed']}."
        ),
        table(("requirement", "measured", "at most", "unit", ""), bars, numbers=[1, 2]),
    ]
    for name, description in _CHECK_PICTURES:
        parts += [heading(description), report_page.picture((folder / name).read_bytes(), description)]
    if result["falls"]:
        rows = [(f["env"], f["cell"], f"{f['time']:.2f} s", "yes" if f["diverged"] else "") for f in result["falls"]]
        parts += [heading("Falls"), table(("episode", "command", "at", "physics diverged"), rows, numbers=[2])]
    return parts


def _training(run: Path) -> list[object]:
    metrics = read_metrics(run)
    steps, seconds = metrics["steps"][-1], metrics["seconds"][-1]
    return [
        paragraph(
            f"{steps / 1e6:.2f} million control steps in {seconds / 60:.1f} minutes, "
            f"{steps / seconds:,.0f} steps a second, {len(metrics['steps'])} iterations."
        ),
        report_page.picture(report_plots.learning_curves(metrics), "learning curves"),
    ]


def _bundle(bundle: Bundle) -> list[object]:
    contract, origin = bundle.contract, bundle.contract.provenance
    signals = [
        (kind, s.name, " × ".join(map(str, s.shape)), s.unit, s.frame, s.description)
        for kind, group in (("in", contract.inputs), ("memory", contract.memory), ("out", contract.outputs))
        for s in group
    ]
    commit = origin.git_commit or "not from a git checkout"
    provenance = [
        ("digest", code(bundle.digest)),
        ("task", contract.task),
        ("robot", contract.robot),
        ("control period", f"{1e3 * contract.control_period:g} ms"),
        ("created", origin.created),
        ("command", code(origin.command)),
        ("seed", origin.seed),
        ("git commit", code(f"{commit} with uncommitted changes" if origin.git_dirty else commit)),
        ("configuration", code(origin.config_hash)),
        ("packages", ", ".join(f"{name} {version}" for name, version in origin.packages.items())),
        ("training", ", ".join(_flat(origin.training))),
    ]
    return [
        table(("", ""), provenance),
        heading("Signals"),
        table(("", "name", "shape", "unit", "frame", ""), signals),
        heading("Randomised in training"),
        table(("", ""), [(name, ", ".join(_flat(what))) for name, what in contract.randomisation.items()]),
    ]


def _flat(value: Any, name: str = "") -> list[str]:
    """Leaves of a JSON value as `name value`."""
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _flat(item, f"{name} {key}".strip())]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return [f"{name} {shown}".strip()]


def _percentiles(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "not measured"
    return f"p50 {1e3 * value['p50']:.2f} ms, p99 {1e3 * value['p99']:.2f} ms, longest {1e3 * value['max']:.1f} ms"


def _number(value: float | None, form: str) -> str:
    return "not known" if value is None or math.isnan(value) else form.format(value)
