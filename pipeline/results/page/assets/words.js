// Words, numbers and times in the language of the page.
const $ = (id) => document.getElementById(id);
const block = (id) => {
  const found = $(id);
  return found ? JSON.parse(found.textContent) : null;
};
const RUN = block("run");
const NOW = block("now");
const WORDS = block("words");
const KEEP = (() => {
  try { return window.localStorage; } catch { return null; }
})();

// What a browser keeps for this page; it may keep nothing, so that nothing depends on it.
const keep = {
  get(name) {
    try { return KEEP ? KEEP.getItem(name) : null; } catch { return null; }
  },
  set(name, text) {
    try { if (KEEP) KEEP.setItem(name, text); } catch { /* private window, or no room left */ }
  },
};

let lang = RUN.lang;

// The words of a name, with values in the place of {names}. Of `one|many` the number `n` chooses.
const t = (name, values = {}) => {
  const both = WORDS[name]?.[lang === "zh" ? 1 : 0] ?? name;
  const [one, many] = both.split("|");
  const words = many !== undefined && values.n !== 1 ? many : one;
  return words.replace(/\{(\w+)\}/g, (_, key) => {
    const value = values[key];
    return typeof value === "number" ? count(value) : value ?? "";
  });
};

const locale = () => (lang === "zh" ? "zh-CN" : "en-GB");
const formats = new Map(); // making one costs more than a hundred uses of it
const formatOf = (kind, options) => {
  const key = `${lang}${kind.name}${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new kind(locale(), options));
  return formats.get(key);
};
const count = (number) => formatOf(Intl.NumberFormat, {}).format(number);

// A score in ten thousandths, rounded down: 0.8998 is not 0.90.
const score = (value, digits = 2) => {
  if (value < 0) return "–";
  const step = 10 ** (4 - digits);
  return (Math.floor(value / step) * step / 10000).toFixed(digits);
};

const when = (iso) => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? null : at;
};
const written = (at, options) => formatOf(Intl.DateTimeFormat, options).format(at);
const DAY = { day: "numeric", month: "short", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

// A moment in the reader's own zone, which is named.
const moment = (iso, { zone = true } = {}) => {
  const at = when(iso);
  if (!at) return iso ?? "";
  return written(at, { ...DAY, ...CLOCK, ...(zone ? { timeZoneName: "short" } : {}) });
};
const utc = (iso) => {
  const at = when(iso);
  return at ? `${at.toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
};

// A period with the day once where both ends are on it.
const period = (from, to) => {
  const [first, last] = [when(from), when(to)];
  if (!first || !last) return moment(to || from);
  if (moment(from) === moment(to)) return moment(from);
  const sameDay = written(first, DAY) === written(last, DAY);
  const end = sameDay ? written(last, { ...CLOCK, timeZoneName: "short" }) : moment(to);
  return `${moment(from, { zone: false })} – ${end}`;
};

// "18:42 today" or the day and the clock; what is over says so.
const deadline = (iso) => {
  const at = when(iso);
  if (!at) return "";
  const clock = written(at, { ...CLOCK, timeZoneName: "short" });
  const today = written(at, DAY) === written(new Date(), DAY);
  return today ? t("today", { clock }) : `${written(at, DAY)}, ${clock}`;
};

const speak = (language) => {
  lang = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
};
