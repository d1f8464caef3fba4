// The table of two labels: how many products are at T or above, and which; a click asks for them.
const MOST_ROWS = 6, MOST_COLUMNS = 8;
const COUNTRY = -1; // the axis of hit countries, which is no label
let axes = null;

const canBeAxis = () => [
  ...INDEX.labels.map((_, label) => label).filter((label) => INDEX.labels[label][1].length > 1),
  COUNTRY,
];
const axisName = (axis) => (axis === COUNTRY ? t("country") : labelName(axis));
const valuesOn = (axis, row) => {
  if (axis === COUNTRY) {
    return new Set(row[SHOWN].filter((hit) => hit[SCORE] >= RUN.atLeast).map(countryOf).filter(Boolean));
  }
  const value = labelOf(row, axis);
  return value < 0 ? [] : [value];
};
const axisValue = (axis, value) => (axis === COUNTRY ? value : valueName(axis, value));

// The labels that the job names, else those with the fewest values: a table of order numbers helps nobody.
const chooseAxes = () => {
  const able = canBeAxis();
  const named = RUN.groupBy.map((name) => INDEX.labels.findIndex(([label]) => label === name))
    .filter((label) => able.includes(label));
  const few = able.filter((label) => label !== COUNTRY && !named.includes(label) && INDEX.labels[label][1].length <= 40)
    .sort((one, other) => INDEX.labels[one][1].length - INDEX.labels[other][1].length);
  const chosen = [...named, ...few, COUNTRY];
  axes = chosen.length > 1 ? chosen.slice(0, 2) : [COUNTRY, COUNTRY];
};

const drill = (choices) => () => {
  resetFilters();
  ask.min = RUN.atLeast;
  for (const [axis, value] of choices) {
    if (axis === COUNTRY) ask.country = new Set([value]);
    else ask.labels.set(axis, new Set([value]));
  }
  changed();
};

const axisChoice = (place) => {
  const able = canBeAxis();
  if (able.length < 3) return make("span", {}, axisName(axes[place]));
  return make("select", {
    "aria-label": t(place ? "matrix.columns" : "matrix.rows"),
    onchange(event) { axes[place] = Number(event.target.value); showMatrix(); },
  }, able.map((axis) => make("option", { value: axis, selected: axis === axes[place] }, axisName(axis))));
};

const showMatrix = () => {
  if (!axes) chooseAxes();
  const [down, across] = axes;
  const cells = new Map(), rowSums = new Map(), columnSums = new Map();
  const add = (map, key, one) => map.set(key, (map.get(key) ?? 0) + one);
  for (const row of ROWS) {
    const above = row[BEST] >= RUN.atLeast ? 1 : 0;
    for (const vertical of valuesOn(down, row)) {
      add(rowSums, vertical, above);
      for (const horizontal of valuesOn(across, row)) add(cells, `${vertical}\n${horizontal}`, above);
    }
    for (const horizontal of valuesOn(across, row)) add(columnSums, horizontal, above);
  }
  const sorted = (sums, most) => [...sums].sort((one, other) => other[1] - one[1]).slice(0, most);
  const rows = sorted(rowSums, MOST_ROWS), columns = sorted(columnSums, MOST_COLUMNS);
  const most = Math.max(1, ...cells.values());
  const cell = (number, choices, name) => make("td", {}, make("button", {
    type: "button", disabled: !number, "aria-label": `${name}: ${t("products", { n: number })}`,
    style: `--heat:${number ? 0.18 + 0.82 * (number / most) : 0}`, onclick: drill(choices),
  }, count(number)));
  const oneAxis = down === across;
  const head = make("tr", {}, make("th"), oneAxis ? make("th", { scope: "col" }, t("products.short"))
    : columns.map(([value]) => make("th", { scope: "col", title: axisValue(across, value) }, axisValue(across, value))));
  const body = rows.map(([vertical, sum]) => make("tr", {},
    make("th", { scope: "row" }, make("button.link", { type: "button", disabled: !sum, onclick: drill([[down, vertical]]),
      title: axisValue(down, vertical) }, axisValue(down, vertical))),
    oneAxis ? cell(sum, [[down, vertical]], axisValue(down, vertical))
      : columns.map(([horizontal]) => cell(cells.get(`${vertical}\n${horizontal}`) ?? 0,
        [[down, vertical], [across, horizontal]], `${axisValue(down, vertical)}, ${axisValue(across, horizontal)}`))));
  const hidden = Math.max(0, rowSums.size - rows.length) + (oneAxis ? 0 : Math.max(0, columnSums.size - columns.length));
  fill("matrix", make("h2", {}, make("span", {}, t("matrix", { T: score(RUN.atLeast) }), hidden
    ? make("small", { title: t("matrix.more", { n: hidden }) }, ` +${hidden}`) : ""),
    make("span.axes", {}, axisChoice(0), oneAxis ? "" : [" × ", axisChoice(1)])),
    rows.length ? make("div.scroll", {}, make("table", {}, make("thead", {}, head), make("tbody", {}, body)))
      : make("p.note", {}, t("matrix.none", { T: score(RUN.atLeast) })));
};
