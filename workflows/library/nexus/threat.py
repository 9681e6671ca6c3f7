"""From the known facts about a threat to a score of 0 to 100 and a level.

    base        10 * the highest CVSS score; without vectors, the reporter's severity (25, 50, 75, 90); with a vector
                that cannot be read, the higher of the two; a known exploited CVE counts as at least 70
    +15         a CVE is in the Known Exploited Vulnerabilities catalogue
    +10         one of those is used by ransomware
    + 5         a past incident of ours is at least 60 % alike

capped at 100. Levels: critical from 85, high from 65, medium from 40, else low.

Where nothing says how severe the threat is, the score is 0 and `threat_known` is false: no finding of a low one.
"""

from collections.abc import Sequence
from datetime import date

from workflows.library.nexus.contract import CvssScore, EnrichOutput, KevMatch, SimilarIncident

_SEVERITY_BASE = {"low": 25.0, "medium": 50.0, "high": 75.0, "critical": 90.0}
# An expression can read at most 64 KiB, and no person would read a list of 500 either.
MOST_MATCHES = 40
MOST_UNKNOWN = 200
MOST_SCORES = 25
_LEVELS = ((85.0, "critical"), (65.0, "high"), (40.0, "medium"))


def level_of(score: float) -> str:
    return next((name for least, name in _LEVELS if score >= least), "low")


def summarise(
    *,
    severity: str | None,
    cves: Sequence[str],
    matches: Sequence[KevMatch],
    scores: Sequence[CvssScore],
    similar: Sequence[SimilarIncident],
    catalogue_version: str | None,
    unreadable: Sequence[str] = (),
    only_sample: bool = False,
) -> EnrichOutput:
    reasons: list[str] = []
    assumptions = [f"vector left out: {fault}" for fault in unreadable[:MOST_SCORES]]
    assumptions += [f"cvss_vectors[{score.index}]: {score.note}" for score in scores if score.note][:MOST_SCORES]
    highest = max((score.score for score in scores), default=None)
    if highest is not None and unreadable and severity is not None and _SEVERITY_BASE[severity] > highest * 10:
        # The vector that cannot be read may be the worst one: the reporter's rating is the best information about it.
        base = _SEVERITY_BASE[severity]
        reasons.append(f"a CVSS vector cannot be read, reported severity {severity}: {base:g}")
    elif highest is not None:
        base = highest * 10
        reasons.append(f"highest CVSS score {highest:g}: {base:g}")
    elif severity is not None:
        base = _SEVERITY_BASE[severity]
        reasons.append(f"no CVSS vector, reported severity {severity}: {base:g}")
    else:
        base = 0.0
    if only_sample:
        assumptions.append(
            "no catalogue of known exploited vulnerabilities is loaded, only the sample at most: whether the CVEs are "
            "exploited is not known"
        )
    threat_known = highest is not None or severity is not None or bool(matches)
    if not threat_known:
        assumptions.append(
            "neither a severity nor a CVSS vector is known: the threat score is not known, 0 is no finding"
        )
    bonus = 0.0
    ransomware = any(match.ransomware for match in matches)
    if matches:
        if base < 70:
            base = 70.0
            reasons.append("a known exploited vulnerability counts as at least 70")
        bonus += 15
        reasons.append(f"{len(matches)} known exploited: +15")
    if ransomware:
        bonus += 10
        reasons.append("used by ransomware: +10")
    if similar and similar[0].similarity >= 0.6:
        bonus += 5
        reasons.append(f"{similar[0].reference} is {similar[0].similarity:.0%} alike: +5")
    total = round(min(100.0, base + bonus), 1)
    found = {match.cve for match in matches}
    due: date | None = min((match.due_date for match in matches), default=None)
    return EnrichOutput(
        threat_score=total,
        threat_level=level_of(total),
        threat_known=threat_known,
        known_exploited=bool(matches),
        exploitation_known=bool(matches) or not only_sample,
        ransomware_use=ransomware,
        kev_matches=sorted(matches, key=lambda one: (not one.ransomware, one.due_date, one.cve))[:MOST_MATCHES],
        kev_match_count=len(matches),
        cves_not_in_catalogue=[cve for cve in cves if cve not in found][:MOST_UNKNOWN],
        earliest_due_date=due,
        catalogue_version=catalogue_version,
        cvss=sorted(scores, key=lambda one: (-one.score, one.index))[:MOST_SCORES],
        max_cvss=highest,
        cvss_unreadable=list(unreadable[:MOST_SCORES]),
        cvss_unreadable_count=len(unreadable),
        similar_incidents=list(similar),
        reasons=reasons,
        assumptions=assumptions,
        sample_data=[
            name
            for name, used in (
                ("known exploited vulnerabilities", any(match.sample for match in matches)),
                ("past incidents", any(one.sample for one in similar)),
            )
            if used
        ],
    )
