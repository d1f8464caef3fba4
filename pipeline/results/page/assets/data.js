// The data of the products: rows are all here, the rest comes in parts as it is looked at.
const LARGE_PARTS_KEPT = 8;
const PARTS_KEPT = 40;
// The places in a row.
const [ID, NAME, FILE, LABELS, STATUS, BEST, HITS, TOTAL, CAUSE, SHOWN, MARKS, BEST_NEW] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const [PN, SCORE, HIT_MARKS, OWNER, YEAR, LEGAL, RANK, BEFORE, DECIDED_AT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const IN_TASK = 1, IS_NEW = 2, HAS_RISEN = 4, COMPARED = 8, AGAIN = 16;
const SHARES = 1, REPORTED = 2, NOT_THEN = 4, OTHERWISE = 8, HAS_GONE = 16;
const LEGAL_WORDS = ["", "active", "inactive", "pending"];
const OTHER_STATUS = 4; // and above: a status that only the vendor has a word for, which is a text of the index

let INDEX = { statuses: [], labels: [], owners: [], causes: [], decisions: [], rows: [], missing: 0 };
let ROWS = [];
const NUMBER_OF = new Map(); // product ids to the numbers of their rows

const parts = new Map(); // number -> {rest, small, large}
const larges = new Map(); // number -> {picture: base64}
const asked = new Map(); // file -> those who wait for it
const everySmall = {}; // of a page in one file, whose parts share their pictures
const everyLarge = {};

const takeIndex = (data) => {
  INDEX = data;
  ROWS = data.rows;
  ROWS.forEach((row, number) => NUMBER_OF.set(row[ID], number));
};

const newest = (map, most) => {
  while (map.size > most) map.delete(map.keys().next().value);
};

// Scripts beside the page hand their data over here.
window.reportPart = (kind, number, data) => {
  if (kind === "index") takeIndex(data);
  else if (kind === "part") parts.set(number, data);
  else larges.set(number, data);
};

let isIncomplete = false; // what lies beside the page is not there
const partsMissing = () => {
  if (isIncomplete) return;
  isIncomplete = true;
  showBanners();
};

const load = (file) => {
  if (!asked.has(file)) {
    asked.set(file, new Promise((done) => {
      const script = document.createElement("script");
      script.src = RUN.parts + file;
      script.onload = () => { script.remove(); asked.delete(file); done(true); };
      script.onerror = () => { script.remove(); partsMissing(); done(false); };
      document.head.append(script);
    }));
  }
  return asked.get(file);
};

const fileOf = (kind, number) => `${kind}${String(number).padStart(4, "0")}.js`;

// The rest of a product, or null while it is not here; `needed` asks for it.
const restOf = (number) => parts.get(Math.floor(number / RUN.chunk))?.rest[number % RUN.chunk] ?? null;
const needed = async (number) => {
  const part = Math.floor(number / RUN.chunk);
  if (!parts.has(part) && RUN.split) {
    await load(fileOf("", part));
    newest(parts, PARTS_KEPT);
  }
  return restOf(number);
};

const asSource = (data) => (data ? `data:image/webp;base64,${data}` : "");
const textOfPart = (number, text) => (text ? parts.get(Math.floor(number / RUN.chunk))?.texts[text - 1] ?? "" : "");
const smallOf = (number, picture) => {
  if (!picture) return "";
  return asSource(everySmall[picture] ?? parts.get(Math.floor(number / RUN.chunk))?.small[picture]);
};

// The large picture where it is at hand, else the small one.
const largeOf = (number, picture) => {
  const large = everyLarge[picture] ?? larges.get(Math.floor(number / RUN.big))?.[picture];
  return large ? asSource(large) : "";
};
// A picture lies with the first product that has it, which in a page of one file may be an earlier one.
const neededLarge = async (number) => {
  const part = Math.floor(number / RUN.big);
  if (RUN.large && !larges.has(part)) {
    await load(fileOf("large-", part));
    newest(larges, LARGE_PARTS_KEPT);
  }
};

const readParts = () => {
  for (let number = 0; number * RUN.chunk < RUN.products; number += 1) {
    const found = $(`part-${number}`);
    if (!found) break;
    const part = JSON.parse(found.textContent);
    Object.assign(everySmall, part.small);
    Object.assign(everyLarge, part.large);
    parts.set(number, { ...part, small: {}, large: {} });
    found.remove();
  }
};

const readIndex = () => {
  const found = block("index");
  if (found) takeIndex(found);
  $("index")?.remove();
};

const nameOf = (row) => row[NAME] || row[ID];
const statusOf = (row) => INDEX.statuses[row[STATUS]];
const SETTLED = ["reported", "tasked", "no_hits", "searched"];
const OPEN = new Set(["failed", "in_doubt", "expired", "report_pending", "report_failed", "report_lost"]);
const isOpen = (row) => OPEN.has(statusOf(row));
const ownerOf = (hit) => (hit[OWNER] >= 0 ? INDEX.owners[hit[OWNER]] ?? "" : "");
const countryOf = (hit) => /^[A-Z]{2}/.exec(hit[PN])?.[0] ?? "";

// Labels as pairs of their numbers.
const labelsOf = (row) => {
  const pairs = [];
  for (let place = 0; place < row[LABELS].length; place += 2) pairs.push([row[LABELS][place], row[LABELS][place + 1]]);
  return pairs;
};
const labelOf = (row, label) => {
  const numbers = row[LABELS];
  for (let place = 0; place < numbers.length; place += 2) if (numbers[place] === label) return numbers[place + 1];
  return -1;
};
const labelName = (label) => INDEX.labels[label][0];
const valueName = (label, value) => INDEX.labels[label][1][value];
