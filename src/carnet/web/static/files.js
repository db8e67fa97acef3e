// What the pages of files gain from script, and lose nothing without: a file that is dropped is sent in parts, and goes on after a lost
// connection; a page of a file at work shows how far it is, and becomes the next one by itself.

const PART = 1024 * 1024;
const TRIES = 8;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function ask(form, method, path, { body, json, headers = {} } = {}) {
  const answer = await fetch(path, {
    method,
    headers: {
      Accept: "application/json",
      "X-Form-Token": form.elements.form_token.value,
      ...(json && { "Content-Type": "application/json" }),
      ...headers,
    },
    body: json ? JSON.stringify(json) : body,
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  throw Object.assign(new Error(told.detail ?? String(answer.status)), { status: answer.status, code: told.code });
}

async function sendPart(form, job, file) {
  const body = file.slice(job.received, job.received + PART);
  const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(job.received) };
  return ask(form, "PATCH", job.content, { body, headers });
}

async function send(form, file, show) {
  let job = form.dataset.job
    ? await ask(form, "GET", `/v1/files/${form.dataset.job}`)
    : await ask(form, "POST", "/v1/files", { json: { name: file.name.slice(-200), format: "guess", size: file.size, review: true } });
  for (let tried = 0; job.state === "uploading"; ) {
    try {
      job = await sendPart(form, job, file);
      tried = 0;
      show(job.received / job.size);
    } catch (error) {
      // What was answered is kept: ask how far it is, and go on from there.
      if (error.status && error.status < 500 && error.code !== "upload_offset") throw error;
      if (++tried > TRIES) throw error;
      show(null);
      await pause(Math.min(500 * 2 ** tried, 8000));
      job = await ask(form, "GET", `/v1/files/${job.id}`).catch(() => job);
    }
  }
  return job;
}

function take(form) {
  const zone = form.querySelector(".drop");
  const input = form.elements.file;
  const sending = form.querySelector("[data-sending]");
  const bar = sending.querySelector("progress");
  const said = sending.querySelector("[role=status]");
  const words = said.textContent;
  const show = (share) => {
    if (share === null) said.textContent = form.dataset.failed;
    else {
      bar.value = share;
      said.textContent = words;
    }
  };
  const start = async (file) => {
    if (!file || form.dataset.busy) return;
    sending.hidden = false;
    if (file.size === 0) {
      said.textContent = form.dataset.empty;
      return;
    }
    form.dataset.busy = "1";
    zone.hidden = true;
    try {
      const job = await send(form, file, show);
      location.assign(`/console/files/${job.id}`);
    } catch (error) {
      delete form.dataset.busy;
      zone.hidden = false;
      const told = error.code === "request_too_large" ? form.dataset.large : error.message;
      said.textContent = error.status ? told : form.dataset.failed;
    }
  };
  form.dataset.ready = "1";
  input.addEventListener("change", () => start(input.files[0]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start(input.files[0]);
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("drop--over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("drop--over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("drop--over");
    start(event.dataTransfer.files[0]);
  });
}

async function follow(page) {
  const bar = page.querySelector("progress");
  const { lang } = document.documentElement;
  const [format, rules] = [new Intl.NumberFormat(lang), new Intl.PluralRules(lang)];
  for (let wait = 150; ; wait = Math.min(wait * 1.3, 1000)) {
    await pause(wait);
    const answer = await fetch(`/v1/files/${page.dataset.poll}`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok) continue;
    const job = await answer.json();
    if (!["queued", "running"].includes(job.state)) break;
    bar.max = Math.max(job.size, job.counts.bytes_read);
    bar.value = job.counts.bytes_read;
    for (const place of page.querySelectorAll("[data-count]")) {
      const count = job.counts[place.dataset.count];
      place.textContent = format.format(count);
      const word = place.parentElement.querySelector("[data-one]");
      if (word) word.textContent = rules.select(count) === "one" ? word.dataset.one : word.dataset.many;
    }
  }
  location.reload();
}

async function signAll(form) {
  // The key is a matter of its own module; the page names the one that it has.
  const keys = await import(form.dataset.module);
  const kept = await keys.listKeys().catch(() => []);
  const isKept = kept.some((one) => one.digest === form.dataset.key);
  form.querySelector("[data-absent]").hidden = isKept;
  const button = form.querySelector("button");
  button.disabled = !isKept;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    form.elements.signatures.value = (await keys.signAll(form.dataset.key, form.dataset.signAll.split(" "))).join(" ");
    form.submit();
  });
}

for (const form of document.querySelectorAll("form[data-drop]")) take(form);
for (const form of document.querySelectorAll("form[data-sign-all]")) signAll(form);
for (const page of document.querySelectorAll("[data-poll]")) follow(page);
