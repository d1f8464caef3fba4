// Finding: which rows fit what is asked, in which order, and how many would fit each other value.
let texts = null; // of each row, in small letters
let found = []; // numbers of the rows that fit, in their order

const textsOf = () => {
  texts ??= ROWS.map((row) => [
    row[ID], row[NAME], row[FILE],
    ...labelsOf(row).map(([label, value]) => valueName(label, value)),
    ...row[SHOWN].flatMap((hit) => [hit[PN], ownerOf(hit)]),
  ].join("\n").toLowerCase());
  return texts;
};

const TESTS = {
  q() {
    const wanted = ask.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (!wanted.length) return null;
    const all = textsOf();
    return (_, number) => wanted.every((word) => all[number].includes(word));
  },
  min: () => (ask.min ? (row) => row[BEST] >= ask.min : null),
  status() {
    if (!ask.status.size) return null;
    const open = ask.status.has(ANY_OPEN);
    return (row) => ask.status.has(statusOf(row)) || (open && isOpen(row));
  },
  decision: () => (ask.decision.size ? (_, number) => [...ask.decision].some((one) => tagsOf(number).has(one)) : null),
  country: () => (ask.country.size
    ? (row) => row[SHOWN].some((hit) => hit[SCORE] >= Math.max(ask.min, 0) && ask.country.has(countryOf(hit))) : null),
  cause: () => (ask.cause >= 0 ? (row) => row[CAUSE] === ask.cause : null),
  mark: () => (ask.mark ? MARK_TESTS[ask.mark] : null),
};
// A product counts as new by its best hit that is new or has risen; one that is not compared by its best hit.
const isNew = (row, min) => (row[BEST_NEW] ?? -1) >= min;
const MARK_TESTS = {
  new: (row) => isNew(row, ask.min),
  gone: (row) => Boolean(row[MARKS] & HAS_GONE),
  not_then: (row) => Boolean(row[MARKS] & NOT_THEN),
  otherwise: (row) => Boolean(row[MARKS] & OTHERWISE),
  task: (row) => row[SHOWN].some((hit) => hit[HIT_MARKS] & IN_TASK),
};
const labelTest = (label, values) => (row) => values.has(labelOf(row, label));

// All tests but the one named, so that a facet counts what a click on it would bring.
const testsBut = (but) => {
  const tests = Object.entries(TESTS).filter(([name]) => name !== but).map(([, test]) => test());
  for (const [label, values] of ask.labels) if (but !== `label.${label}`) tests.push(labelTest(label, values));
  return tests.filter(Boolean);
};
const fitting = (but) => {
  const tests = testsBut(but);
  const numbers = [];
  for (let number = 0; number < ROWS.length; number += 1) {
    if (tests.every((test) => test(ROWS[number], number))) numbers.push(number);
  }
  return numbers;
};

const atLeastT = (row) => row[SHOWN].filter((hit) => hit[SCORE] >= RUN.atLeast).length;
const ORDERS = {
  similar: null, // the order in which the page has them
  id: (one, other) => nameOf(ROWS[one]).localeCompare(nameOf(ROWS[other]), undefined, { numeric: true }),
  hits: (one, other) => atLeastT(ROWS[other]) - atLeastT(ROWS[one]) || one - other,
  open: (one, other) => (ROWS[other][CAUSE] >= 0) - (ROWS[one][CAUSE] >= 0) || ROWS[one][CAUSE] - ROWS[other][CAUSE]
    || one - other,
};

const find = () => {
  found = fitting("");
  const order = ORDERS[ask.sort] ?? (ask.status.has(ANY_OPEN) ? ORDERS.open : null);
  if (order) found.sort(order);
  return found;
};

// Facets: values with how many products each would bring, the most frequent first.
const counted = (numbers, valuesOf) => {
  const counts = new Map();
  for (const number of numbers) for (const value of valuesOf(number)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]);
};
const facetOf = (name) => {
  const numbers = fitting(name);
  if (name === "status") return counted(numbers, (number) => [statusOf(ROWS[number])]);
  if (name === "decision") return counted(numbers, (number) => tagsOf(number));
  if (name === "country") {
    return counted(numbers, (number) => new Set(ROWS[number][SHOWN].filter((hit) => hit[SCORE] >= ask.min)
      .map(countryOf).filter(Boolean)));
  }
  const label = Number(name.slice("label.".length));
  return counted(numbers, (number) => {
    const value = labelOf(ROWS[number], label);
    return value >= 0 ? [value] : [];
  });
};
