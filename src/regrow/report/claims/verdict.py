"""From a claim and our records to one verdict; docs/claims.md has the rules in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from regrow.config import Params
from regrow.report.claims.ledger import EXACT, IMAGENET, Claim, Ledger
from regrow.report.claims.measure import Measured, absent, measured
from regrow.report.claims.quantities import QUANTITIES
from regrow.report.estimate import Estimate, estimate
from regrow.report.frames import Records
from regrow.report.table import imagenet


class Verdict(StrEnum):
    """All that can be said of a claim."""

    REPRODUCED = "reproduced"
    DIRECTION = "direction only"
    NOT_REPRODUCED = "not reproduced"
    NOT_TESTABLE = "not testable at this tier"


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A claim's verdict, why it is that one, and our number where there is one."""

    verdict: Verdict
    why: str
    found: Measured | None = None


def settle(claim: Claim, ledger: Ledger, records: Records) -> Settled:
    """The one verdict of a claim on a tier."""
    if claim.scope == EXACT:
        return _counted(claim, ledger)
    ours = papers_setting(claim, records.params)
    if claim.scope == IMAGENET and not ours:
        return Settled(verdict=Verdict.NOT_TESTABLE, why="needs ImageNet")
    quantity, arm = QUANTITIES[claim.quantity], claim.arm or ""
    if why := absent(records.params, quantity, arm, claim.over):
        return Settled(verdict=Verdict.NOT_TESTABLE, why=why)
    found = measured(records, quantity, arm, claim.over, claim.data)
    verdict, why = judge(claim, found.value, papers=ours)
    return Settled(verdict=verdict, why=why, found=found)


def papers_setting(claim: Claim, params: Params) -> bool:
    """Whether the tier is on ImageNet, and has the transfer set that the claim is about."""
    sets = {data.name for data in params.transfer_data.values()}
    return imagenet(params) and (claim.data is None or claim.data in sets)


def _counted(claim: Claim, ledger: Ledger) -> Settled:
    """By our reading, the first; how many of the others agree is said."""
    readings = ledger.readings.loc[[claim.quantity]]
    agreeing = sum(within(claim, value) for value in readings["value"])
    ours = readings.iloc[0]
    verdict = Verdict.REPRODUCED if within(claim, float(ours["value"])) else Verdict.NOT_REPRODUCED
    why = f"{agreeing} of {len(readings)} readings agree; ours: {ours['hypothesis']}"
    return Settled(verdict=verdict, why=why, found=Measured(value=estimate([ours["value"]]), over=None, runs=()))


def within(claim: Claim, value: float) -> bool:
    """Whether a number is the claimed one, to within the tolerance; any larger one is, of `at least`."""
    if claim.sense == "at least":
        return value >= claim.value - claim.tolerance
    return abs(value - claim.value) <= claim.tolerance


def judge(claim: Claim, found: Estimate, *, papers: bool) -> tuple[Verdict, str]:
    """The verdict on a trained number, and why; `papers`: whether it was trained in the paper's setting."""
    if found.n < 2:
        return Verdict.NOT_TESTABLE, "one seed has no interval"
    if papers and within(claim, found.mean):
        return Verdict.REPRODUCED, "within the tolerance"
    off = "the mean is off by more than the tolerance" if papers else "not the paper's setting"
    if claim.against is None:
        return Verdict.NOT_REPRODUCED, off
    if math.isnan(found.low):
        return Verdict.NOT_TESTABLE, "not every seed has a finite number: a miss, or nothing was learned"
    sign = 1 if claim.value > claim.against else -1
    nearer, farther = sorted((sign * found.low, sign * found.high))
    edge = f"{claim.against:g}".replace("-", "−")
    where = f"{'above' if sign > 0 else 'below'} {edge}"
    if nearer > sign * claim.against:
        return Verdict.DIRECTION, f"the interval lies {where}; {off}"
    if farther <= sign * claim.against:
        return Verdict.NOT_REPRODUCED, f"no part of the interval lies {where}"
    return Verdict.NOT_TESTABLE, f"the interval lies on both sides of {edge}"
