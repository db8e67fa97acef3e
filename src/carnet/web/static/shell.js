// What a page gains from script, and loses nothing without: it opens from a phone's home screen, menus close on Escape, forms are sent once, and it prints.

if ("serviceWorker" in navigator) {
  const policy = globalThis.trustedTypes?.createPolicy("carnet-shell", { createScriptURL: (address) => address });
  navigator.serviceWorker.register(policy?.createScriptURL("/worker.js") ?? "/worker.js").catch(() => {});
}

const menus = () => document.querySelectorAll("details.menu[open]");

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

// A file that the server would refuse with all that was typed beside it is told before it is sent.
for (const input of document.querySelectorAll("input[type=file][data-most]")) {
  input.addEventListener("change", () => {
    const isLarge = [...input.files].some((file) => file.size > Number(input.dataset.most));
    input.setCustomValidity(isLarge ? input.dataset.large : "");
    input.reportValidity();
  });
}

// A form that is on its way is not sent again by a second click on the same button. What gives a file stays on its page, and may be asked for again.
const REST_MS = 4000;
const sent = new Map();

addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  const before = sent.get(form);
  if (before?.submitter === submitter && performance.now() - before.at < REST_MS) event.preventDefault();
  else sent.set(form, { submitter, at: performance.now() });
});

addEventListener("pageshow", ({ persisted }) => {
  if (persisted) sent.clear();
});

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
