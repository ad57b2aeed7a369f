// Live updates: one stream of server-sent events for the page. A message says what changed; the parts
// of the page that show it (hx-trigger="live-... from:body") fetch themselves again, at most every
// two seconds, and never under a person's hands: while somebody types there, they wait.
"use strict";

(() => {
  const PAUSE_MS = 2000;
  const sign = document.querySelector("[data-live-sign]");
  const waiting = new Set();
  let timer = 0;

  function tell() {
    timer = 0;
    const busy = document.activeElement?.closest("[data-quiet]");
    if (busy || document.hidden) {
      timer = setTimeout(tell, PAUSE_MS);
      return;
    }
    for (const name of waiting) document.body.dispatchEvent(new Event(name));
    waiting.clear();
  }

  function note(name) {
    waiting.add(name);
    if (!timer) timer = setTimeout(tell, 150);
  }

  const stream = new EventSource("/live");
  stream.onopen = () => sign?.classList.add("on");
  stream.onerror = () => sign?.classList.remove("on");
  stream.addEventListener("changed", (event) => {
    const { films = [], queue = false } = JSON.parse(event.data);
    if (queue) note("live-queue");
    if (films.length || queue) note("live-films");
    for (const film of films) note(`live-film-${film}`);
    sign?.classList.add("beat");
    setTimeout(() => sign?.classList.remove("beat"), 600);
  });
  window.addEventListener("pagehide", () => stream.close());
})();
