"""The best hits of an item, by their scores: those whose details people will look at."""

from pipeline.endpoints.details import askable
from pipeline.models import Hits
from pipeline.paging import patents_in


def best(hits: Hits, *, top: int, above: float) -> list[str]:
    """Choose the ids of an item's best hits, the highest score first; one without a score only where none is asked."""
    scored = [
        (score, at) for at, score in enumerate(hits.scores) if above <= 0 or (score is not None and score >= above)
    ]
    if not scored:
        return []
    order = sorted(scored, key=lambda each: -1.0 if each[0] is None else each[0], reverse=True)
    named = patents_in(hits.array)
    ids = dict.fromkeys(named[at] for _, at in order[:top])
    return [id_ for id_ in ids if id_ is not None and askable(id_)]
