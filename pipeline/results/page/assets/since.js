// What changed since the run before: the line below the charts, and the marks of hits and products.
const sinceName = () => [RUN.since.name, dayOf(RUN.since.at)].filter(Boolean).join(", ");
const dayOf = (iso) => {
  const at = when(iso);
  return at ? written(at, DAY) : iso;
};

// What the page is compared with and what came of it, each number a filter; or why it is compared with nothing.
const showSince = () => {
  if (!RUN.products || (!RUN.since && RUN.notCompared !== "unreadable")) return fill("since");
  if (!RUN.since) return fill("since", make("p", {}, make("b", {}, t("since.unreadable"))));
  const T = score(RUN.atLeast);
  const counts = { new: 0, gone: 0, not_then: 0, otherwise: 0 };
  for (const row of ROWS) {
    counts.new += isNew(row, RUN.atLeast);
    for (const mark of ["gone", "not_then", "otherwise"]) counts[mark] += MARK_TESTS[mark](row);
  }
  const asks = (mark) => make("button.link", {
    type: "button", disabled: !counts[mark], onclick() { askMark(mark); toList(); },
  }, t(`since.${mark}`, { n: counts[mark], T }));
  const told = ["new", "gone", "not_then", "otherwise"].filter((mark) => counts[mark] || mark === "new").map(asks);
  const name = make("b", { title: utc(RUN.since.at) }, t("since", { run: sinceName() }));
  return fill("since", make("p", {}, name, " ", told.flatMap((one, place) => (place ? [" · ", one] : [one]))));
};

// New ones are asked for from T on, as they are counted.
const askMark = (mark) => {
  resetFilters();
  ask.mark = mark;
  if (mark === "new") ask.min = RUN.atLeast;
  changed();
};

const sinceWords = () => (RUN.since ? sinceName() : t(`since.${RUN.notCompared}`));

const scoreBefore = (hit) => score(hit[BEFORE] ?? -1);
const changeWords = (hit) => [
  hit[HIT_MARKS] & IS_NEW ? t("mark.new") : "",
  hit[HIT_MARKS] & HAS_RISEN ? t("mark.risen.from", { score: scoreBefore(hit) }) : "",
].filter(Boolean).join(", ");
const changeMarks = (hit) => [
  hit[HIT_MARKS] & IS_NEW ? make("span.mark.new", {}, t("mark.new")) : "",
  hit[HIT_MARKS] & HAS_RISEN ? make("span.mark.new", { title: changeWords(hit) }, t("mark.was", { score: scoreBefore(hit) })) : "",
];

// The decision that a hit had before it rose or came.
const againWords = (number, hit, digits = 2) => {
  const one = decisionBefore(number, hit);
  if (!one) return "";
  const at = hit[DECIDED_AT] ?? -1;
  const word = at >= 0 ? "at" : one.patent_pn ? "rose" : "came";
  return t(`again.${word}`, { decision: t(`decision.${one.decision}`), score: score(at, digits) });
};
const whenDecided = (one) => [one.by, RUN.client ? "" : one.run, dayOf(one.at)].filter(Boolean).join(", ");
const againNote = (number, hit) => (decisionBefore(number, hit)
  ? make("p.lapsed", {}, make("b", {}, againWords(number, hit, 4)), " ", t("again.why", { run: whenDecided(decisionBefore(number, hit)) })) : "");

// Hits to show in a row, with their places; dismissed ones are folded into one.
const unfolded = (number) => ROWS[number][SHOWN].map((hit, place) => [hit, place]).filter(([hit]) => !isFolded(number, hit));
const foldedHits = (number) => {
  const all = ROWS[number][SHOWN], first = all.findIndex((hit) => isFolded(number, hit));
  if (first < 0) return "";
  const n = all.length - unfolded(number).length;
  return make("button.hit.folded", { type: "button", title: t("folded.why"), onclick: () => openRow(number, first) }, t("folded", { n }));
};

// What is to be said of the product as a whole.
const productChange = (row, rest) => [
  row[MARKS] & NOT_THEN ? t("row.not_then") : "",
  row[MARKS] & OTHERWISE ? t("row.otherwise") : "",
  row[MARKS] & HAS_GONE && rest?.g ? t("row.gone", { n: rest.g.length }) : "",
].filter(Boolean);

const goneHits = (rest) => (rest.g ? make("p.note.gone", {}, t("gone.since", { run: sinceName() }), " ",
  rest.g.flatMap(([number, then], place) => [place ? ", " : "", make("bdi.pn", {}, number), ` (${score(then)})`]), t("stop")) : "");
