// The page as a whole: where files come in, whom the reader trusts, what the reader asks, and the answer.

const app = document.getElementById("app");
const open = { trust: false, ask: false };

function draw() {
  document.documentElement.lang = language;
  document.title = `${t("title")} – Carnet`;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  const switcher = document.getElementById("language");
  const other = language === "fr" ? "en" : "fr";
  switcher.textContent = other.toUpperCase();
  switcher.lang = other;
  switcher.setAttribute("aria-label", { en: "English", fr: "Français" }[other]);
  document.getElementById("theme").setAttribute("aria-label", t("theme"));
  const proof = state.proofs.find(({ id }) => id === state.current) ?? null;
  const focused = document.activeElement?.id;
  const isDone = proof !== null && (proof.answer || proof.fault) && !state.isBusy;
  const [start, end] = [document.activeElement?.selectionStart, document.activeElement?.selectionEnd];
  app.replaceChildren(h("div.stack", {}, drawDrop(proof !== null), drawMessage(), drawProofs(), drawSettings()),
    h("div.stack--l", { id: "answer", "aria-live": "polite", "aria-busy": String(state.isBusy) },
      state.isBusy ? h("p.small.muted", { role: "status" }, t("checking")) : null, isDone ? drawAnswer(proof) : null),
    ...(proof === null ? [drawHow()] : []));
  // Everything was drawn anew: whoever was typing or tabbing stays where they were.
  const again = focused && document.getElementById(focused);
  if (again && again !== document.activeElement) {
    again.focus({ preventScroll: true });
    if (Number.isInteger(start) && again.setSelectionRange) again.setSelectionRange(start, end);
  }
}

function drawDrop(isSmall) {
  const input = h("input", { type: "file", id: "files", multiple: true, change: () => take(input.files) });
  return h(`div.drop${isSmall ? ".drop--small" : ""}`, {}, icon("i-proof"), h("p", {}, t(isSmall ? "drop_more" : "drop")),
    h(`label.button${isSmall ? ".button--quiet.button--s" : ""}`, {}, t("choose"), input),
    h("p.tiny.muted", {}, t("drop_what")));
}

const drawMessage = () => (state.message === null ? null
  : h("div", { role: "status" }, banner(state.message.kind, state.message.kind === "alert" ? "i-altered" : "i-key", h("p", {}, state.message.text))));

function drawProofs() {
  if (state.proofs.length < 2) return null;
  return h("fieldset", {}, h("legend.sr", {}, t("proofs")), h("div.pills", {}, state.proofs.map(({ id, name }) =>
    h("label.pill", {}, h("input", { type: "radio", name: "proof", id: `proof-${id}`, checked: id === state.current,
      change: () => { state.current = id; run(); } }), h("span", {}, data(cut(name)))))));
}

function drawSetting(name, title, said, ...children) {
  const details = h("details", { id: name, open: open[name] }, h("summary", {}, icon("i-right", "icon--turn"), h("b", {}, title),
    h("span", {}, said)), ...children);
  details.addEventListener("toggle", () => { open[name] = details.open; });
  return details;
}

function drawSettings() {
  const inUse = state.policies.filter(({ isOn }) => isOn).map(({ logs }) => logs[0].name.split("/")[0]);
  const { vehicle, complete, days, since } = state.question;
  const count = [vehicle.trim() !== "", complete, days !== "", since !== ""].filter(Boolean).length;
  return h("div.settings", {},
    drawSetting("trust", t("trust"), inUse.length > 0 ? data(cut(inUse.join(", "))) : t("trust_nobody"), drawTrust()),
    drawSetting("ask", t("ask"), count > 0 ? t("ask_count", { n: count }) : t("ask_nothing"), drawAsk()));
}

function openSetting(name, focus) {
  open[name] = true;
  document.getElementById(name).open = true;
  document.getElementById(focus).focus();
}

function drawTrust() {
  const paste = h("textarea.input.mono", { id: "paste", rows: "4", spellcheck: "false", autocapitalize: "off", "aria-describedby": "paste-help",
    placeholder: "log example.org/…+…+…\nquorum none" });
  const wrong = h("p.field__error", { role: "alert", id: "paste-error", hidden: true });
  const add = () => {
    try {
      addPolicy(makePolicy(`${paste.value.trim()}\n`, "given"));
      state.message = null;
      run();
    } catch (error) {
      wrong.textContent = t("policy_wrong", { why: cut(error.message) });
      wrong.hidden = false;
      paste.setAttribute("aria-invalid", "true");
      paste.setAttribute("aria-describedby", "paste-error");
      paste.focus();
    }
  };
  return h("div.settings__in.stack", {}, h("p.small.muted", {}, t("trust_why")),
    state.policies.length > 0 ? h("ul.trusts", {}, state.policies.map(drawPolicy)) : null,
    h("div.field", {}, h("label", { for: "paste" }, t("paste")), h("p.field__help", { id: "paste-help" }, t("paste_help")), paste, wrong),
    h("button.button.button--quiet.button--s", { type: "button", id: "add", click: add }, t("add_policy")));
}

function drawPolicy(policy, at) {
  const [{ name, key }] = policy.logs;
  const change = () => {
    policy.isOn = !policy.isOn;
    if (policy.isOn) for (const other of state.policies) if (isRival(other, policy)) other.isOn = false;
    run();
  };
  const keep = () => {
    policy.source = "kept";
    const isKept = keepPolicies();
    if (!isKept) policy.source = "given";
    state.message = { kind: isKept ? "note" : "wait", text: t(isKept ? "kept" : "cannot_keep") };
    draw();
  };
  const forget = () => { state.policies = state.policies.filter((other) => other !== policy); keepPolicies(); run(); };
  return h("li", {}, h("label.check", {}, h("input", { type: "checkbox", id: `policy-${at}`, checked: policy.isOn, change }),
    h("span", {}, h("strong", {}, data(cut(name.split("/")[0]))), h("p", {}, t(`source_${policy.source}`)),
      h("p.mono.tiny.muted", {}, data(cut(key))),
      policy.witnesses > 0 ? h("p", {}, t("witnesses", { n: policy.witnesses })) : null)),
    policy.source === "page" ? null : h("div.row", {},
      policy.source === "given" ? h("button.button.button--quiet.button--s", { type: "button", id: `keep-${at}`, click: keep }, t("keep")) : null,
      h("button.button.button--quiet.button--s", { type: "button", id: `forget-${at}`, click: forget }, t("forget"))));
}

let waiting = 0;
function drawAsk() {
  const { question } = state;
  const later = (name) => ({ target }) => {
    question[name] = target.value;
    clearTimeout(waiting);
    waiting = setTimeout(run, 350);
  };
  const others = state.proofs.filter(({ id }) => id !== state.current);
  const since = h("select.input", { id: "since", change: ({ target }) => { question.since = target.value; run(); } },
    h("option", { value: "" }, t("since_none")),
    others.map(({ id, name }) => h("option", { value: String(id), selected: String(id) === question.since }, cut(name))));
  return h("div.settings__in.settings__in--two", {},
    h("div.field", {}, h("label", { for: "vehicle" }, t("ask_vehicle")), h("input.input", { id: "vehicle", type: "text", value: question.vehicle,
      maxlength: "200", autocomplete: "off", spellcheck: "false", "aria-describedby": "vehicle-help", input: later("vehicle") }),
    h("p.field__help", { id: "vehicle-help" }, t("ask_vehicle_help"))),
    h("div.field", {}, h("label", { for: "days" }, t("ask_age")), h("div.affix", {}, h("input.input", { id: "days", type: "text", inputmode: "numeric",
      pattern: "[0-9]{1,5}", maxlength: "5", value: question.days, autocomplete: "off", input: later("days") }), h("span", {}, t("days"))),
    h("p.field__help", {}, t("ask_age_help"))),
    h("label.check", {}, h("input", { type: "checkbox", id: "complete", checked: question.complete,
      change: ({ target }) => { question.complete = target.checked; run(); } }),
    h("span", {}, h("strong", {}, t("ask_complete")), h("p.field__help", {}, t("ask_complete_help")))),
    h("div.field", {}, h("label", { for: "since" }, t("ask_since")), since, h("p.field__help", {}, t("ask_since_help"))));
}

const drawHow = () => section(t("how"), null, h("ol.steps", {}, [1, 2, 3].map((step) =>
  h("li", {}, h("b", {}, t(`how_${step}`)), t(`how_${step}_more`)))));

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  memory.set("theme", name);
}

function start() {
  const theme = memory.get("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.getElementById("tools").hidden = false;
  app.hidden = false;
  document.getElementById("language").addEventListener("click", () => {
    language = language === "fr" ? "en" : "fr";
    memory.set("language", language);
    // Who came with a language in the address has chosen another one now.
    if (isLanguage(location.hash.slice(1))) history.replaceState(null, "", `#${language}`);
    state.message = null;
    draw();
  });
  document.getElementById("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    setTheme(now === "dark" ? "light" : "dark");
  });
  const over = (isOver) => document.body.classList.toggle("is-over", isOver);
  document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  document.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) over(false); });
  document.addEventListener("drop", (event) => { event.preventDefault(); over(false); take(event.dataTransfer.files); });
  loadPolicies();
  draw();
}

start();
