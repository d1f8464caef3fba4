// Open items by their cause: how many, why, what to do about all of them at once, and which.
const MOST_IDS = 400;

const showCauses = () => {
  const causes = INDEX.causes.map((cause, number) => [number, ...cause])
    .sort((one, other) => one[7] - other[7] || other[6] - one[6]);
  if (!causes.length) return fill("causes");
  const all = causes.reduce((sum, cause) => sum + cause[6], 0);
  const wasOpen = $("causes-open")?.open ?? false;
  const asked = ask.status.has(ANY_OPEN) || ask.cause >= 0;
  return fill("causes", make("details.card", { id: "causes-open", open: asked || wasOpen },
    make("summary", {}, make("b", {}, t("causes", { n: all })), " ", make("span.note", {}, t("causes.kinds", { n: causes.length }))),
    make("ul", {}, causes.map(causeOf))));
};

const causeOf = ([number, status, code, message, todo, line, items]) => {
  const ids = make("details.ids", { ontoggle(event) { if (event.target.open) listIds(event.target, number); } },
    make("summary", {}, t("causes.which")));
  return make("li", {},
    make("div.cause", {}, make("b.how-many", {}, count(items)), make(`span.badge.${status}`, {}, t(`status.${status}`)),
      make("span.reason", {}, message || t(`meaning.${status}`), code ? make("code", { title: t("code") }, code) : "")),
    todo ? make("p.todo", {}, make("b", {}, t("todo")), " ", withCode(todo)) : "",
    line ? command(line) : "",
    make("div.acts", {}, make("button.link", { type: "button", onclick() { resetFilters(); ask.cause = number; changed(); toList(); } },
      t("causes.show")), ids));
};

const listIds = (details, cause) => {
  if (details.querySelector("p")) return;
  const ids = ROWS.filter((row) => row[CAUSE] === cause).map(nameOf);
  const more = ids.length > MOST_IDS ? ` ${t("more.n", { n: ids.length - MOST_IDS })}` : "";
  details.append(make("p", {}, ids.slice(0, MOST_IDS).flatMap((id, place) => [place ? ", " : "", make("bdi", {}, id)]), more));
};
