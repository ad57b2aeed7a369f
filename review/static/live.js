// Live updates: server-sent events say what changed; the parts of a page that show it (those with
// hx-trigger="live-... from:body") fetch themselves again, at most every two seconds, and never under a
// person's hands: while somebody is at a form, they wait.
//
// A browser keeps only six connections to a host, and one that waits for news is one of them. So of all
// open pages one listens (it holds a lock) and tells the others; when it closes, another one does.
"use strict";

(() => {
  const PAUSE_MS = 2000;
  const sign = document.querySelector("[data-live-sign]");
  const others = new BroadcastChannel("restar-live");
  const waiting = new Set();
  let timer = 0;
  let connected = null; // known to the page that listens

  function tell() {
    timer = 0;
    const busy = document.activeElement?.closest("[data-quiet]");
    if (busy || document.hidden) {
      timer = setTimeout(tell, PAUSE_MS);
      return;
    }
    for (const name of waiting) document.body.dispatchEvent(new Event(name));
    waiting.clear();
    timer = setTimeout(() => {
      timer = 0;
      if (waiting.size) tell();
    }, PAUSE_MS);
  }

  function note(name) {
    waiting.add(name);
    if (!timer) timer = setTimeout(tell, 150);
  }

  function hear({ on, films = [], queue = false }) {
    sign?.classList.toggle("on", on);
    if (!films.length && !queue) return;
    if (queue) note("live-queue");
    note("live-films");
    for (const film of films) note(`live-film-${film}`);
    sign?.classList.add("beat");
    setTimeout(() => sign?.classList.remove("beat"), 600);
  }

  function say(news) {
    connected = news.on;
    others.postMessage(news);
    hear(news);
  }

  others.onmessage = ({ data }) => {
    if (!data.ask) hear(data);
    else if (connected !== null) others.postMessage({ on: connected });
  };
  others.postMessage({ ask: true });

  navigator.locks.request("restar-live", () => new Promise(() => {
    const stream = new EventSource("/live");
    stream.onopen = () => say({ on: true });
    stream.onerror = () => say({ on: false });
    stream.addEventListener("changed", ({ data }) => say({ on: true, ...JSON.parse(data) }));
  }));
})();
