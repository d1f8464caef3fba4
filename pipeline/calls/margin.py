"""The margin beyond a second after which a call no longer counts, wider after lone refusals for speed.

A vendor that counts exactly sees each call at another moment than we do: a call that travels faster than the one a
second before it comes early. Its refusal says nothing of the limit, and a slower rate takes 20 s to come back from.
"""

MARGIN_S = 0.004  # at first: it costs 0.4 % of the limit
WIDEST_S = 0.03  # against a vendor that is busy, or a network that is: the few refusals that go on cost less than x0.9
STEP_S = 0.003
NARROWER_S, NARROW_EVERY_S = 0.001, 10.0

ALONE_S = 5.0  # a refusal is a lone one when none came so long before it, and at least 20 calls were accepted meanwhile
FEW = 20, 50  # ... or 50, however soon, while the margin is not at its widest: a wider one may be all that is needed
TOGETHER = 0.1  # of a second's calls: so many refusals at once are one, for one delay makes several calls come late


class Margin:
    """Tells lone refusals from those that go on; widens with each at the full rate, and narrows again in time.

    `seconds` is the margin now. Times are seconds of the caller's clock; `qps` is the limit.
    """

    def __init__(self, qps: float) -> None:
        self.seconds = MARGIN_S
        self._qps = qps
        self._span_s = max(1.0, 1.0 / qps)
        self._together = max(1, int(qps * TOGETHER))
        self._began = self._changed = float("-inf")  # of the refusals that came last
        self._refused = 0  # how many they were
        self._alone = False
        self._accepted = FEW[1]  # since then

    @property
    def rate(self) -> float:
        """The calls per second that a wider margin leaves: evenly, or each time it narrows a call would come early."""
        return self._qps if self.seconds == MARGIN_S else self._qps * self._span_s / (self._span_s + self.seconds)

    def refused(self, now: float, *, full_rate: bool) -> bool:
        """Count a refusal for speed; return whether it is a lone one at the full rate, for which nobody slows down."""
        if now - self._began < self._span_s:
            self._refused += 1
        else:
            calm = now - self._began >= ALONE_S * self._span_s and self._accepted >= FEW[0]
            self._alone = calm or (self._accepted >= FEW[1] and self.seconds < WIDEST_S)
            self._began, self._refused, self._accepted = now, 1, 0
            if full_rate:
                self._changed = now
                self.seconds = min(WIDEST_S, self.seconds + STEP_S)
        return full_rate and self._alone and self._refused <= self._together

    def accepted(self, now: float) -> None:
        """Count a call that was not refused for speed; the margin narrows after a while without refusals."""
        self._accepted += 1
        if self.seconds > MARGIN_S and now - self._changed >= NARROW_EVERY_S:
            self._changed = now
            self.seconds = max(MARGIN_S, self.seconds - NARROWER_S)
