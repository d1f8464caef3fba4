// The start, and what keys and the address do.
const redraw = () => {
  find();
  showNumbers();
  showHistogram();
  showBar();
  layOut();
};

// Something else is asked for: the list begins anew.
const changed = () => {
  writeAddress();
  redraw();
  showCauses();
};

const afterDecision = (number) => {
  showNumbers();
  showSteps();
  showUnsaved();
  redrawRow(number);
};

const showAll = () => {
  showHead();
  showBanners();
  showMatrix();
  showSteps();
  showSince();
  showLeftOut();
  fill("more-name", t("more"));
  $("numbers").setAttribute("aria-label", t("numbers"));
  if (RUN.products) buildBar();
  showCauses();
  showFoot();
  redraw();
  if (opened) showOpened();
};

const otherLanguage = () => {
  speak(lang === "zh" ? "en" : "zh");
  keep.set("pipeline-language", lang);
  showAll();
};

const THEMES = ["auto", "dark", "light"];
const dress = (theme) => {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
};
const otherTheme = () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const next = now === "auto" ? (dark ? "light" : "dark") : THEMES[0];
  dress(next);
  keep.set("pipeline-theme", next);
};

const isTyping = (event) => event.target.matches?.("input:not([type=checkbox]), textarea, select");
const KEYS = {
  j: () => step(1), k: () => step(-1), ArrowRight: () => stepHit(1), ArrowLeft: () => stepHit(-1),
  1: () => decideHere("watch"), 2: () => decideHere("escalate"), 3: () => decideHere("dismiss"), 0: () => decideHere(""),
  n: () => $("note")?.focus(),
};
const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && openFacet) showFacet(null);
  if (isTyping(event)) {
    if (event.key === "Enter" && opened) event.target.blur();
    return;
  }
  if (opened && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  } else if (!opened && event.key === "/") {
    event.preventDefault();
    $("search")?.focus();
    $("search")?.select();
  } else if (!opened && event.key === "j") openFirst();
};

const openAddressed = () => {
  const number = NUMBER_OF.get(ask.item);
  if (number !== undefined) openRow(number, ask.hit);
};

const start = () => {
  const language = keep.get("pipeline-language");
  const wanted = new URLSearchParams(window.location.hash.slice(1)).get("lang");
  speak([wanted, language, RUN.lang].find((one) => one === "en" || one === "zh"));
  dress(keep.get("pipeline-theme") ?? "auto");
  readIndex();
  isIncomplete = RUN.split && !ROWS.length;
  if (!RUN.split) readParts();
  readAddress();
  readDecisions();
  findUsual();
  measure();
  if (window.innerWidth < 720) $("more").open = false;
  showAll();
  openAddressed();
  window.addEventListener("scroll", drawSoon, { passive: true });
  window.addEventListener("scroll", () => { if (openFacet) showFacet(null); }, { passive: true });
  window.addEventListener("resize", () => { measure(); layOut(); });
  window.addEventListener("hashchange", () => { readAddress(); redraw(); showCauses(); openAddressed(); });
  window.addEventListener("keydown", onKey);
  window.addEventListener("pointerdown", closesFacet);
  window.addEventListener("beforeprint", () => { if (!$("paper").childElementCount) drawPaper(); });
  window.addEventListener("afterprint", dropPaper);
  $("skip").addEventListener("click", (event) => { event.preventDefault(); toList(); $("list").focus({ preventScroll: true }); });
  $("opened").addEventListener("close", closed);
  $("opened").addEventListener("click", (event) => { if (event.target === $("opened")) $("opened").close(); });
  (window.requestIdleCallback ?? window.setTimeout)(() => textsOf()); // the first search then is as fast as the next
  document.documentElement.dataset.ready = "yes";
};

// The index of a large page is a script of its own, which comes after this one.
if (RUN.split) window.addEventListener("DOMContentLoaded", start);
else start();
