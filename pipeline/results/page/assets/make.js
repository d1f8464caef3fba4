// Elements: every text on the page becomes one through here, as text and never as markup.
const make = (kind, attributes = {}, ...children) => {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in PROPERTIES) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};
const PROPERTIES = { value: 1, checked: 1, disabled: 1, textContent: 1 };
const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20",
  down: "m6 9 6 6 6-6",
  sheet: "M12 4v11m-5-5 5 5 5-5M5 20h14",
  paper: "M7 9V4h10v5M7 17H4v-7h16v7h-3M7 14h10v6H7z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v1.5M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1 1M17.400 17.400l1 1M5.600 18.400l1-1M17.400 6.600l1-1",
  copy: "M9 9h10v11H9zM5 15V4h10",
  left: "m15 6-6 6 6 6",
  right: "m9 6 6 6-6 6",
  close: "M6 6l12 12M18 6 6 18",
  none: "M4 5h16v14H4zM4 16l4.500-4.500L12 15l3-3 5 5",
};
const icon = (name) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
};

const picture = (source, name) =>
  (source ? make("img", { src: source, alt: name, draggable: "false", decoding: "async" })
    : make("span.nothing", { role: "img", "aria-label": t("picture.none", { name }) }, icon("none")));

// A button that copies what an element shows: where the clipboard is out of reach it is selected.
const copyOf = (shows, text) => {
  const button = make("button.copy", {
    type: "button", "aria-label": t("copy", { what: text }), title: t("copy.short"),
    async onclick() {
      try {
        await navigator.clipboard.writeText(text);
        button.classList.add("done");
        window.setTimeout(() => button.classList.remove("done"), 1200);
      } catch {
        window.getSelection().selectAllChildren(shows);
      }
    },
  }, icon("copy"));
  return button;
};
const command = (line) => {
  const code = make("code", {}, line);
  return make("span.command", {}, code, copyOf(code, line));
};

// Commands that stand between backquotes in a sentence, as code.
const withCode = (sentence) => sentence.split("`").map((text, place) => (place % 2 ? make("code", {}, text) : text));

const fill = (id, ...children) => $(id)?.replaceChildren(...children.flat().filter(Boolean));
