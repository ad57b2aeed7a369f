// The compare player: two sides of a scene on two canvases that always show the same frame. A frame is
// drawn when both sides have it, in one go; while one is missing, the clock waits. Everything has a key.
import { Side } from "./frames.js";
import { Overlay } from "./overlay.js";
import { followPage, followProxies } from "./around.js";
import { keysOf } from "./keys.js";
import { View } from "./view.js";

const SETTLE_MS = 220; // after that long at rest the frame's own pixels are shown
const AHEAD = 16;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const FLICKER_MS = 500;

class Player {
  constructor(root) {
    this.root = root;
    this.told = JSON.parse(root.dataset.player);
    const { start, end, at, sides, times, rate } = this.told;
    Object.assign(this, { start, end, frame: at, wanted: at, from: start, to: end - 1 });
    this.times = times ?? null;
    this.rate = rate;
    this.sides = sides.map((side) => new Side(side, start));
    this.a = this.side(this.told.a) ?? this.sides[0];
    this.b = this.side(this.told.b) ?? this.sides.at(-1);
    this.mode = "split";
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    this.gain = 2;
    for (const name of ["scrub", "frame", "exact", "note", "help"]) {
      this[`$${name}`] = root.querySelector(`[data-${name}]`);
    }
    this.canvas = {};
    this.ink = {};
    for (const canvas of root.querySelectorAll("[data-canvas]")) {
      this.canvas[canvas.dataset.canvas] = canvas;
      this.ink[canvas.dataset.canvas] = canvas.getContext("2d");
    }
    this.overlay = new Overlay(this);
    this.view = new View(root, this.canvas);
    this.view.stage.style.setProperty("--aspect", this.told.aspect);
    this.name();
    this.listen();
    keysOf(this);
    followPage(this);
    this.turn("split");
    this.seek(at);
    if (this.told.state) followProxies(this);
  }

  side(id) {
    return this.sides.find((side) => side.id === id);
  }

  // ---- showing -----------------------------------------------------------------------------------

  /** Show a frame as soon as both sides have it; of several that are asked for, the last. */
  seek(frame) {
    this.wanted = Math.min(Math.max(Math.round(frame), this.start), this.end - 1);
    this.$scrub.value = this.wanted;
    this.$frame.textContent = this.wanted;
    this.tell();
    if (!this.pumping) this.pumping = this.pump().finally(() => (this.pumping = null));
    return this.pumping;
  }

  async pump() {
    let shown = null;
    while (shown !== this.key(this.wanted)) {
      const frame = this.wanted;
      const key = this.key(frame);
      const [a, b] = [this.a, this.b];
      try {
        const [left, right] = await Promise.all([a.get(frame), b.get(frame)]);
        if (a === this.a && b === this.b) this.draw(frame, left, right);
        this.note("");
      } catch (error) {
        this.note(error.message);
      }
      shown = key;
    }
    if (!this.playing) this.settle();
  }

  key(frame) {
    return `${frame} ${this.a.id} ${this.b.id}`;
  }

  /** Both sides in one go: nothing is shown of one without the other. */
  draw(frame, left, right, exact = false) {
    this.frame = frame;
    for (const [name, picture] of [["a", left], ["b", right]]) {
      const canvas = this.canvas[name];
      const ink = this.ink[name];
      if (picture && (canvas.width !== picture.width || canvas.height !== picture.height)) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      if (picture) ink.drawImage(picture, 0, 0);
      else ink.clearRect(0, 0, canvas.width, canvas.height);
      canvas.dataset.frame = frame;
    }
    const still = (side, picture) => exact || !picture || !side.plays;
    this.$exact.hidden = !(still(this.a, left) && still(this.b, right));
    if (this.mode === "difference") this.subtract();
    this.view.magnify();
    this.overlay.at(frame);
  }

  /** At rest: the pixels of the files themselves take the place of the proxies'. */
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(async () => {
      const frame = this.frame;
      const key = this.key(frame);
      try {
        const [left, right] = await Promise.all([this.a.still(frame), this.b.still(frame)]);
        if (this.playing || key !== this.key(this.wanted)) return;
        this.draw(frame, left, right, true);
      } catch (error) {
        this.note(error.message);
      }
      if (!this.playing) this.overlay.ask(frame);
    }, SETTLE_MS);
  }

  subtract() {
    const { diff, a, b } = this.canvas;
    const ink = this.ink.diff;
    diff.width = Math.max(a.width, b.width);
    diff.height = Math.max(a.height, b.height);
    ink.drawImage(a, 0, 0, diff.width, diff.height);
    ink.globalCompositeOperation = "difference";
    ink.drawImage(b, 0, 0, diff.width, diff.height);
    ink.globalCompositeOperation = "lighter";
    for (let n = 0; n < this.gain; n++) ink.drawImage(diff, 0, 0);
    ink.globalCompositeOperation = "source-over";
  }

  note(text) {
    this.$note.textContent = text;
    this.$note.hidden = !text;
  }

  /** Tell the rest of the page which frame it is about. */
  tell() {
    this.root.dispatchEvent(new CustomEvent("frame", { bubbles: true, detail: this.wanted }));
  }

  // ---- playing -----------------------------------------------------------------------------------

  play() {
    if (this.playing) return this.pause();
    this.playing = true;
    clearTimeout(this.settling);
    this.overlay.hide();
    if (this.frame >= this.to || this.frame < this.from) this.wanted = this.frame = this.from;
    this.button("play").textContent = "❚❚";
    this.button("play").setAttribute("aria-label", "Pause");
    this.began = null;
    this.tick = requestAnimationFrame((now) => this.step(now));
    return null;
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.tick);
    this.button("play").textContent = "▶";
    this.button("play").setAttribute("aria-label", "Play");
    this.seek(this.frame);
  }

  time(frame) {
    return this.times ? this.times[frame - this.start] : (frame - this.start) / this.rate;
  }

  /** The frame that a moment of the scene belongs to. */
  frameAt(seconds) {
    if (!this.times) return this.start + Math.floor(seconds * this.rate + 1e-6);
    let low = 0;
    let high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return this.start + low;
  }

  step(now) {
    if (!this.playing) return;
    this.tick = requestAnimationFrame((next) => this.step(next));
    if (this.began === null) this.began = now - (1000 * this.time(this.frame)) / this.speed;
    let frame = this.frameAt(((now - this.began) / 1000) * this.speed);
    if (frame > this.to) {
      if (!this.loop) return this.pause();
      frame = this.from;
      this.began = now - (1000 * this.time(frame)) / this.speed;
    }
    const count = this.to - this.from + 1;
    const ahead = Array.from({ length: AHEAD }, (_, n) =>
      this.loop ? this.from + ((frame - this.from + n) % count) : Math.min(frame + n, this.to));
    for (const side of [this.a, this.b]) side.ahead(ahead);
    if (frame === this.frame) return;
    const [left, right] = [this.a.peek(frame), this.b.peek(frame)];
    if (left && right) {
      this.wanted = frame;
      this.$scrub.value = frame;
      this.$frame.textContent = frame;
      this.draw(frame, left, right);
      this.tell();
      return;
    }
    this.began = null; // one side is not there yet: the clock waits for it
    for (const side of [this.a, this.b]) if (!side.plays) side.get(frame).catch(() => {});
    const soon = this.frame + 1 > this.to ? this.from : this.frame + 1;
    if (soon !== frame) this.holdAt(soon);
  }

  /** After a pause for a frame that was not there: go on with the next one, not beyond it. */
  holdAt(frame) {
    const [left, right] = [this.a.peek(frame), this.b.peek(frame)];
    if (!left || !right) {
      for (const side of [this.a, this.b]) side.get(frame).catch((error) => this.note(error.message));
      return;
    }
    this.wanted = frame;
    this.$scrub.value = frame;
    this.$frame.textContent = frame;
    this.draw(frame, left, right);
    this.tell();
  }

  // ---- what is compared, and how -----------------------------------------------------------------

  choose(which, id) {
    const side = this.side(id);
    if (!side) return;
    this[which] = side;
    this.name();
    this.began = null;
    this.seek(this.frame);
    this.overlay.forget();
  }

  next(which) {
    const at = this.sides.indexOf(this[which]);
    this.choose(which, this.sides[(at + 1) % this.sides.length].id);
  }

  swap() {
    [this.a, this.b] = [this.b, this.a];
    this.name();
    this.seek(this.frame);
    this.overlay.forget();
  }

  name() {
    for (const which of ["a", "b"]) {
      const select = this.root.querySelector(`[data-side=${which}]`);
      if (!select.options.length) {
        for (const side of this.sides) select.add(new Option(side.name, side.id));
      }
      select.value = this[which].id;
      this.root.querySelector(`[data-name=${which}]`).textContent = this[which].name;
    }
    for (const take of document.querySelectorAll("[data-take]")) {
      take.classList.toggle("shown", take.dataset.take === this.b.id);
    }
  }

  turn(mode) {
    this.mode = mode;
    for (const button of this.root.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    this.root.dataset.mode = mode;
    this.canvas.diff.hidden = mode !== "difference";
    this.root.querySelector(".gain").hidden = mode !== "difference";
    clearInterval(this.flickering);
    this.root.classList.remove("other");
    if (mode === "flicker") {
      this.flickering = setInterval(() => this.root.classList.toggle("other"), FLICKER_MS);
    }
    if (mode === "difference") this.subtract();
    this.view.turn(mode);
  }

  // ---- hands -------------------------------------------------------------------------------------

  button(name) {
    return this.root.querySelector(`[data-do=${name}]`);
  }

  do(name) {
    const toggle = (key, on) => this.button(key).setAttribute("aria-pressed", String(on));
    const doings = {
      play: () => this.play(),
      previous: () => this.jump(-1),
      next: () => this.jump(1),
      swap: () => this.swap(),
      in: () => this.view.scale(this.view.zoom * 1.5),
      out: () => this.view.scale(this.view.zoom / 1.5),
      loop: () => toggle("loop", (this.loop = !this.loop)),
      "mark-in": () => this.mark(Math.min(this.frame, this.to), this.to),
      "mark-out": () => this.mark(this.from, Math.max(this.frame, this.from)),
      loupe: () => toggle("loupe", this.view.toggleLoupe()),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen()),
      help: () => (this.$help.open ? this.$help.close() : this.$help.showModal()),
    };
    doings[name]?.();
    this.view.magnify();
  }

  jump(frames) {
    if (this.playing) this.pause();
    return this.seek(this.wanted + frames);
  }

  mark(from, to) {
    this.from = from;
    this.to = to;
    const whole = from === this.start && to === this.end - 1;
    this.root.classList.toggle("marked", !whole);
    this.note(whole ? "" : `loop ${from}–${to}`);
  }

  slow(by) {
    const at = Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(this.speed) + by));
    this.setSpeed(SPEEDS[at]);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.began = null;
    this.root.querySelector("[data-speed]").value = String(speed);
  }

  listen() {
    const on = (what, name, act) => this.root.querySelector(what)?.addEventListener(name, act);
    this.root.addEventListener("click", (event) => {
      const { do: name, mode } = event.target.closest("button")?.dataset ?? {};
      if (name) this.do(name);
      if (mode) this.turn(mode);
    });
    for (const which of ["a", "b"]) {
      on(`[data-side=${which}]`, "change", (event) => this.choose(which, event.target.value));
    }
    on("[data-scrub]", "input", (event) => {
      if (this.playing) this.pause();
      this.seek(Number(event.target.value));
    });
    on("[data-speed]", "change", (event) => this.setSpeed(Number(event.target.value)));
    on("[data-gain]", "change", (event) => {
      this.gain = Number(event.target.value);
      this.subtract();
    });
  }
}

for (const root of document.querySelectorAll("[data-player]")) new Player(root);
