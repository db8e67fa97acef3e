// Words, numbers and dates in the reader's language. Data is always text, never markup.

const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const LOCALES = { en: "en-GB", fr: "fr-FR" };
const LONGEST = 600;

/** A store that may be missing: a browser may refuse it to a page that came from a file. */
const memory = {
  get(name) { try { return localStorage.getItem(`carnet.${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`carnet.${name}`, value); return true; } catch { return false; } },
};

const isLanguage = (name) => Object.hasOwn(LOCALES, name);
const guessed = (navigator.languages ?? ["en"]).map((tag) => tag.slice(0, 2)).find(isLanguage) ?? "en";
let language = [location.hash.slice(1), memory.get("language")].find(isLanguage) ?? guessed;

const look = (table, name) => (Object.hasOwn(table, name) ? table[name] : null);

/** The text of this name, its {places} filled. A text with a | is "one|many", chosen by {n}. */
function t(name, facts = {}) {
  const text = look(TEXTS[language].page, name) ?? name;
  const forms = text.split("|");
  const isMany = forms.length > 1 && new Intl.PluralRules(LOCALES[language]).select(facts.n) !== "one";
  return forms[isMany ? 1 : 0].replace(/\{(\w+)\}/g, (_, key) =>
    (typeof facts[key] === "number" ? formatNumber(facts[key]) : facts[key]));
}

const sentenceOf = (code) => look(TEXTS[language].codes, code) ?? code;
const formatNumber = (n, options = {}) => new Intl.NumberFormat(LOCALES[language], options).format(n);
/** In French the first of a month is "1er", which the tables of locales do not know. */
const formatDate = (ms, options) => {
  const text = new Intl.DateTimeFormat(LOCALES[language], options).format(ms);
  return language === "fr" ? text.replace(/^1(?=\s\D)/, "1er") : text;
};
const DAY = { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };

/** A moment of the machine, in the reader's own zone. Authors may sign any time up to 2^53-1; a date ends before that. */
const formatMoment = (ms) => formatDate(Math.min(ms, 8_640_000_000_000_000), { dateStyle: "long", timeStyle: "short" });

function formatAge(ms) {
  const words = new Intl.RelativeTimeFormat(LOCALES[language], { numeric: "auto" });
  const units = [["year", 31_557_600_000], ["month", 2_629_800_000], ["day", 86_400_000], ["hour", 3_600_000]];
  const [unit, size] = units.find(([, size]) => Math.abs(ms) >= size * 1.5) ?? ["minute", 60_000];
  return words.format(-Math.round(ms / size), unit);
}

/** A day as it was written (`YYYY`, `YYYY-MM`, `YYYY-MM-DD`); null if it is none. */
function formatDay(text) {
  const [, year, month, day] = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$/.exec(text) ?? [];
  if (year === undefined) return null;
  if (month === undefined) return year;
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day ?? 1));
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 7) !== `${year}-${month}`) return null;
  return formatDate(ms, day === undefined ? { month: "short", year: "numeric", timeZone: "UTC" } : DAY);
}

/** When it happened, as far as the source tells: [day, time or "", zone or ""]. */
function formatOccurred(occurred) {
  const { at, precision, zone } = occurred ?? {};
  if (typeof at !== "string" || precision === "unknown") return [t("unknown_date"), "", ""];
  const [day, time = ""] = at.split("T", 2);
  return [formatDay(day) ?? cut(day), cut(time.slice(0, 5)), typeof zone === "string" ? cut(zone) : ""];
}

const cut = (text) => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}… (${t("characters", { n: text.length })})`);
const spaced = (name) => name.replaceAll("_", " ");
const group = (hex) => hex.replace(/(.{4})(?=.)/g, "$1 ");

// What a unit at the end of a field's name means: how to divide, and what to write behind.
const UNITS = new Map(Object.entries({
  km: [1, "km"], mi: [1, "mi"], kg: [1, "kg"], w: [1000, "kW"], wh: [1000, "kWh"], mm3: [1000, "cm³"], mv: [1000, "V"],
  c: [1, "°C"], ppm: [1, "ppm"], ml: [1000, "l"], permille: [10, "%"], mah: [1, "mAh"], pa: [100, "hPa"], rpm: [1, "tr/min"],
  minutes: [1, "min"], s: [1, "s"], m: [1000, "km"], hundredths: [100, ""], g_per_km: [1, "g/km"], km_h: [1, "km/h"],
}));
const unitOf = (name) => ["g_per_km", "km_h"].find((unit) => name.endsWith(`_${unit}`)) ?? name.split("_").at(-1);

function formatInteger(name, value, fields) {
  const unit = unitOf(name);
  if (unit === "cents") {
    const currency = look(fields, "currency");
    if (/^[A-Z]{3}$/.test(currency ?? "")) return formatNumber(value / 100, { style: "currency", currency });
    return formatNumber(value / 100, { minimumFractionDigits: 2 });
  }
  const known = name.includes("_") ? UNITS.get(unit) : undefined;
  if (known) return `${formatNumber(value / known[0], { maximumFractionDigits: 3 })}\u202f${known[1]}`.trim();
  return name.endsWith("year") ? String(value) : formatNumber(value);
}

/** One value as a person reads it. `fields` are those beside it. */
function formatValue(name, value, fields, depth = 0) {
  if (value === null) return t("not_told");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "number") return formatInteger(name, value, fields);
  if (typeof value === "string") return formatText(name, value);
  if (depth > 3) return "…";
  if (Array.isArray(value)) {
    const items = value.slice(0, 30).map((item) => formatItem(name, item, depth + 1));
    return cut(items.join(language === "fr" ? " ; " : "; ")) + (value.length > 30 ? ` … (${formatNumber(value.length)})` : "") || t("none");
  }
  const { scheme, country, value: inner } = value;
  if (typeof scheme === "string" && typeof inner === "string") return formatSubject({ scheme, country, value: inner });
  const parts = Object.entries(value).filter(([, part]) => part !== null).slice(0, 30);
  return cut(parts.map(([key, part]) => `${labelOf("", key)} ${formatValue(key, part, value, depth + 1)}`).join(", "));
}

/** One of a list: a defect, a part, a piece of work: what it is called, and how grave or how many. */
function formatItem(name, item, depth) {
  if (typeof item !== "object" || item === null || Array.isArray(item)) return formatValue(name, item, {}, depth);
  const key = ["text", "label", "part", "name", "code"].find((key) => typeof look(item, key) === "string" && item[key] !== "");
  if (key === undefined) return formatValue(name, item, {}, depth);
  // How grave, or in what state, before what it is: a part that is good must not read as one to be mended.
  const first = ["severity", "state"].find((name) => typeof look(item, name) === "string");
  const lead = first === undefined ? "" : `${formatText(first, item[first])} : `;
  const part = key === "text" && typeof look(item, "part") === "string" ? `${formatText("part", item.part)}, ` : "";
  const many = Number.isInteger(item.quantity) && item.quantity > 1 ? ` ×${formatNumber(item.quantity)}` : "";
  return `${language === "fr" ? lead : lead.replace(" : ", ": ")}${part}${formatText(key, item[key])}${many}`;
}

function formatText(name, value) {
  const { words, listed } = TEXTS[language];
  const meaning = look(words, `${name}:${value}`);
  if (meaning !== null) return `${meaning} (${cut(value)})`;
  if (/^\d{4}-\d\d-\d\d$/.test(value)) return formatDay(value) ?? value;
  return listed.includes(name) ? look(words, value) ?? spaced(cut(value)) : cut(value);
}

function formatSubject({ scheme, country, value }) {
  const name = look(TEXTS[language].schemes, scheme) ?? scheme;
  return [cut(name), typeof country === "string" ? cut(country) : "", cut(value)].filter((part) => part !== "").join(" ");
}

const kindOf = (fields) => (typeof fields.kind === "string" ? fields.kind : "");
const labelOfKind = (kind) => look(TEXTS[language].kinds, kind) ?? cut(kind);
const labelOf = (kind, name) =>
  look(TEXTS[language].fields, `${kind}:${name}`) ?? look(TEXTS[language].fields, name) ?? spaced(name);
