// The list: only the rows in sight are elements, whatever the number of products.
const AROUND = 3; // rows above and below those in sight
let shown = new Map(); // place in the list -> its element
let pitch = 172;
let usual = "";
let drawing = 0;

const findUsual = () => {
  const counts = new Map();
  for (const row of ROWS) if (!isOpen(row)) counts.set(row[STATUS], (counts.get(row[STATUS]) ?? 0) + 1);
  const most = [...counts].sort((one, other) => other[1] - one[1])[0];
  usual = most ? INDEX.statuses[most[0]] : "";
};

const measure = () => {
  pitch = Number.parseFloat(window.getComputedStyle($("list")).getPropertyValue("--pitch")) || 172;
};

const layOut = () => {
  const list = $("list");
  list.style.height = found.length ? `${found.length * pitch}px` : "auto";
  for (const element of shown.values()) element.remove();
  shown = new Map();
  list.replaceChildren();
  if (!found.length) {
    list.append(make("div.empty", {}, make("p", {}, ROWS.length ? t("none.found") : t("none.yet")),
      isFiltered() ? make("button.link", { type: "button", onclick() { resetFilters(); changed(); } }, t("reset")) : ""));
  }
  drawRows();
};

const inSight = () => {
  const top = $("list").getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(-top / pitch) - AROUND);
  return [first, Math.min(found.length, Math.ceil((window.innerHeight - top) / pitch) + AROUND)];
};

const drawRows = () => {
  drawing = 0;
  const [first, end] = inSight();
  for (const [place, element] of shown) {
    if (place < first || place >= end) {
      element.remove();
      shown.delete(place);
    }
  }
  const list = $("list");
  for (let place = first; place < end; place += 1) if (!shown.has(place)) placeRow(list, place);
};

const placeRow = (list, place) => {
  const number = found[place];
  const element = rowOf(number, place, restOf(number));
  element.style.transform = `translateY(${place * pitch}px)`;
  shown.get(place)?.replaceWith(element);
  if (!element.isConnected) {
    const later = [...shown.keys()].filter((one) => one > place).sort((one, other) => one - other)[0];
    list.insertBefore(element, later === undefined ? null : shown.get(later));
  }
  shown.set(place, element);
  if (!restOf(number)) needed(number).then((rest) => { if (rest && shown.get(place) === element) placeRow(list, place); });
};

const redrawRow = (number) => {
  for (const [place, element] of shown) {
    if (found[place] !== number) continue;
    const had = element.contains(document.activeElement) ? document.activeElement.dataset.part : "";
    placeRow($("list"), place);
    if (had) shown.get(place).querySelector(`[data-part="${had}"]`)?.focus({ preventScroll: true });
  }
};

const legalStatus = (hit) => {
  const legal = hit[LEGAL] ?? 0;
  return legal >= OTHER_STATUS ? `“${INDEX.owners[legal - OTHER_STATUS]}”` : legal ? t(`legal.${LEGAL_WORDS[legal]}`) : "";
};
const legalWords = (hit) => [hit[YEAR] || "", legalStatus(hit)].filter(Boolean).join(" · ");

const hitMarks = (hit) => [
  ...changeMarks(hit),
  hit[HIT_MARKS] & IN_TASK ? make("span.mark.task", { title: t("in_task"), role: "img", "aria-label": t("in_task") }) : "",
];

const hitName = (number, hit, decision) => [score(hit[SCORE]), changeWords(hit), againWords(number, hit), hit[PN] || t("no_number"), ownerOf(hit), legalWords(hit),
  decision ? t(`decision.${decision}`) : ""].filter(Boolean).join(", ");

const stampOf = (number, hit) => {
  const decision = decisionOfHit(number, hit), again = againWords(number, hit);
  if (decision) return make(`span.stamp.${decision}`, {}, t(`decision.${decision}`));
  return again ? make("span.stamp.again", {}, again) : "";
};

const hitOf = (number, hit, place, rest) => {
  const decision = decisionOfHit(number, hit);
  const name = hitName(number, hit, decision);
  const tone = `${hit[SCORE] >= RUN.atLeast ? ".above" : ""}${hit[HIT_MARKS] & (IS_NEW | HAS_RISEN | AGAIN) ? ".is-new" : ""}`;
  return make(`button.hit${tone}${decision ? `.is-${decision}` : ""}`, {
    type: "button", "data-part": `hit-${place}`, "aria-label": name, onclick: () => openRow(number, place),
  },
  make("span.shot", {}, rest ? picture(smallOf(number, rest.h?.[place]?.p), "") : "",
    stampOf(number, hit)),
  make("span.score", {}, make("b", {}, score(hit[SCORE])), hitMarks(hit)),
  make("span.pn", { title: hit[PN] }, hit[PN] || t("no_number")),
  make("span.owner", { title: ownerOf(hit) }, ownerOf(hit)),
  make("span.legal", {}, legalWords(hit)));
};

const foundWords = (row) => {
  if (row[HITS] < 0) return "";
  if (row[TOTAL] > row[HITS]) return t("found.of", { n: row[HITS], all: row[TOTAL] });
  return t("found", { n: row[HITS] });
};

const decisionChoice = (number) => {
  const now = wholeDecision(number);
  const tagged = tagsOf(number);
  const first = ["escalate", "watch", "dismiss"].find((word) => tagged.has(word));
  const words = tagged.has("todo") ? t("decision.todo.short") : first && !now ? t(`decision.${first}`) : t("decision.none");
  return make(`select.decide${now ? `.is-${now}` : tagged.has("todo") ? ".is-todo" : first ? `.is-${first}` : ""}`, {
    "data-part": "decide", "aria-label": t("decide.product", { name: nameOf(ROWS[number]) }),
    onchange(event) { decide(number, "", event.target.value); afterDecision(number); },
  }, make("option", { value: "", selected: !now }, words),
  CHOICES.map((word) => make("option", { value: word, selected: now === word }, t(`decision.${word}`))));
};

const labelChips = (row) => labelsOf(row).slice(0, 4).map(([label, value]) =>
  make("span.chip", { title: labelName(label) }, make("bdi", {}, valueName(label, value))));

// Why a product shows no hit: none was found, the job keeps none, or they are gone.
const noHitsWords = (row, rest) => {
  if (rest?.rm) return rest.rm;
  if (row[HITS] > 0 && !row[SHOWN].length) return t(rest?.gone ? "hits.gone" : "hits.not_kept", { n: row[HITS] });
  return t(`meaning.${statusOf(row)}`);
};

const rowOf = (number, place, rest) => {
  const row = ROWS[number];
  const status = statusOf(row);
  const name = nameOf(row);
  const hits = [...unfolded(number).map(([hit, at]) => hitOf(number, hit, at, rest)), foldedHits(number)].filter(Boolean);
  const cause = row[CAUSE] >= 0 ? INDEX.causes[row[CAUSE]] : null;
  const reason = cause ? (rest?.e?.[0] || cause[2] || t(`meaning.${status}`)) : noHitsWords(row, rest);
  return make(`article.row${cause ? ".is-open" : ""}`, { role: "listitem", "aria-setsize": found.length, "aria-posinset": place + 1,
    "aria-label": name },
  make("button.shot.product", { type: "button", "data-part": "open", "aria-label": t("open.product", { name }),
    onclick: () => openRow(number, 0) }, rest ? picture(smallOf(number, rest.p), "") : ""),
  make("div.info", {}, make("h3", {}, make("bdi", {}, name)),
    row[FILE] && row[FILE] !== name ? make("p.file", { title: row[FILE] }, make("bdi", {}, row[FILE])) : "",
    make("p.chips", {}, labelChips(row))),
  make("div.hits", {}, hits.length ? hits : make("p.reason", {}, reason)),
  make("div.verdict", {}, decisionChoice(number),
    status !== usual ? make(`span.badge.${status}`, { title: cause ? reason : t(`meaning.${status}`) }, t(`status.${status}`)) : "",
    row[MARKS] & REPORTED ? make("span.note", {}, t("report.in")) : "",
    productChange(row, rest).map((words) => make("span.note.change", {}, words)),
    make("span.note", {}, foundWords(row)), row[MARKS] & SHARES ? make("span.note", {}, t("shares")) : ""));
};

const toList = () => {
  const bar = $("bar").getBoundingClientRect().height;
  const top = $("list").getBoundingClientRect().top + window.scrollY - bar - 8;
  if (Math.abs(window.scrollY - top) > 40) window.scrollTo({ top, behavior: "instant" });
};

const bringIntoSight = (place) => {
  const bar = $("bar").getBoundingClientRect().height;
  const top = $("list").getBoundingClientRect().top + window.scrollY + place * pitch;
  if (top < window.scrollY + bar || top + pitch > window.scrollY + window.innerHeight) {
    window.scrollTo({ top: top - bar - 8, behavior: "instant" });
  }
};

const drawSoon = () => { drawing ||= window.requestAnimationFrame(drawRows); };
