// The keyboard of the player. Keys are left alone while somebody types, and where a browser or a form
// needs them (with ctrl or meta, on a focused button or list).

const TYPES = "input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select";

export function keysOf(player) {
  const click = (selector) => document.querySelector(selector)?.click();
  const shown = (part) => `[data-take="${player.b.id}"] ${part}`;
  const keys = {
    " ": () => player.do("play"),
    "ArrowLeft": (event) => player.jump(event.shiftKey ? -10 : -1),
    "ArrowRight": (event) => player.jump(event.shiftKey ? 10 : 1),
    "Home": () => player.jump(player.start - player.wanted),
    "End": () => player.jump(player.end - 1 - player.wanted),
    "s": () => player.turn("split"),
    "f": () => player.turn("flicker"),
    "d": () => player.turn("difference"),
    "1": () => player.turn("left"),
    "2": () => player.turn("right"),
    "[": () => player.do("mark-in"),
    "]": () => player.do("mark-out"),
    "\\": () => player.mark(player.start, player.end - 1),
    "r": () => player.do("loop"),
    ",": () => player.slow(-1),
    ".": () => player.slow(1),
    "<": () => player.view.at(player.view.split - 5),
    ">": () => player.view.at(player.view.split + 5),
    "x": () => player.swap(),
    "q": () => player.next("a"),
    "e": () => player.next("b"),
    "l": () => player.do("loupe"),
    "+": () => player.do("in"),
    "=": () => player.do("in"),
    "-": () => player.do("out"),
    "0": () => player.view.scale(1),
    "p": () => player.root.classList.toggle("pixels"),
    "o": () => player.overlay.next(),
    "w": () => player.do("full"),
    "?": () => player.do("help"),
    "a": () => click(shown("[data-decide=accept]")),
    "j": () => {
      const field = document.querySelector(shown("[name=reason]"));
      field?.focus();
      if (field) field.placeholder = "Why is it rejected? Then press Reject";
    },
    "u": () => {
      const redo = document.querySelector("[data-redo]");
      if (redo) redo.open = true;
      redo?.querySelector("input")?.focus();
    },
    "n": () => click('[data-key="n"]'),
    "b": () => click('[data-key="b"]'),
  };
  const pans = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || target.closest?.(TYPES)) return;
    if (player.$help.open && key !== "?") return;
    if (event.altKey && pans[key]) {
      const [x, y] = pans[key];
      player.view.move(player.view.pan[0] + x, player.view.pan[1] + y);
      event.preventDefault();
      return;
    }
    if (event.altKey) return;
    const onControl = target.closest?.("button, a, summary, input");
    if (onControl && (key === " " || key === "Enter")) return; // it presses what has the focus
    if (target.matches?.("input[type=range]") && key.startsWith("Arrow")) return; // it moves itself
    const act = keys[key] ?? keys[key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act(event);
  });
}
