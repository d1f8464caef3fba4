// The bar that stays in sight: search, facets with counts, the order, and how many products are shown.
const MOST_FACETS = 4; // labels beside status, decision and country
const MOST_VALUES = 300;
let openFacet = null;

const facetNames = () => [
  "status", "decision",
  ...INDEX.labels.map(([, values], label) => [label, values.length]).filter(([, values]) => values > 1)
    .sort((one, other) => named(one[0]) - named(other[0]) || one[1] - other[1]).slice(0, MOST_FACETS)
    .map(([label]) => `label.${label}`),
  "country",
];
const named = (label) => (RUN.groupBy.includes(labelName(label)) ? RUN.groupBy.indexOf(labelName(label)) : RUN.groupBy.length);

const facetTitle = (name) => (name.startsWith("label.") ? labelName(Number(name.slice(6))) : t(name));
const chosenIn = (name) => (name.startsWith("label.") ? ask.labels.get(Number(name.slice(6))) ?? new Set() : ask[name]);
const valueTitle = (name, value) => {
  if (name === "status") return value === ANY_OPEN ? t("open") : t(`status.${value}`);
  if (name === "decision") return t(`decision.${value}`, { T: score(RUN.atLeast) });
  return name === "country" ? value : valueName(Number(name.slice(6)), value);
};
const toggleFacet = (name, value) => {
  if (name.startsWith("label.")) toggleLabel(Number(name.slice(6)), value);
  else {
    if (name === "status" && value !== ANY_OPEN) ask.status.delete(ANY_OPEN);
    ask[name] = toggled(ask[name], value);
  }
};

const facetButton = (name) => {
  const chosen = chosenIn(name);
  const first = chosen.size ? valueTitle(name, [...chosen][0]) : "";
  const words = chosen.size > 1 ? `${first} +${chosen.size - 1}` : first;
  return make(`button.facet${chosen.size ? ".chosen" : ""}`, {
    type: "button", "data-facet": name, "aria-haspopup": "true", "aria-expanded": String(openFacet === name),
    onclick: () => showFacet(openFacet === name ? null : name),
  }, make("span", {}, facetTitle(name)), words ? make("b", {}, words) : "", icon("down"));
};

const showFacet = (name) => {
  openFacet = name;
  $("facet")?.remove();
  for (const button of document.querySelectorAll(".facet")) {
    button.setAttribute("aria-expanded", String(button.dataset.facet === name));
  }
  if (!name) return;
  const anchor = document.querySelector(`[data-facet="${CSS.escape(name)}"]`);
  const chosen = chosenIn(name);
  const values = facetOf(name);
  for (const value of chosen) if (!values.some(([one]) => one === value)) values.push([value, 0]);
  const choices = values.slice(0, MOST_VALUES).map(([value, number]) => make("label.choice", {},
    make("input", { type: "checkbox", checked: chosen.has(value), onchange() { toggleFacet(name, value); changed(); showFacet(name); } }),
    make("span", {}, valueTitle(name, value)), make("small", {}, count(number))));
  const list = make("div.values", { id: "facet", role: "group", "aria-label": facetTitle(name) },
    choices.length ? choices : make("p.note", {}, t("facet.none")),
    values.length > MOST_VALUES ? make("p.note", {}, t("facet.more", { n: values.length - MOST_VALUES })) : "");
  const box = anchor.getBoundingClientRect();
  list.style.left = `${Math.max(8, Math.min(box.left, document.documentElement.clientWidth - 268))}px`;
  list.style.top = `${box.bottom + 6}px`;
  document.body.append(list);
  list.querySelector("input")?.focus({ preventScroll: true });
};

const closesFacet = (event) => {
  if (openFacet && !event.target.closest?.("#facet, .facet")) showFacet(null);
};

const buildBar = () => {
  let waiting = 0;
  const search = make("input", {
    type: "search", id: "search", value: ask.q, placeholder: t("search.in"), "aria-label": t("search.in"),
    autocomplete: "off", spellcheck: "false",
    oninput(event) {
      ask.q = event.target.value;
      window.cancelAnimationFrame(waiting);
      waiting = window.requestAnimationFrame(() => changed());
    },
  });
  fill("bar", make("div.search", {}, icon("search"), search, make("kbd", { title: t("search.key") }, "/")),
    make("div.facets", { id: "facets" }), make("p.shown", { id: "shown" }));
  $("bar").setAttribute("aria-label", t("bar"));
};

const showBar = () => {
  if (!RUN.products) return;
  const sort = make("select.sort", {
    "aria-label": t("sort"), onchange(event) { ask.sort = event.target.value; changed(); },
  }, SORTS.map((name) => make("option", { value: name, selected: ask.sort === name }, t(`sort.${name}`, { T: score(RUN.atLeast) }))));
  const min = ask.min ? make("button.facet.chosen", { type: "button", onclick() { ask.min = 0; changed(); }, title: t("filter.drop") },
    make("b", {}, `≥ ${score(ask.min)}`), icon("close")) : "";
  const mark = ask.mark ? make("button.facet.chosen", { type: "button", onclick() { ask.mark = ""; changed(); }, title: t("filter.drop") },
    make("b", {}, t(`mark.${ask.mark}`)), icon("close")) : "";
  const cause = ask.cause >= 0 ? make("button.facet.chosen", { type: "button", onclick() { ask.cause = -1; changed(); },
    title: t("filter.drop") }, make("b", {}, t("cause.one")), icon("close")) : "";
  const reset = isFiltered() ? make("button.link.reset", { type: "button", onclick() { resetFilters(); changed(); } }, t("reset")) : "";
  fill("facets", facetNames().map(facetButton), min, mark, cause, sort, reset);
  if ($("search") !== document.activeElement) $("search").value = ask.q;
  const words = t("shown", { n: found.length, all: ROWS.length });
  fill("shown", words);
  fill("status-line", words);
};
