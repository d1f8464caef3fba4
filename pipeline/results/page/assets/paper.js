// Print: what is filtered, drawn whole, with a header and the number of each page in its margins.
const MOST_ON_PAPER = 500;

const inQuotes = (text) => `"${text.replace(/[\\"]/g, "\\$&").replace(/[\n\r\f]/g, " ")}"`;

// The margins of a page hold texts of a style sheet alone, so the run's names are written into one.
const margins = () => {
  const left = [RUN.title, RUN.client, RUN.run && RUN.run !== RUN.title ? RUN.run : ""].filter(Boolean).join(" · ");
  const right = RUN.sandbox || RUN.rehearsal ? t("paper.practice") : t("as_of", { at: moment(RUN.asOf) });
  const pages = t("paper.page").split("#");
  const numbers = `${inQuotes(pages[0])} counter(page) ${inQuotes(pages[1])} counter(pages) ${inQuotes(pages[2])}`;
  return `@page { @top-left { content: ${inQuotes(left)}; } @top-right { content: ${inQuotes(right)}; }
    @bottom-left { content: ${inQuotes(t("no_advice"))}; } @bottom-right { content: ${numbers}; } }`;
};

const hitOnPaper = (number, hit, place, rest) => make("div.hit", {},
  make("span.shot", {}, rest ? picture(smallOf(number, rest.h?.[place]?.p), "") : ""),
  make("span.score", {}, make(`b${hit[SCORE] >= RUN.atLeast ? ".above" : ""}`, {}, score(hit[SCORE])), hitMarks(hit),
    decisionOfHit(number, hit) ? make("i", {}, t(`decision.${decisionOfHit(number, hit)}`)) : againWords(number, hit)),
  make("span.pn", {}, hit[PN]), make("span.owner", {}, ownerOf(hit)), make("span.legal", {}, legalWords(hit)));

const rowOnPaper = (number) => {
  const row = ROWS[number], rest = restOf(number), name = nameOf(row);
  const decision = wholeDecision(number), folded = row[SHOWN].length - unfolded(number).length;
  return make("article.sheet-row", {},
    make("span.shot.product", {}, rest ? picture(smallOf(number, rest.p), "") : ""),
    make("div.info", {}, make("h3", {}, name), row[FILE] !== name ? make("p.file", {}, row[FILE]) : "", make("p.chips", {}, labelChips(row)),
      make("p.note", {}, [statusOf(row) !== usual ? t(`status.${statusOf(row)}`) : "", foundWords(row), ...productChange(row, rest),
        folded ? t("folded", { n: folded }) : "",
        decision ? t(`decision.${decision}`) : ""].filter(Boolean).join(" · "))),
    make("div.hits", {}, row[SHOWN].length ? unfolded(number).map(([hit, place]) => hitOnPaper(number, hit, place, rest))
      : make("p.reason", {}, rest?.e?.[0] ?? t(`meaning.${statusOf(row)}`))));
};

const filterWords = () => {
  const parts = [];
  if (ask.q) parts.push(`“${ask.q}”`);
  if (ask.min) parts.push(`≥ ${score(ask.min)}`);
  for (const name of ["status", "decision", "country"]) {
    if (ask[name].size) parts.push(`${t(name)}: ${[...ask[name]].map((value) => valueTitle(name, value)).join(", ")}`);
  }
  if (ask.mark) parts.push(t(`mark.${ask.mark}`));
  for (const [label, values] of ask.labels) parts.push(`${labelName(label)}: ${[...values].map((value) => valueName(label, value)).join(", ")}`);
  return parts.join(" · ");
};

const drawPaper = () => {
  const numbers = found.slice(0, MOST_ON_PAPER);
  $("margins")?.remove();
  const style = make("style", { id: "margins" });
  style.textContent = margins();
  document.head.append(style);
  const words = [t("shown", { n: found.length, all: ROWS.length }), filterWords(),
    found.length > numbers.length ? t("paper.cut", { n: numbers.length }) : ""].filter(Boolean).join(" · ");
  const causes = $("causes-open");
  if (causes) causes.open = true;
  fill("paper", make("p.paper-words", {}, words), numbers.map(rowOnPaper));
};
const dropPaper = () => fill("paper");

// The pictures of a large page may not be here yet; they are waited for when the page's own button prints.
const printPage = async () => {
  for (const number of found.slice(0, MOST_ON_PAPER)) await needed(number);
  drawPaper();
  const pictures = [...document.querySelectorAll("#paper img")];
  await Promise.all(pictures.map((one) => one.decode().catch(() => null)));
  window.print();
};
