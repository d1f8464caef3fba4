// Decisions about hits and products: those of decisions.csv, and those made here, which the browser keeps meanwhile.
const CHOICES = ["watch", "escalate", "dismiss"];
const COLUMNS = ["item", "patent_pn", "decision", "by", "at", "note", "run"];
const KEPT_AS = `pipeline-decisions:${RUN.job}:${RUN.run}:${RUN.client}`;
const decided = new Map(); // "item\npatent" -> {item, patent_pn, ...}
const edited = new Map(); // those of them that are in no file yet
let tags = []; // per row, worked out when first asked for
const whoDecides = { name: keep.get("pipeline-decides") ?? "" };

const about = (item, patent) => `${item}\n${patent}`;

// A day counts as the same time as every hour of it.
const isEarlier = (at, other) => {
  const most = Math.min(at.length, other.length);
  return at.slice(0, most) < other.slice(0, most);
};

const takeDecision = (one) => {
  const before = decided.get(about(one.item, one.patent_pn));
  if (before && isEarlier(one.at, before.at)) return false;
  decided.set(about(one.item, one.patent_pn), one);
  return true;
};

const readDecisions = () => {
  for (const cells of INDEX.decisions) takeDecision(Object.fromEntries(COLUMNS.map((name, place) => [name, cells[place]])));
  let kept = [];
  try { kept = JSON.parse(keep.get(KEPT_AS) ?? "[]"); } catch { /* not ours */ }
  if (!Array.isArray(kept)) return;
  for (const one of kept) {
    const whole = one && COLUMNS.every((name) => typeof one[name] === "string");
    if (!whole || !NUMBER_OF.has(one.item)) continue;
    const same = decided.get(about(one.item, one.patent_pn));
    const saved = same && same.at === one.at && same.decision === one.decision && same.note === one.note;
    if (!saved && takeDecision(one)) edited.set(about(one.item, one.patent_pn), one);
  }
};

const keepEdits = () => keep.set(KEPT_AS, JSON.stringify([...edited.values()]));

// Decide, or take back with an empty word; `note` undefined leaves the note as it is.
const decide = (number, patent, decision, note) => {
  const item = ROWS[number][ID];
  const key = about(item, patent);
  const before = decided.get(key);
  const one = {
    item, patent_pn: patent, decision,
    by: whoDecides.name, at: new Date().toISOString(), note: note ?? before?.note ?? "", run: RUN.run,
  };
  decided.set(key, one);
  edited.set(key, one);
  keepEdits();
  tags[number] = undefined;
};

const decisionOn = (number, patent) => decided.get(about(ROWS[number][ID], patent))?.decision ?? "";

// A decision of an earlier run holds no more for a hit that rose, or came, since it was made: the page's data says which.
const isOld = (one) => one.run !== RUN.run;
const holds = (one, hit) => Boolean(one?.decision) && !(hit[HIT_MARKS] & AGAIN && isOld(one));
const decisionsOf = (number, hit) => [hit[PN], ""].map((patent) => decided.get(about(ROWS[number][ID], patent)));
// A decision about the product holds for each hit that has none of its own.
const decisionThatHolds = (number, hit) => decisionsOf(number, hit).find((one) => holds(one, hit));
const decisionOfHit = (number, hit) => decisionThatHolds(number, hit)?.decision ?? "";
const ownDecision = (number, hit) => (hit ? holds(decisionsOf(number, hit)[0], hit) && decisionOn(number, hit[PN]) : decisionOn(number, "")) || "";
// The decision that a hit had, where it is to be decided again.
const decisionBefore = (number, hit) => (hit[HIT_MARKS] & AGAIN && !decisionThatHolds(number, hit)
  ? decisionsOf(number, hit).find((one) => one?.decision) : undefined);
const wholeDecision = (number) => (ROWS[number][SHOWN].some((hit) => hit[SCORE] >= RUN.atLeast && decisionBefore(number, hit)?.patent_pn === "")
  ? "" : decisionOn(number, ""));
// Dismissed before this run, and nothing is new about it: it is folded.
const isFolded = (number, hit) => {
  const one = decisionThatHolds(number, hit);
  return one?.decision === "dismiss" && isOld(one) && !(hit[HIT_MARKS] & (IS_NEW | HAS_RISEN));
};
const noteOn = (number, patent) => decided.get(about(ROWS[number][ID], patent))?.note ?? "";

// What is decided about a product: any of watch, escalate, dismiss, and `todo` while a hit at T or above is undecided.
const tagsOf = (number) => {
  if (tags[number]) return tags[number];
  const row = ROWS[number];
  const found = new Set();
  for (const hit of row[SHOWN]) {
    const decision = decisionOfHit(number, hit);
    if (decision) found.add(decision);
    else if (hit[SCORE] >= RUN.atLeast) found.add("todo");
  }
  const whole = decisionOn(number, "");
  if (whole) found.add(whole);
  if (!found.size) found.add("none");
  tags[number] = found;
  return found;
};

// A spreadsheet runs what looks like a formula; an apostrophe keeps it a text, and `report --decisions` takes it off.
const FORMULA = /^['\u00a0 ]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const cell = (text) => {
  const shown = FORMULA.test(text) ? `'${text}` : text;
  return /[",;\n\r\t]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
};

const decisionsFile = () => {
  const lines = [COLUMNS, ...[...decided.values()].map((one) => COLUMNS.map((name) => one[name]))];
  return `\ufeff${lines.map((cells) => cells.map(cell).join(",")).join("\n")}\n`;
};

const saveDecisions = () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([decisionsFile()], { type: "text/csv" }));
  link.download = RUN.client ? `decisions-${RUN.client.replace(/[^\p{L}\p{N}.-]+/gu, "-")}.csv` : "decisions.csv";
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};
