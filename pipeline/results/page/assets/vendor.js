// The vendor's report: its own words in quotation marks, and nothing of ours about them.
const VENDOR_TEXTS = ["similar", "difference", "confusion", "risk_desc", "suggestion"];

// Texts of one comparison: number, title, level and score as sent, then the texts.
const comparison = (cells, withNumber) => {
  const [number, title, level, sent, ...texts] = cells;
  const quoted = (name, text) => (text ? [make("dt", {}, t(`vendor.${name}`)), make("dd", {}, make("q", {}, text))] : []);
  return make("div.comparison", {},
    withNumber ? make("p", {}, make("b", {}, number), " ", make("bdi", {}, title)) : "",
    make("dl", { "data-vendor": "" }, quoted("level", level), quoted("score", sent),
      VENDOR_TEXTS.map((name, place) => quoted(name, texts[place])).flat()));
};

const vendorWrites = (product, rest, hit) => {
  const all = (rest.c ?? []).map(([place, ...texts]) => [place, texts.map((one) => textOfPart(product, one))]);
  const reported = ROWS[product][MARKS] & REPORTED;
  if (!all.length && !rest.co) return reported ? make("p.note", {}, t("vendor.nothing")) : "";
  const here = all.filter(([place]) => hit && place === opened.hit);
  const others = all.filter(([place]) => place < 0);
  const more = rest.co ? make("p.note", {}, t("vendor.more", { n: rest.co })) : "";
  const none = !here.length && !others.length ? make("p.note", {}, t("vendor.none")) : "";
  return make("section.vendor", { "aria-label": t("vendor.writes") }, make("h3", {}, t("vendor.writes")),
    here.map(([, cells]) => comparison(cells, false)), others.map(([, cells]) => comparison(cells, true)), none, more);
};
