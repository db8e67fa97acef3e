// Building the document: elements and text nodes only, so that nothing in a file can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `facts` are attributes; a function is a listener; null and false leave one out. */
function h(tag, facts = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(facts)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== ""));
  return element;
}

/** Words that came from a file: their direction stays their own. */
const data = (text) => h("bdi", {}, text);

function icon(name, kind = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${kind}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

function stamp() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "stamp");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", "#i-rose");
  const check = document.createElementNS(SVG, "path");
  check.setAttribute("class", "stamp__check");
  check.setAttribute("d", "M41.5 50.5l6 6 11.5-13");
  svg.append(use, check);
  return svg;
}

const fact = (term, ...value) => h("div", {}, h("dt", {}, term), h("dd", {}, ...value));
const section = (title, aside, ...children) => h("section.section", {},
  h("div.section__head", {}, h("h2", {}, title), aside ? h("span.small.muted", {}, aside) : null), ...children);
const fold = (title, ...children) =>
  h("details.fold", {}, h("summary", {}, icon("i-right", "icon--turn"), title), ...children);
const banner = (kind, shape, ...children) =>
  h(`div.banner.banner--${kind}`, {}, icon(shape), h("div.stack--s", {}, ...children));
