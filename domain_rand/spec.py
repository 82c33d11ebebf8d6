"""What is randomised: a typed list of terms, each a parameter, a distribution, when, what shares a number, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from contract import codec
from domain_rand.distributions import Distribution, parse


class Per(Enum):
    """What shares one number."""

    ROBOT = "robot"  # all components of the parameter: every joint alike
    LEG = "leg"  # those on one leg
    COMPONENT = "component"  # none: every joint, or axis, its own


class At(Enum):
    """When a number is drawn, where it is not drawn again and again."""

    START_UP = "start_up"  # once an environment, for the whole run: a batch of robots, each as it was built
    EPISODE = "episode"  # at the beginning of each episode
    STEP = "step"  # in every control step


@dataclass(frozen=True)
class Every:
    """A number is drawn at the beginning of an episode, and anew after each interval of so many seconds."""

    seconds: Distribution

    def __post_init__(self) -> None:
        if not self.seconds.support[0] >= 1e-3:
            raise ValueError(f"intervals must be at least 1 ms long, the shortest is {self.seconds.support[0]:g} s")


Moment = At | Every


class How(Enum):
    """How a range came to be known."""

    GUESSED = "guessed"
    MEASURED = "measured"
    IDENTIFIED = "identified"


@dataclass(frozen=True)
class Provenance:
    """Where a range comes from; `text` says it for humans."""

    how: How = How.GUESSED
    text: str = ""


@dataclass(frozen=True)
class Term:
    """One randomised parameter.

    Attributes:
        parameter: name of a parameter of the environment, which fixes its size and SI unit.
        distribution: of each number.
        per: what shares one number.
        moment: when it is drawn.
        provenance: where the range comes from.
    """

    parameter: str
    distribution: Distribution
    per: Per = Per.COMPONENT
    moment: Moment = At.EPISODE
    provenance: Provenance = Provenance()

    def describe(self) -> dict[str, object]:
        """As `parse_term` takes it."""
        moment = self.moment.value if isinstance(self.moment, At) else {"every": self.moment.seconds.describe()}
        how, text = self.provenance.how.value, self.provenance.text
        return {
            **self.distribution.describe(),
            "per": self.per.value,
            "moment": moment,
            "provenance": {"how": how, "text": text},
        }


@dataclass(frozen=True)
class Randomisation:
    """All that is randomised. An empty one leaves every parameter at its nominal value."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        names = [term.parameter for term in self.terms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"randomisation: parameter '{name}' has more than one term")

    def describe(self) -> dict[str, dict[str, object]]:
        """For the contract: parameter -> its term. `parse_terms` takes it back."""
        return {term.parameter: term.describe() for term in self.terms}

    def widened(self, factor: float) -> "Randomisation":
        """Every range `factor` times as wide about its centre, as a held-out test; see `Distribution.widened`."""
        return Randomisation(tuple(replace(t, distribution=t.distribution.widened(factor)) for t in self.terms))

    def updated(self, *terms: Term) -> "Randomisation":
        """With these terms, in place of those of the same parameters or after all others."""
        new = {term.parameter: term for term in terms}
        kept = tuple(new.pop(term.parameter, term) for term in self.terms)
        return Randomisation((*kept, *new.values()))


def parse_terms(described: object, where: str) -> Randomisation:
    """Inverse of `Randomisation.describe`; `per`, `moment` and `provenance` may be left out.

    Raises:
        FieldError: it names the field, which it looks for under `where`.
    """
    if not isinstance(described, dict):
        codec.fail(where, f"must be an object of parameters, got {codec.show(described)}")
    return Randomisation(tuple(parse_term(name, term, f"{where}.{name}") for name, term in described.items()))


def parse_term(parameter: str, described: object, where: str) -> Term:
    """Inverse of `Term.describe`; raises as `parse_terms`."""
    if not isinstance(described, dict):
        codec.fail(where, f"must be an object, got {codec.show(described)}")
    own = {"per", "moment", "provenance"}
    distribution = parse({name: value for name, value in described.items() if name not in own}, where)
    return Term(
        parameter,
        distribution,
        _one_of(Per, described.get("per", Per.COMPONENT.value), f"{where}.per"),
        _moment(described.get("moment", At.EPISODE.value), f"{where}.moment"),
        _provenance(described.get("provenance", {}), f"{where}.provenance"),
    )


def _moment(value: object, where: str) -> Moment:
    if not isinstance(value, dict):
        if isinstance(value, str) and value in {at.value for at in At}:
            return At(value)
        codec.fail(where, f'must be {_listed(At)} or {{"every": DISTRIBUTION}}, got {codec.show(value)}')
    if set(value) != {"every"}:
        codec.fail(where, f"must have the one field every, got {', '.join(map(codec.show, value)) or 'none'}")
    seconds = parse(value["every"], f"{where}.every")
    try:
        return Every(seconds)
    except ValueError as error:
        codec.fail(where, str(error))


def _provenance(value: object, where: str) -> Provenance:
    if not isinstance(value, dict):
        codec.fail(where, f"must be an object, got {codec.show(value)}")
    given: Mapping[str, Any] = {"how": How.GUESSED.value, "text": "", **value}
    for name in given:
        if name not in ("how", "text"):
            codec.fail(f"{where}.{name}", "unknown field")
    return Provenance(_one_of(How, given["how"], f"{where}.how"), codec.decode(str, given["text"], f"{where}.text"))


def _one_of(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, str) or value not in {member.value for member in kind}:
        codec.fail(where, f"must be {_listed(kind)}, got {codec.show(value)}")
    return kind(value)


def _listed(kind: Any) -> str:
    *first, last = [member.value for member in kind]
    return f"{', '.join(first)} or {last}"
