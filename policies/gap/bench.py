"""An engine set up to be asked, again and again with other parameters, what one control period does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from domain_rand.randomiser import EpisodeRandomiser, Missing
from domain_rand.spec import Randomisation
from policies.gap.physics import Pair
from policies.gap.response import Array, Response, respond
from policies.gap.state import State
from sim.env import VecEnv

GROUND_HEIGHT = "ground height"

# Where nothing varied them, other knobs do the same: friction, payload, and the payload again.
_DOUBLES = ("foot_friction_factor", "base_mass_factor", "link_mass_factor")


@dataclass(frozen=True)
class Knob:
    """Something about the simulated robot or its ground that can be set to another value.

    Attributes:
        parameter: of the engine, or `GROUND_HEIGHT`. component: of a vector; None sets all alike.
        nominal: mean over components where all are set.
        edges: other values to try: the ends of what training drew from, else 10 % either way.
        trained: whether training drew it.
    """

    parameter: str
    component: int | None
    unit: str
    nominal: float
    edges: tuple[float, float]
    trained: bool

    @property
    def name(self) -> str:
        """For humans: `base_com x`."""
        return self.parameter if self.component is None else f"{self.parameter} {'xyz'[self.component]}"

    @property
    def trained_range(self) -> tuple[float, float]:
        """What training drew from; NaN where it drew nothing."""
        return self.edges if self.trained else (float("nan"), float("nan"))


@dataclass
class Bench:
    """One engine, the states of the run with their targets, and random ones in the air."""

    env: VecEnv
    ground: tuple[State, Array]
    air: tuple[State, Array]
    _dirty: set[str] = field(default_factory=set)

    def pair(self) -> Pair:
        """Responses of nominal robots."""
        return Pair(self.respond("ground", {}), self.respond("air", {}))

    def respond(self, where: str, settings: Mapping[Knob, float]) -> Response:
        """Responses on the `ground` or in the `air` of the robot with these settings, the same in every environment."""
        values: dict[str, torch.Tensor] = {}
        start, target = self.ground if where == "ground" else self.air
        given = start
        for knob, value in settings.items():
            if knob.parameter == GROUND_HEIGHT:
                given = start.raised(-value)
                continue
            vector = values.setdefault(knob.parameter, self._nominal(knob.parameter))
            vector[:, slice(None) if knob.component is None else knob.component] += value - knob.nominal
        self._set(values)
        return replace(respond(self.env, given, target), start=start)

    def again(self, start: State, target: Array) -> Response:
        """Responses of nominal robots to other states."""
        self._set({})
        return respond(self.env, start, target)

    def trained(self, randomisation: Randomisation, seed: int) -> Pair:
        """Responses of robots as training drew them, another in every environment."""
        physical = self.env.engine.capabilities.parameters
        randomiser = EpisodeRandomiser(randomisation, seed, missing=Missing.LEFT_ALONE)
        randomiser.bind(physical)
        everyone = np.arange(self.env.num_envs)
        self._set(randomiser.draw(everyone, np.zeros_like(everyone)))
        return Pair(respond(self.env, *self.ground), respond(self.env, *self.air))

    def knobs(self, randomisation: Randomisation) -> list[Knob]:
        """Every knob that this engine has."""
        terms = {term.parameter: term.distribution for term in randomisation.terms}
        found = []
        for name, parameter in self.env.engine.capabilities.parameters.items():
            if name in _DOUBLES and name not in terms:
                continue
            nominal = np.broadcast_to(np.asarray(parameter.nominal, np.float64), parameter.size)
            alike = parameter.size == 1 or bool(parameter.legs)
            for component in [None] if alike else range(parameter.size):
                middle = float(nominal.mean() if component is None else nominal[component])
                edges = (0.9 * middle, 1.1 * middle)
                if name in terms:
                    edges = terms[name].support
                found.append(Knob(name, component, parameter.unit, middle, edges, name in terms))
        if not self.env.robot.fixed_base:
            found.append(Knob(GROUND_HEIGHT, None, "m", 0.0, (-0.005, 0.005), False))
        return [knob for knob in found if knob.edges[0] < knob.edges[1]]

    def _nominal(self, name: str) -> torch.Tensor:
        parameter = self.env.engine.capabilities.parameters[name]
        value = torch.as_tensor(parameter.nominal, dtype=torch.float32, device=self.env.device)
        return value.expand(self.env.num_envs, parameter.size).clone()

    def _set(self, values: Mapping[str, torch.Tensor]) -> None:
        """Set `values`, and make nominal what was set before and is not among them."""
        wanted = {name: self._nominal(name) for name in sorted(self._dirty - set(values))}
        wanted |= {name: value.to(self.env.device) for name, value in values.items()}
        if wanted:
            self.env.engine.set_parameters(torch.arange(self.env.num_envs, device=self.env.device), wanted)
        self._dirty = set(values)
