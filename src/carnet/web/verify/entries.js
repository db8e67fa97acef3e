// The disclosed entries as a table, newest first; each row opens to all that is shown of it.

const ROWS = 100;
const BASES = { 1: ["certified", "i-seal"], 2: ["certified", "i-seal"], 3: ["neutral", null], 4: ["declared", "i-pen"] };
const COMMON = ["kind", "occurred", "subject"];
const READINGS = ["odometer_km", "odometer_mi", "odometer_state", "new_odometer_km", "new_odometer_mi", "old_odometer_km",
  "old_odometer_mi"];

function drawEntries(proof) {
  const { verdict: { report, exit } } = proof.answer;
  const entries = [...report.entries].sort((one, other) => other.seq - one.seq);
  const body = h("tbody");
  const more = h("button.button.button--quiet.button--s", { type: "button", click: () => grow() });
  let drawn = 0;
  function grow() {
    body.append(...entries.slice(drawn, drawn + ROWS).map((entry) => drawEntry(entry, exit !== 11)));
    drawn = Math.min(drawn + ROWS, entries.length);
    more.hidden = drawn === entries.length;
    more.textContent = t("show_more", { n: Math.min(ROWS, entries.length - drawn), left: entries.length - drawn });
  }
  grow();
  const head = ["date", "entry", "odometer", "said_by"].map((name) => h(name === "odometer" ? "th.num" : "th", { scope: "col" }, t(name)));
  return section(t("shown"), t("shown_of", { n: report.links, shown: report.shown }),
    exit === 11 ? banner("wait", "i-question", h("p", {}, t("on_its_word"))) : null,
    h("table.table.table--fold", {}, h("thead", {}, h("tr", {}, head)), body), entries.length > ROWS ? h("div.row", {}, more) : null,
    report.withheld > 0 ? banner("note", "i-layers", h("p", {}, h("strong", {}, t("withheld", { n: report.withheld })), " ", t("withheld_why"))) : null);
}

function drawEntry(entry, isJudged) {
  const { fields, by, basis, state: its } = entry;
  const [day, time, zone] = formatOccurred(fields.occurred);
  const [kind, shape] = isJudged && Object.hasOwn(BASES, basis) ? BASES[basis] : ["neutral", null];
  const told = listTold(fields, by.name);
  return h(`tr.entry${its === "superseded" ? ".entry--old" : ""}`, {},
    h("td.entry__date", {}, data(day), time === "" ? null : h("span", {}, data([time, zone].filter(Boolean).join(" ")))),
    h("td.wide", {}, h("p.entry__what", {}, data(labelOfKind(kindOf(fields)))),
      told.length > 0 ? h("p.entry__told", {}, data(told.join(" · "))) : null, drawState(entry), drawAll(entry)),
    h("td.num", {}, drawReading(fields)),
    h("td.entry__by.wide", {}, data(cut(String(by.name))), h("div.row", {},
      h(`span.badge.badge--${kind}`, {}, shape ? icon(shape) : null, t(Object.hasOwn(BASES, basis) ? `basis_${basis}` : "basis_other")))));
}

function drawState({ superseded_by: by, contested_by: contesting, disputed, mark }) {
  const badges = [];
  if (by !== null) badges.push(h("span.badge.badge--corrected", {}, icon("i-revise"), t("corrected_by", { seq: String(by) })));
  if (mark === 1) badges.push(h("span.badge.badge--corrected", {}, icon("i-revise"), t("is_correction")));
  if (contesting.length > 0) {
    badges.push(h("span.badge.badge--contested", {}, icon("i-flag"), t("contested_by", { seq: contesting.slice(0, 5).join(", ") })));
  }
  if (disputed) badges.push(h("span.badge.badge--contested", {}, icon("i-key"), t("disputed")));
  return badges.length > 0 ? h("div.row", {}, badges) : null;
}

function drawReading(fields) {
  const pair = (unit) => [`old_odometer_${unit}`, `new_odometer_${unit}`].map((name) => look(fields, name));
  for (const unit of ["km", "mi"]) {
    const one = look(fields, `odometer_${unit}`);
    if (Number.isInteger(one)) return h("span.figure", {}, `${formatNumber(one)}\u202f${unit}`);
    if (pair(unit).some(Number.isInteger)) {
      const [old, now] = pair(unit).map((value) => (Number.isInteger(value) ? formatNumber(value) : "?"));
      return h("span.figure", {}, `${old} → ${now}\u202f${unit}`);
    }
  }
  const its = look(fields, "odometer_state");
  return typeof its === "string" && its !== "read" ? h("span.muted", {}, formatText("odometer_state", its)) : "";
}

/** The few fields that tell the story of a known kind; of an unknown one, all of them with their names. */
function listTold(fields, author) {
  const kind = kindOf(fields);
  const telling = look(TEXTS.telling, kind);
  const isTelling = (name) => !COMMON.includes(name) && !READINGS.includes(name) && look(fields, name) !== null;
  const names = telling ?? Object.keys(fields).filter(isTelling).slice(0, 6);
  const told = [];
  for (const name of names) {
    const value = look(fields, name);
    if (value === null || value === author || (Array.isArray(value) && value.length === 0)) continue;
    const text = formatValue(name, value, fields);
    const isPlain = telling !== null && !["valid_until", "next_due", "first_registration", "alias", "centre", "towed_to"].includes(name);
    told.push(cut(isPlain ? text : `${labelOf(kind, name)}${language === "fr" ? " : " : ": "}${text}`));
  }
  return told;
}

/** Everything that the proof shows of an entry; drawn when it is first opened. */
function drawAll(entry) {
  const { fields, seq, submitted_at: submitted, sealed_at: sealed, basis } = entry;
  const details = h("details", {}, h("summary", {}, icon("i-right", "icon--turn"), t("all_of_it", { seq: String(seq) })));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const kind = kindOf(fields);
    const own = Object.entries(fields).filter(([name]) => !COMMON.includes(name)).slice(0, 200);
    const blank = own.filter(([, value]) => value === null).map(([name]) => labelOf(kind, name));
    details.append(h("dl.facts", {},
      own.filter(([, value]) => value !== null).map(([name, value]) => fact(data(labelOf(kind, name)), data(formatValue(name, value, fields)))),
      fields.subject ? fact(t("about"), data(formatValue("subject", fields.subject, {}))) : null,
      blank.length > 0 ? fact(t("left_blank"), data(cut(blank.join(", ")))) : null,
      fact(t("ground"), look(TEXTS[language].bases, String(basis)) ?? String(basis)),
      fact(t("submitted"), formatMoment(submitted)), fact(t("sealed"), formatMoment(sealed)),
      fact(t("kind"), h("span.mono", {}, data(cut(kind))))));
  });
  return details;
}
