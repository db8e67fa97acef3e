// Hands the token of a view to the frame that opened this window: only if that frame is of our own origin.

const banner = document.querySelector("[data-token]");
if (opener && !opener.closed) {
  opener.postMessage({ view: banner.dataset.token }, location.origin);
  setTimeout(() => close(), 400);
} else banner.hidden = false;
banner.removeAttribute("data-token");
