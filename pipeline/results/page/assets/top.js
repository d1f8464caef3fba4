// The first screen: the run, five numbers that filter, the histogram, what to do next, and what was not looked at.
const BINS = 20;

const showHead = () => {
  const search = RUN.limit ? t("search.limit", { endpoint: RUN.search, n: RUN.limit }) : RUN.search;
  const parts = [RUN.client, RUN.sandbox ? t("sandbox") : RUN.vendor, search, period(RUN.from, RUN.to)].filter(Boolean);
  fill("meta", parts.map((part, place) => [place ? " · " : "", part === parts.at(-1)
    ? make("time", { datetime: RUN.from, title: `${utc(RUN.from)} – ${utc(RUN.to)}` }, part) : make("bdi", {}, part)]).flat());
  const tool = (name, label, action, extra = {}) => make("button.tool", { type: "button", onclick: action, title: label,
    "aria-label": label, ...extra }, name);
  fill("tools",
    tool(lang === "zh" ? "English" : "中文", t("language.other"), otherLanguage, { lang: lang === "zh" ? "en" : "zh" }),
    tool(icon("sun"), t("theme"), otherTheme),
    tool(icon("paper"), t("print"), () => printPage()),
    make("button.tool.save", { type: "button", id: "save", onclick: saveDecisions, title: t("save.why") },
      icon("sheet"), make("span", {}, "decisions.csv"), make("b", { id: "unsaved" })));
  showUnsaved();
  fill("skip", t("skip"));
};

const showUnsaved = () => {
  fill("unsaved", edited.size ? count(edited.size) : "");
  $("unsaved").title = edited.size ? t("save.unsaved", { n: edited.size }) : "";
  $("save").setAttribute("aria-label", edited.size ? `${t("save.why")} ${t("save.unsaved", { n: edited.size })}`
    : t("save.why"));
};

// Sandbox and rehearsal, the state of a run that goes on or was interrupted, and lines that nobody can read.
const showBanners = () => {
  const said = [];
  if (RUN.rehearsal) said.push(["practice", t("banner.rehearsal")]);
  else if (RUN.sandbox) said.push(["practice", t("banner.sandbox")]);
  const later = NOW && NOW.asOf > RUN.asOf;
  const state = later ? NOW.state : RUN.state;
  const asOf = t("as_of", { at: moment(RUN.asOf) });
  if (state !== "finished") {
    const counts = later ? NOW.counts : RUN.counts;
    const all = Object.values(counts).reduce((sum, number) => sum + number, 0);
    const settled = SETTLED.reduce((sum, word) => sum + (counts[word] ?? 0), 0);
    const now = t(`state.${state}`, { settled, all, at: moment(later ? NOW.asOf : RUN.asOf) });
    said.push(["state", `${now} ${RUN.products ? asOf : t("counts_only")}`]);
  }
  if (isIncomplete) said.push(["lost", t("parts.missing", { folder: RUN.parts.split("/")[0] + "/" })]);
  if (RUN.unreadable) said.push(["state", t("unreadable", { n: RUN.unreadable })]);
  fill("banners", said.map(([kind, words]) => make(`p.banner.${kind}`, { role: "note" }, withCode(words))));
};

const numberTile = (words, number, tone, pressed, action) =>
  make(`button.tile.${tone}`, { type: "button", "aria-pressed": String(pressed), onclick: action },
    make("b", {}, count(number)), make("span", {}, words));

// A page of counts alone says how many products stand where.
const showCounts = () => {
  const counts = NOW.asOf > RUN.asOf ? NOW.counts : RUN.counts;
  const of = (words) => words.reduce((sum, word) => sum + (counts[word] ?? 0), 0);
  const tile = (words, number, tone) => make(`div.tile.${tone}`, {}, make("b", {}, count(number)), make("span", {}, words));
  fill("numbers", tile(t("number.products", { n: of(Object.keys(counts)) }), of(Object.keys(counts)), "plain"),
    tile(t("number.settled"), of(SETTLED), "plain"), tile(t("number.waiting"), of(["not_started"]), "plain"),
    tile(t("number.without"), of(["no_hits"]), "plain"), tile(t("number.open"), of([...OPEN]), of([...OPEN]) ? "warning" : "plain"));
  for (const id of ["histogram", "matrix", "list"]) $(id).hidden = true;
};

const showNumbers = () => {
  if (!RUN.products) return showCounts();
  const T = score(RUN.atLeast);
  const total = ROWS.length + (RUN.counts.not_started ?? 0); // also those that were paid and are listed no longer
  let above = 0, task = 0, fresh = 0, todo = 0, open = 0;
  ROWS.forEach((row, number) => {
    above += row[BEST] >= RUN.atLeast;
    open += isOpen(row);
    task += row[SHOWN].some((hit) => hit[HIT_MARKS] & IN_TASK);
    fresh += isNew(row, RUN.atLeast);
    todo += tagsOf(number).has("todo");
  });
  const only = (change) => () => { resetFilters(); change?.(); changed(); };
  const switched = (pressed, change) => only(pressed ? null : change);
  const isMin = ask.min === RUN.atLeast && !ask.mark, isTodo = ask.decision.has("todo"), isOpenAsked = ask.status.has(ANY_OPEN);
  const third = RUN.since
    ? numberTile(t("number.new", { day: dayOf(RUN.since.at) }), fresh, fresh ? "attention" : "plain", ask.mark === "new",
      ask.mark === "new" ? only() : () => askMark("new"))
    : numberTile(t("number.task"), task, "plain", ask.mark === "task", switched(ask.mark === "task", () => { ask.mark = "task"; }));
  return fill("numbers",
    numberTile(t("number.products", { n: total }), total, "plain", !isFiltered(), only()),
    numberTile(t("number.above", { T }), above, above ? "attention" : "plain", isMin && !isTodo,
      switched(isMin, () => { ask.min = RUN.atLeast; })),
    third,
    numberTile(t("number.todo", { T }), todo, "plain", isTodo, switched(isTodo, () => { ask.decision = new Set(["todo"]); })),
    numberTile(t("number.open"), open, open ? "warning" : "plain", isOpenAsked,
      switched(isOpenAsked, () => { ask.status = new Set([ANY_OPEN]); })));
};

const showHistogram = () => {
  const bins = new Array(BINS).fill(0);
  let without = 0;
  const numbers = fitting("min");
  for (const number of numbers) {
    const best = ROWS[number][BEST];
    if (best < 0) without += 1;
    else bins[Math.min(BINS - 1, Math.floor(best / 500))] += 1;
  }
  const most = Math.max(1, ...bins);
  const bars = bins.map((number, bin) => {
    const from = bin * 500;
    const tone = from + 500 > RUN.atLeast ? ".above" : "";
    const label = t("histogram.bar", { n: number, from: score(from), to: score(from + 500) });
    return make(`button.bin${tone}`, {
      type: "button", "aria-label": label, title: label, "aria-pressed": String(ask.min > 0 && from >= ask.min),
      disabled: !ROWS.length,
      style: `--tall:${number ? Math.max(0.03, number / most) : 0}`,
      onclick() { ask.min = ask.min === from ? 0 : from; changed(); },
    }, make("i"), number === most && number > 0 ? make("small", {}, count(number)) : "");
  });
  const axis = ["0", "0.25", "0.50", "0.75", "1"].map((text) => make("span", {}, text));
  const T = score(RUN.atLeast);
  fill("histogram", make("h2", {}, t("histogram"), " ", make("small", {}, t("histogram.click"))),
    make(`div.bins${ask.min ? ".chosen" : ""}`, {}, bars,
      make("em", { style: `--at:${RUN.atLeast / 10_000}`, title: t("number.above", { T }) })),
    make("p.axis", { "aria-hidden": "true", style: `--at:${RUN.atLeast / 10_000}` }, axis, make("b", {}, T)),
    make("p.note", {}, without ? t("histogram.without", { n: without }) : ""));
};

const showSteps = () => {
  const now = new Date().toISOString();
  const steps = RUN.steps.filter(([, , , until]) => !until || until > now).slice(0, 3).map(([kind, number, line, until]) =>
    make("li", {}, make("b", {}, t(`step.${kind}`, { n: number })), " ",
      until ? make("span.until", { title: utc(until) }, t("step.until", { at: deadline(until) }), " ") : "",
      make("span", {}, t(`step.${kind}.do`)), line ? command(line) : ""));
  let todo = 0;
  for (let number = 0; number < ROWS.length; number += 1) todo += tagsOf(number).has("todo");
  if (steps.length < 3 && todo) {
    steps.push(make("li", {}, make("b", {}, t("step.decide", { n: todo, T: score(RUN.atLeast) })), " ", t("step.decide.do"), " ",
      make("button.link", { type: "button", onclick() { resetFilters(); ask.decision = new Set(["todo"]); changed(); openFirst(); } },
        t("step.decide.start"))));
  }
  if (edited.size && steps.length < 3) steps.push(make("li", {}, make("b", {}, t("save.unsaved", { n: edited.size })), " ", t("save.do")));
  fill("steps", make("h2", {}, t("steps")), steps.length ? make("ol", {}, steps) : make("p.note", {}, t("steps.none")));
};

// One line; what a word of it means is told on a click and, in print, below it.
const showLeftOut = () => {
  const why = make("p.why", { id: "why", role: "status", hidden: true });
  const explain = (key, words) => {
    const text = `${words}: ${t(`why.${key}`)}`;
    why.hidden = why.textContent === text && !why.hidden;
    why.textContent = text;
  };
  const terms = RUN.notLookedAt.map(([en, zh, key]) => {
    const words = lang === "zh" ? zh : en;
    const told = (event) => { if (event.type === "click" || event.key === "Enter" || event.key === " ") { event.preventDefault(); explain(key, words); } };
    return make("span.term", { role: "button", tabindex: 0, title: t(`why.${key}`), onclick: told, onkeydown: told }, words);
  });
  const all = [...new Set(RUN.notLookedAt.map(([, , key]) => key))].map((key) => t(`why.${key}`));
  fill("left-out", make("p", {}, make("b", {}, t("left_out")), " ", terms.flatMap((term, place) => (place ? [" · ", term] : [term])),
    t("stop"), " ", t("score.means")), why, make("p.why.on-paper", {}, all.join(" ")));
};

const showFoot = () => {
  const rows = [
    ["foot.calls", RUN.calls && Object.entries(RUN.calls).map(([kind, n]) => t(`call.${kind}`, { n })).join(", ")],
    ["foot.billed", RUN.billed], ["foot.money", RUN.money], ["foot.exit", RUN.exit], ["foot.folder", RUN.folder],
    ["foot.since", RUN.products ? sinceWords() : ""], ["foot.as_of", `${moment(RUN.asOf)} (${utc(RUN.asOf)})`], ["foot.tool", RUN.tool && `infringement-pipeline ${RUN.tool}`],
  ].filter(([, text]) => text);
  const files = (RUN.files ?? []).flatMap(([name, link], place) => [place ? ", " : "", make("a", { href: link }, name)]);
  fill("foot", make("p", {}, make("b", {}, t("no_advice"))), INDEX.missing ? make("p", {}, t("missing", { n: INDEX.missing })) : "",
    make("p.keys", {}, t("keys")),
    make("dl", {}, rows.map(([name, text]) => [make("dt", {}, t(name)), make("dd", {}, make("bdi", {}, text))]).flat(),
      files.length ? [make("dt", {}, t("foot.files")), make("dd", {}, files)] : []));
};
