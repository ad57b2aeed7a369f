// What stands around the player and goes with it: drawings along the film, cards of scenes, the story of a
// frame, and the proxies that are being made while somebody already looks.

const STORY_MS = 400; // a frame rests so long before its story is asked for
const ASK_MS = 1200;

/** Let the page follow the player's frame, and clicks on its drawings move the player. */
export function followPage(player) {
  let asked = null;

  document.addEventListener("click", (event) => {
    const svg = event.target.closest("[data-timeline] svg");
    if (!svg || event.ctrlKey || event.metaKey) return;
    const box = svg.getBoundingClientRect();
    const whole = svg.viewBox.baseVal.width;
    const part = (((event.clientX - box.left) / box.width) * whole) / 1000;
    if (part > 1) return;
    event.preventDefault();
    player.jump(player.start + Math.floor(part * (player.end - player.start)) - player.wanted);
  });

  document.addEventListener("htmx:afterSwap", () => {
    player.name();
    player.tell();
  });

  document.addEventListener("frame", ({ detail: frame }) => {
    const x = (1000 * (frame - player.start + 0.5)) / (player.end - player.start);
    for (const head of document.querySelectorAll("[data-timeline] .head")) {
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
    }
    const scene = player.told.scenes?.find(([start, end]) => start <= frame && frame < end);
    if (scene) {
      for (const card of document.querySelectorAll(".card.now")) card.classList.remove("now");
      document.getElementById(`scene-${scene[2]}`)?.classList.add("now");
    }
    const field = document.querySelector("[data-story] [name=frame]");
    if (field && !player.playing && document.activeElement !== field) {
      field.value = frame;
      clearTimeout(asked);
      asked = setTimeout(() => document.body.dispatchEvent(new Event("story")), STORY_MS);
    }
    const split = document.querySelector("[data-split-at]");
    if (split && document.activeElement !== split) split.value = frame;
  });
}

/** Ask for the proxies that are missing, and take each as soon as it is there. */
export function followProxies(player) {
  const form = document.querySelector("[data-proxies]");
  if (!form) return;

  async function ask() {
    form.querySelector("button").disabled = true;
    await fetch(form.action, { method: "POST" });
    follow();
  }

  async function follow() {
    const answer = await fetch(player.told.state);
    const { sides, waiting, failed } = await answer.json();
    for (const [id, sha256] of Object.entries(sides)) player.side(id)?.use(sha256);
    const left = player.sides.filter((side) => !side.plays).length;
    form.hidden = left === 0;
    if (left === 0) {
      player.seek(player.frame);
      return;
    }
    form.querySelector("span").textContent = waiting
      ? `Proxies are being made: ${waiting} to go. Until then sides step frame by frame.`
      : failed[0] ?? `${left} sides are shown in stills.`;
    form.querySelector("button").disabled = waiting > 0;
    if (waiting) setTimeout(follow, ASK_MS);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  ask();
}
