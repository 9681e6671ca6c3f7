"""How exposed the organisation is to a threat.

    protection(a) = Σ w_c · effectiveness_c · [c protects a] / Σ w_c    over the controls against the threat
    exposure(a)   = threat · reach(a) · (1 - protection(a))                reach: 1 facing the internet, else 0.6
    exposure      = 100 · Σ criticality_a · exposure(a) / Σ criticality_a  over the assets concerned

threat is the threat score / 100, or 1 if no threat is given or its score is not known: the exposure then says how
open the organisation is to whatever comes. An asset is concerned when it is named; else when it runs a known exploited
product; else when it holds the data concerned; and when none of these finds any, all are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from workflows.library.atlas.contract import AffectedAsset, ControlGap, PostureInput, PostureOutput
from workflows.library.nexus.contract import KevMatch
from workflows.library.vocabulary import CATEGORIES, INCIDENTS, VECTORS, categories_in_force, named

INTERNAL_REACH: Final = 0.6
Scope = Literal["named", "matched", "all"]
_LEVELS: Final = ((60.0, "critical"), (40.0, "high"), (20.0, "medium"))
MOST_ASSETS: Final = 25
MOST_UNCOVERED: Final = 10
#: comparing a name with the register costs about a millisecond
MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class AssetFacts:
    name: str
    criticality: int
    internet_facing: bool
    vendor: str
    product: str
    data_categories: frozenset[str]
    records: int
    sample: bool = False


@dataclass(frozen=True, slots=True)
class ControlFacts:
    code: str
    name: str
    nist_csf: tuple[str, ...]
    iso27001: tuple[str, ...]
    mitigates: frozenset[str]
    weight: float
    effectiveness: float
    target: float
    assets: frozenset[str]
    sample: bool = False


def assess(assets: Sequence[AssetFacts], controls: Sequence[ControlFacts], threat: PostureInput) -> PostureOutput:
    scope, concerned, unknown = _concerned(assets, threat)
    assumptions = _assumptions(assets, threat, unknown)
    own = frozenset[str]().union(*(one.mitigates for one in controls))
    kinds: set[str] = set()
    for name, vocabulary, kind in (
        ("incident type", INCIDENTS, threat.incident_type),
        ("attack vector", VECTORS, threat.attack_vector),
    ):
        # An unknown kind is treated like one that is not given: it can exclude no control.
        if kind and (kind in own or vocabulary.heads(kind)):
            kinds.add(kind)
        elif kind:
            assumptions += named(name, [vocabulary.read(kind)])
    # A control that names nothing works against everything; with no kind of threat given, all are considered.
    acting = [one for one in controls if not kinds or not one.mitigates or one.mitigates & kinds]
    # A threat of unknown severity is not a weak threat: only the assets' openness can be stated.
    known = threat.threat is not None and threat.threat.threat_known
    force = threat.threat.threat_score / 100 if threat.threat is not None and known else 1.0
    total = sum(one.weight for one in acting)
    rows: list[tuple[AffectedAsset, float]] = []
    for asset, because in concerned:
        held = sum(one.weight * one.effectiveness for one in acting if asset.name in one.assets)
        protection = held / total if total else 0.0
        reach = 1.0 if asset.internet_facing else INTERNAL_REACH
        rows.append(
            (
                AffectedAsset(
                    name=asset.name,
                    criticality=asset.criticality,
                    internet_facing=asset.internet_facing,
                    records=asset.records,
                    exposure=round(100 * force * reach * (1 - protection), 2),
                    because=because,
                ),
                protection,
            )
        )
    weight = sum(one.criticality for one, _ in rows)
    exposure = sum(one.criticality * one.exposure for one, _ in rows) / weight if weight else 0.0
    protected = sum(one.criticality * held for one, held in rows) / weight if weight else 0.0
    gaps = [gap for gap in (_gap(one, [asset for asset, _ in concerned]) for one in acting) if gap.gap > 0]
    by_code = {one.code: one.weight for one in acting}
    gaps.sort(key=lambda gap: (-by_code[gap.control] * gap.gap, gap.control))
    rows.sort(key=lambda row: (-row[0].exposure * row[0].criticality, row[0].name))
    return PostureOutput(
        exposure_score=round(exposure, 2),
        exposure_level=next((name for least, name in _LEVELS if exposure >= least), "low"),
        protection_score=round(100 * protected, 2),
        affected_assets=[asset for asset, _ in rows[:MOST_ASSETS]],
        affected_asset_count=len(rows),
        scope=scope,
        records_at_risk=sum(asset.records for asset, _ in rows),
        highest_criticality=max((asset.criticality for asset, _ in rows), default=0),
        control_gaps=gaps[: threat.max_gaps],
        controls_considered=len(acting),
        unknown_assets=unknown,
        assumptions=assumptions,
        sample_data=[
            name
            for name, used in (
                ("assets", any(asset.sample for asset, _ in concerned)),
                ("controls", any(one.sample for one in acting)),
            )
            if used
        ],
    )


def _assumptions(assets: Sequence[AssetFacts], threat: PostureInput, unknown: Sequence[str]) -> list[str]:
    told: list[str] = []
    names = {asset.name.lower(): asset.name for asset in assets}
    for name in unknown[:MOST_NAMED]:
        near = [names[one] for one in get_close_matches(name.strip().lower(), list(names), n=2, cutoff=0.7)]
        hint = f"; near: {', '.join(near)}" if near else ""
        told.append(f"asset {name[:100]!r} is not in the register: what it holds is not part of the exposure{hint}")
    if len(unknown) > MOST_NAMED:
        told.append(f"{len(unknown) - MOST_NAMED} further assets are not in the register")
    own = frozenset[str]().union(*(asset.data_categories for asset in assets))
    told += named("data category", CATEGORIES.read_all(word for word in threat.data_categories if word not in own))
    return told


def _gap(control: ControlFacts, assets: Sequence[AssetFacts]) -> ControlGap:
    weight = sum(asset.criticality for asset in assets)
    covered = sum(asset.criticality for asset in assets if asset.name in control.assets)
    coverage = covered / weight if weight else 0.0
    strength = min(1.0, control.effectiveness / control.target) if control.target else 1.0
    return ControlGap(
        control=control.code,
        name=control.name,
        nist_csf=list(control.nist_csf),
        iso27001=list(control.iso27001),
        effectiveness=control.effectiveness,
        target=control.target,
        coverage=round(coverage, 4),
        gap=round(1 - coverage * strength, 4),
        uncovered_assets=[asset.name for asset in assets if asset.name not in control.assets][:MOST_UNCOVERED],
    )


def _concerned(
    assets: Sequence[AssetFacts], threat: PostureInput
) -> tuple[Scope, list[tuple[AssetFacts, str]], list[str]]:
    if threat.assets:
        by_name = {asset.name.lower(): asset for asset in assets}
        names = list(dict.fromkeys(name.strip().lower() for name in threat.assets))
        found = [(by_name[name], "named in the incident") for name in names if name in by_name]
        unknown = [name for name in threat.assets if name.strip().lower() not in by_name]
        if found:
            return "named", found, unknown
    else:
        unknown = []
    running: list[tuple[AssetFacts, str]] = []
    for asset in assets:
        match = _exploited(asset, threat.threat.kev_matches if threat.threat else [])
        if match is not None:
            running.append((asset, f"runs {match.vendor} {match.product} ({match.cve})"))
    wanted = set(threat.data_categories)
    holding = [
        (asset, "holds the data concerned")
        for asset in assets
        if wanted & asset.data_categories and not any(asset is other for other, _ in running)
    ]
    if running or holding:
        return "matched", running + holding, unknown
    return "all", [(asset, "no narrower choice is known") for asset in assets], unknown


def _exploited(asset: AssetFacts, matches: Sequence[KevMatch]) -> KevMatch | None:
    if not asset.vendor:
        return None
    vendor, product = asset.vendor.lower(), asset.product.lower()
    for match in matches:
        if match.vendor.lower() == vendor and (not product or product in match.product.lower()):
            return match
    return None


def data_held(categories: Sequence[str]) -> frozenset[str]:
    """A register of health records also holds personal data."""
    return categories_in_force(categories)
