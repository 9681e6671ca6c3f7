"""nexus.enrich_threat"""

from workflows.core.graph import Retry
from workflows.library.nexus import data as store
from workflows.library.nexus.contract import EnrichInput, EnrichOutput, KevMatch, SimilarIncident
from workflows.library.nexus.cvss_scores import score_readable
from workflows.library.nexus.similarity import Traits, most_alike
from workflows.library.nexus.threat import summarise
from workflows.registry import StepContext, step


@step(
    "nexus.enrich_threat",
    timeout=10.0,
    retry=Retry(max_attempts=3),
    summary="Known exploitation, CVSS scores, ransomware use and similar past incidents of a threat",
)
def enrich_threat(data: EnrichInput, ctx: StepContext) -> EnrichOutput:
    # One vector that cannot be read is named in the answer: it must not cost a critical run everything else.
    scores, unreadable = score_readable(data.cvss_vectors)
    known = store.known_exploited()
    today = ctx.run_created_at.date()
    matches = []
    for cve in data.cves:
        entry = known.entries.get(cve)
        if entry is not None:
            matches.append(
                KevMatch(
                    cve=cve,
                    vendor=entry.vendor,
                    product=entry.product,
                    name=entry.name,
                    date_added=entry.date_added,
                    due_date=entry.due_date,
                    overdue=entry.due_date < today,
                    ransomware=entry.ransomware,
                    required_action=entry.required_action,
                    sample=cve in known.samples,
                )
            )
    traits = Traits(
        incident_type=data.incident_type or None,
        attack_vector=data.attack_vector or None,
        data_categories=frozenset(data.data_categories),
        cves=frozenset(data.cves),
    )
    past = {one.reference: one for one in store.past_incidents()}
    alike = most_alike(traits, ((one.reference, one.traits) for one in past.values()), data.max_similar)
    similar = [
        SimilarIncident(
            reference=reference,
            title=past[reference].title,
            similarity=round(like.score, 4),
            shared=list(like.shared),
            occurred_on=past[reference].occurred_on,
            records=past[reference].records,
            loss=past[reference].loss,
            hours_to_contain=past[reference].hours_to_contain,
            sample=past[reference].sample,
        )
        for reference, like in alike
    ]
    return summarise(
        severity=data.severity,
        cves=data.cves,
        matches=matches,
        scores=scores,
        similar=similar,
        catalogue_version=known.version,
        unreadable=unreadable,
        only_sample=bool(data.cves) and len(known.samples) == len(known.entries),
    )
