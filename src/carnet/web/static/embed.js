// The passport in a frame. Its holder opens it in a window of ours beside the frame, which hands over a token: to our own origin alone, so
// that the page around the frame never has it. The token is kept in this tab, and goes out in the body of a form.

const place = `carnet-view ${location.pathname}`;
const kept = (act) => {
  try {
    return act(sessionStorage);
  } catch {
    return null; // A browser may keep nothing for a frame: then it is opened anew each time.
  }
};

const opener = document.querySelector("[data-opens]");
const form = document.querySelector("form[data-view]");

function show(token) {
  kept((store) => store.setItem(place, token));
  form.elements.view.value = token;
  form.submit();
}

if (opener) {
  let beside = null;
  opener.hidden = false;
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    beside = open(opener.href, "", "popup,width=460,height=720");
    document.querySelector("[data-waits]").hidden = false;
  });
  addEventListener("message", ({ origin, source, data }) => {
    if (origin === location.origin && source === beside && typeof data?.view === "string") show(data.view);
  });
  if ("ended" in opener.dataset) kept((store) => store.removeItem(place));
  else {
    const token = kept((store) => store.getItem(place));
    if (token) show(token);
  }
}
