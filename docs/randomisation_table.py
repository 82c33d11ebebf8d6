"""Writes the table of parameters into docs/randomisation.md: `make docs`."""

import sys
from contextlib import closing
from pathlib import Path

from contract import robots
from domain_rand.distributions import Distribution
from domain_rand.presets import FULL, QUADRUPED
from domain_rand.spec import At, Per, Randomisation
from sim import engines, tasks
from sim.engines.engine import Parameter
from sim.engines.isaac_lab.engine import PARAMETERS as ISAAC_LAB
from sim.env import VecEnv

PAGE = Path(__file__).with_name("randomisation.md")
BEGIN = "<!-- parameters: written by `make docs` from the code -->\n"
END = "<!-- end of parameters -->\n"

_TASK = "go2-velocity-flat"
_STAGES = {
    "sensors": "sensors",
    "actuation": "way to the motors",
    "disturbances": "environment",
    "start": "first state",
}


def table() -> str:
    """Every parameter of a Go2, where it takes effect, and what the presets do with it."""
    with closing(VecEnv(tasks.load(_TASK), 1, threads=0)) as env:
        stages = {
            name: (parameter, _STAGES[stage])
            for stage, owner in env.stages.items()
            for name, parameter in owner.parameters.items()
        }
        robot = env.robot.name
    rows = {**_of_engines(robot), **stages}
    head = "| parameter | unit | numbers | what it is | where | `quadruped` | `full` |\n|---|---|---|---|---|---|---|"
    lines = [
        f"| `{name}` | {parameter.unit} | {parameter.size} | {parameter.description} | {where} |"
        f" {_used(QUADRUPED, name)} | {_used(FULL, name)} |"
        for name, (parameter, where) in rows.items()
    ]
    return "\n".join([head, *lines]) + "\n"


def with_table(page: str) -> str:
    """The page with the table of today between the two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def _of_engines(robot: str) -> dict[str, tuple[Parameter, str]]:
    known = {
        n: engines.capabilities(n, robots.load(robot)).parameters for n in ("mujoco_cpu", "mujoco_warp", "pybullet")
    }
    every = {name: parameter for parameters in known.values() for name, parameter in parameters.items()}
    having = {name: [engine for engine, parameters in known.items() if name in parameters] for name in every}
    for name in ISAAC_LAB:
        having[name].append("isaac_lab")
    return {
        name: (parameter, "all engines" if len(having[name]) == len(known) + 1 else ", ".join(having[name]))
        for name, parameter in every.items()
    }


def _used(randomisation: Randomisation, parameter: str) -> str:
    term = next((term for term in randomisation.terms if term.parameter == parameter), None)
    if term is None:
        return ""
    words = [_shown(term.distribution)]
    if term.per is not Per.COMPONENT:
        words.append(f"per {term.per.value}")
    if not isinstance(term.moment, At):
        words.append(f"every {_shown(term.moment.seconds)} s")
    elif term.moment is not At.EPISODE:
        words.append({At.START_UP: "at start-up", At.STEP: "in each step"}[term.moment])
    return ", ".join(words)


def _shown(distribution: Distribution) -> str:
    low, high = distribution.support
    kind = {"Uniform": "", "LogUniform": " (log)", "TruncatedNormal": " (normal)", "Categorical": " (some)"}
    return f"{low:g}" if low == high else f"{low:g} to {high:g}{kind[type(distribution).__name__]}"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(with_table(target.read_text()))
    print(f"wrote {target}")
