"""The change of a hit, and of a product, since the run before, as exports tell it."""

from pipeline.results.exports.columns import Row
from pipeline.results.exports.rows import Ranked
from pipeline.results.reading import RecordView
from pipeline.results.since import NOT_SEARCHED, NOT_THEN, Compared, scores_of

NOT_COMPARED = {NOT_SEARCHED: None, NOT_THEN: "not searched before"}
_OTHERWISE = "searched otherwise before"


def change_of_hit(hit: Ranked, compared: Compared) -> Row:
    """Write the change of a hit: new, risen or same, or why it is not compared, and the score of then."""
    if compared.reason or hit.place >= len(compared.marks):
        return {"change": NOT_COMPARED.get(compared.reason, _OTHERWISE)}
    before = compared.before[hit.place]
    return {"change": compared.marks[hit.place], "score_before": before / 10_000 if before >= 0 else None}


def change_of_product(record: RecordView, best: Ranked | None, compared: Compared) -> Row:
    """Write the change of a product's best hit, the highest score of a new or risen one, and which hits are gone."""
    row = {} if best is None else change_of_hit(best, compared)
    new = -1 if compared.reason == NOT_SEARCHED else compared.best_new(scores_of(record))
    gone = "; ".join(one.number for one in compared.gone)
    return {**row, "score_new": new / 10_000 if new >= 0 else None, "hits_gone": gone or None}
