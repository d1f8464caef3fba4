// What is asked of the list: it lives in the address, so that a link to it can be sent.
const ask = { q: "", min: 0, status: new Set(), decision: new Set(), labels: new Map(), country: new Set(), cause: -1,
  mark: "", sort: "similar", item: "", hit: 0 };
const SORTS = ["similar", "id", "hits", "open"];
const ANY_OPEN = "open";
const ASKED_MARKS = ["new", "gone", "not_then", "otherwise", "task"];

const setOf = (text) => new Set(text ? text.split("|").map(decodeURIComponent) : []);
const textOf = (set) => [...set].map((one) => encodeURIComponent(one).replaceAll("%20", " ")).join("|");

const readAddress = () => {
  const given = new URLSearchParams(window.location.hash.slice(1));
  ask.q = given.get("q") ?? "";
  ask.min = Math.max(0, Math.min(10_000, Math.round(Number(given.get("min") ?? 0) * 10_000) || 0));
  ask.status = setOf(given.get("status"));
  ask.decision = setOf(given.get("decision"));
  ask.country = setOf(given.get("country"));
  ask.mark = ASKED_MARKS.includes(given.get("mark")) ? given.get("mark") : "";
  ask.cause = given.has("cause") ? Number(given.get("cause")) : -1;
  ask.sort = SORTS.includes(given.get("sort")) ? given.get("sort") : "similar";
  ask.item = given.get("item") ?? "";
  ask.hit = Number(given.get("hit") ?? 0) || 0;
  ask.labels = new Map();
  INDEX.labels.forEach(([name, values], label) => {
    const wanted = setOf(given.get(`label.${name}`));
    const numbers = values.flatMap((value, number) => (wanted.has(value) ? [number] : []));
    if (numbers.length) ask.labels.set(label, new Set(numbers));
  });
};

const writeAddress = () => {
  const given = new URLSearchParams();
  if (ask.q) given.set("q", ask.q);
  if (ask.min) given.set("min", ask.min / 10000);
  for (const name of ["status", "decision", "country"]) if (ask[name].size) given.set(name, textOf(ask[name]));
  for (const [label, values] of ask.labels) {
    given.set(`label.${labelName(label)}`, textOf(new Set([...values].map((value) => valueName(label, value)))));
  }
  if (ask.mark) given.set("mark", ask.mark);
  if (ask.cause >= 0) given.set("cause", ask.cause);
  if (ask.sort !== "similar") given.set("sort", ask.sort);
  if (ask.item) given.set("item", ask.item);
  if (ask.item && ask.hit) given.set("hit", ask.hit);
  const hash = given.size ? `#${given}` : "#";
  if (hash !== (window.location.hash || "#")) window.history.replaceState(null, "", hash);
};

const isFiltered = () =>
  Boolean(ask.q || ask.min || ask.status.size || ask.decision.size || ask.labels.size || ask.country.size
    || ask.cause >= 0 || ask.mark);

const resetFilters = () => {
  Object.assign(ask, { q: "", min: 0, cause: -1, mark: "" });
  ask.status = new Set();
  ask.decision = new Set();
  ask.country = new Set();
  ask.labels = new Map();
};

const toggled = (set, value) => {
  const other = new Set(set);
  if (!other.delete(value)) other.add(value);
  return other;
};
const toggleLabel = (label, value) => {
  const values = toggled(ask.labels.get(label) ?? new Set(), value);
  if (values.size) ask.labels.set(label, values);
  else ask.labels.delete(label);
};
