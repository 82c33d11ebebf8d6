"""The limits of the constraints as they apply to one robot and one policy."""

from dataclasses import dataclass

from contract.errors import BundleError
from contract.policy_contract import FILE, Contract
from deploy_robot.constraint import PERIODS, Constraint
from deploy_robot.limits import DEFAULT_CONTROL_PERIOD


@dataclass(frozen=True)
class Threshold:
    """A row's limit as it applies: in the row's unit, but s where that is control periods."""

    value: float
    unit: str
    source: str  # default or bundle


def thresholds_of(table: tuple[Constraint, ...], contract: Contract | None = None) -> dict[str, Threshold]:
    """The limit of each row, which the bundle's `monitors` may tighten.

    Raises:
        BundleError: `monitors` names no row of the table, or would loosen one.
    """
    tightened = dict(contract.monitors) if contract else {}
    period = contract.control_period if contract else DEFAULT_CONTROL_PERIOD
    thresholds = {}
    for row in table:
        value, source = row.limit, "default"
        if row.name in tightened:
            value, source = tightened.pop(row.name), "bundle"
            if not 0.0 <= value <= row.limit:
                raise BundleError(
                    f"{FILE}: monitors.{row.name}: {value:g} is not between 0 and the default of"
                    f" {row.limit:g} {row.unit}; a bundle may only tighten it"
                )
        in_periods = row.unit == PERIODS
        thresholds[row.name] = Threshold(
            value * period if in_periods else value, "s" if in_periods else row.unit, source
        )
    for name in tightened:
        known = ", ".join(row.name for row in table)
        raise BundleError(f"{FILE}: monitors.{name}: no such constraint; known ones: {known}")
    return thresholds
