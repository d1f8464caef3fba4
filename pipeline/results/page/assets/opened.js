// An opened row: the product and one of its hits side by side, large, with what is known of both.
let opened = null; // {number, hit}

const openRow = async (number, hit) => {
  const last = Math.max(0, ROWS[number][SHOWN].length - 1);
  opened = { number, hit: Math.min(Math.max(hit, 0), last) };
  ask.item = ROWS[number][ID];
  ask.hit = opened.hit;
  writeAddress();
  showOpened();
  const dialog = $("opened");
  if (!dialog.open) dialog.showModal();
  const wanted = opened;
  await needed(number);
  if (opened === wanted) showOpened();
  await neededLarge(number);
  if (opened === wanted) showOpened();
};

const openFirst = () => { if (found.length) openRow(found[0], 0); };

const closed = () => {
  if (!opened) return;
  const place = found.indexOf(opened.number);
  opened = null;
  ask.item = "";
  writeAddress();
  if (place >= 0) {
    bringIntoSight(place);
    drawRows();
    shown.get(place)?.querySelector("[data-part=open]")?.focus({ preventScroll: true });
  }
};

const step = (by) => {
  const place = found.indexOf(opened.number);
  const next = found[place < 0 ? 0 : place + by];
  if (next !== undefined) openRow(next, 0);
};
const stepHit = (by) => {
  const hits = ROWS[opened.number][SHOWN].length;
  if (hits) openRow(opened.number, (opened.hit + by + hits) % hits);
};

const figure = (number, id, name, caption) => make("figure", {},
  make("div.large", {}, picture(largeOf(number, id) || smallOf(number, id), name)), caption);

const fact = (name, value, title = "") => (value ? [make("dt", {}, t(name)), make("dd", title ? { title } : {}, make("bdi", {}, value))] : []);
const day = (text) => {
  const at = /^\d{4}-\d\d-\d\d$/.test(text ?? "") ? when(`${text}T12:00:00Z`) : null;
  return at ? written(at, DAY) : text ?? "";
};
const missingWords = (word) => (WORDS[`missing.${word}`] ? t(`missing.${word}`) : word);

const numberOf = (hit) => {
  const shows = numberAlone(hit);
  return hit[PN] ? [shows, copyOf(shows, hit[PN])] : [shows];
};
const numberAlone = (hit) => {
  const number = make("span.pn", {}, hit[PN] || t("no_number"));
  if (!RUN.links || !/^[A-Z]{2}[A-Z0-9]{4,20}$/.test(hit[PN])) return number;
  return make("a.pn", { href: `https://patents.google.com/patent/${hit[PN]}`, target: "_blank", rel: "noopener noreferrer" }, hit[PN]);
};

const factsOfHit = (number, hit, rest) => {
  const text = (one) => textOfPart(number, one);
  const owner = ownerOf(hit);
  const legal = [legalStatus(hit), rest.cc ? t("in.country", { country: text(rest.cc) }) : ""].filter(Boolean).join(" ");
  return make("dl.facts.of-hit", {},
    fact("title", lang === "zh" && rest.tc ? text(rest.tc) : text(rest.t)),
    fact("owner", owner ? (rest.first ? t("owner.first", { owner }) : owner) : ""), fact("owner.original", rest.first ? "" : rest.o),
    fact("legal", legal ? `${legal}${rest.as ? ` (${t("as_of.day", { at: day(text(rest.as)) })})` : ""}` : ""),
    fact("filed", day(rest.ap)), fact("published", day(rest.pb)), fact("granted", day(rest.gr)), fact("priority", day(rest.pr)),
    fact("expiry", day(rest.ex)), fact("class", text(rest.loc)),
    fact("rank", hit[RANK] ? t("rank.no", { n: hit[RANK] }) : ""), fact("same_design", rest.same),
    rest.m ? [make("dt", {}, t("details")), make("dd", {}, missingWords(rest.m))] : []);
};

const factsOfProduct = (row, rest) => {
  const task = rest.t;
  const over = task && task[3] && task[3] < new Date().toISOString();
  return make("dl.facts", {},
    fact("file", row[FILE] === nameOf(row) ? "" : row[FILE]), labelsOf(row).flatMap(([label, value]) =>
      [make("dt", {}, make("bdi", {}, labelName(label))), make("dd", {}, make("bdi", {}, valueName(label, value)))]),
    fact("status", t(`status.${statusOf(row)}`)),
    task ? [make("dt", {}, t("task")), make("dd", {}, command(task[0]), " ", t("task.hits", { n: task[1] }),
      task[2] ? `, ${t("task.dropped", { n: task[2] })}` : "",
      task[3] && !RUN.sandbox ? make("span", { title: utc(task[3]) }, `, ${t(over ? "task.expired" : "task.expires", { at: deadline(task[3]) })}`) : "")] : [],
    fact("found.name", foundWords(row)), fact("remark", rest.rm), fact("searched", rest.at ? moment(rest.at) : "", utc(rest.at)),
    fact("details", rest.ds ? missingWords(rest.ds) : ""), fact("designs", rest.n ? t("designs.n", { n: rest.n }) : ""),
    rest.same ? [make("dt", {}, t("same")), make("dd", {}, make("bdi", {}, rest.same))] : [],
    rest.u && RUN.links ? [make("dt", {}, t("link")), make("dd", {}, make("a", { href: rest.u, target: "_blank", rel: "noopener noreferrer" }, rest.u))] : []);
};

const strip = (number, row, rest) => make("div.strip", { role: "group", "aria-label": t("hits") }, row[SHOWN].map((hit, place) =>
  make(`button.thumb${place === opened.hit ? ".chosen" : ""}`, {
    type: "button", "aria-pressed": String(place === opened.hit), "aria-label": hitName(number, hit, decisionOfHit(number, hit)),
    onclick: () => openRow(number, place),
  }, make("span.shot", {}, picture(smallOf(number, rest.h?.[place]?.p), ""),
    stampOf(number, hit)),
  make("b", {}, score(hit[SCORE])))));

const decisionButtons = (number, hit) => {
  const patent = hit ? hit[PN] : "";
  const own = ownDecision(number, hit);
  return make("div.decide-on", { role: "group", "aria-label": t("decide.hit", { number: patent || nameOf(ROWS[number]) }) },
    CHOICES.map((word, place) => make(`button.choice-${word}`, {
      type: "button", "aria-pressed": String(own === word), "aria-keyshortcuts": String(place + 1),
      onclick: () => decideHere(own === word ? "" : word),
    }, t(`decision.${word}`), " ", make("kbd", {}, place + 1))));
};

const decideHere = (word) => {
  const { number, hit } = opened;
  decide(number, ROWS[number][SHOWN][hit]?.[PN] ?? "", word);
  afterDecision(number);
  showOpened();
};

const noteField = (number, patent) => make("input.note-in", {
  id: "note", value: noteOn(number, patent), placeholder: t("note.in"), "aria-label": t("note.in"), maxlength: 1000,
  onchange(event) { decide(number, patent, decisionOn(number, patent), event.target.value); afterDecision(number); },
});
const byField = () => make("input.by-in", {
  value: whoDecides.name, placeholder: t("by.in"), "aria-label": t("by.in"), maxlength: 80, autocomplete: "name",
  onchange(event) { whoDecides.name = event.target.value; keep.set("pipeline-decides", whoDecides.name); },
});

const problemOf = (rest, row) => {
  if (row[CAUSE] < 0) return "";
  const [message, todo, facts] = rest.e ?? ["", "", []];
  return make("div.problem", {}, make("p", {}, make("b", {}, t(`status.${statusOf(row)}`)), " ", message || t(`meaning.${statusOf(row)}`)),
    todo ? make("p", {}, make("b", {}, t("todo")), " ", withCode(todo)) : "",
    facts.some(Boolean) ? make("p.note", {}, t("support"), " ", facts.filter(Boolean).flatMap((one) => [make("code", {}, one), " "])) : "");
};

const showOpened = () => {
  const { number } = opened;
  const row = ROWS[number], rest = restOf(number) ?? {}, hit = row[SHOWN][opened.hit], aboutHit = rest.h?.[opened.hit] ?? {};
  const had = document.activeElement?.closest?.("#opened") ? document.activeElement.id : "";
  const place = found.indexOf(number);
  const name = nameOf(row);
  fill("opened",
    make("header", {}, make("h2", { id: "opened-name" }, make("bdi", {}, name)),
      make("p.note", {}, place >= 0 ? t("place", { n: place + 1, all: found.length }) : ""),
      make("button.tool", { type: "button", "aria-label": t("previous"), title: t("previous"), onclick: () => step(-1) }, icon("left"), make("kbd", {}, "k")),
      make("button.tool", { type: "button", "aria-label": t("next"), title: t("next"), onclick: () => step(1) }, make("kbd", {}, "j"), icon("right")),
      make("button.tool", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => $("opened").close() }, icon("close"))),
    make("div.sides", {},
      make("section.side", { "aria-label": t("product") }, figure(number, rest.p, t("product.picture", { name }), make("figcaption", {}, make("b", {}, name))),
        rest.v || rest.d ? make("div.views", {}, [...(rest.v ?? []), rest.d].filter(Boolean).map((id, at) =>
          make("span.shot", {}, picture(smallOf(number, id), id === rest.d ? t("drawing") : t("view", { n: at + 2, name }))))) : "",
        factsOfProduct(row, rest), vendorWrites(number, rest, hit)),
      make("section.side", { "aria-label": t("hit") },
        hit ? [figure(number, aboutHit.p, t("hit.picture", { number: hit[PN] }), make("figcaption", {},
          make(`b${hit[SCORE] >= RUN.atLeast ? ".above" : ""}`, {}, score(hit[SCORE], 4)), " ", numberOf(hit), " ", hitMarks(hit))),
        againNote(number, hit), strip(number, row, rest), goneHits(rest), factsOfHit(number, hit, aboutHit)]
          : [make("p.reason", {}, noHitsWords(row, rest)), goneHits(rest)])),
    problemOf(rest, row),
    make("footer", {}, decisionButtons(number, hit), noteField(number, hit ? hit[PN] : ""), byField()));
  if (had) $(had)?.focus({ preventScroll: true });
};
