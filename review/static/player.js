// The compare player: two sides of a scene on two canvases that always show the same frame. A frame is
// drawn when both sides have it, in one go; while one is missing, the clock waits. Everything has a key.
import { Side } from "./frames.js";
import { Overlay } from "./overlay.js";
import { keysOf } from "./keys.js";

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
    this.split = 50;
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    this.zoom = 1;
    this.pan = [0, 0];
    this.gain = 2;
    for (const name of ["stage", "pan", "wipe", "scrub", "frame", "exact", "note", "loupe", "zoom", "help"]) {
      this[`$${name}`] = root.querySelector(`[data-${name}]`);
    }
    this.canvas = {};
    this.ink = {};
    for (const canvas of root.querySelectorAll("[data-canvas]")) {
      this.canvas[canvas.dataset.canvas] = canvas;
      this.ink[canvas.dataset.canvas] = canvas.getContext("2d");
    }
    this.overlay = new Overlay(this);
    this.$stage.style.setProperty("--aspect", this.told.aspect);
    this.name();
    this.listen();
    keysOf(this);
    this.turn("split");
    this.seek(at);
    if (this.told.state) this.followProxies();
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
    this.magnify();
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
    this.cut();
  }

  at(percent) {
    this.split = Math.min(100, Math.max(0, percent));
    this.root.querySelector("[data-split]").value = this.split;
    this.cut();
  }

  /** Put the cut between the sides where the split is on the stage, however the picture lies under it. */
  cut() {
    const width = this.$stage.clientWidth || 1;
    const inside = (((this.split / 100) * width - this.pan[0]) / (this.zoom * width)) * 100;
    this.$stage.style.setProperty("--wipe", `${this.split}%`);
    this.$stage.style.setProperty("--at", `${Math.min(100, Math.max(0, inside))}%`);
  }

  scale(zoom, point) {
    const { clientWidth: width, clientHeight: height } = this.$stage;
    const [x, y] = point ?? [width / 2, height / 2];
    const next = Math.min(32, Math.max(1, zoom));
    const factor = next / this.zoom;
    this.zoom = next;
    this.move(x - (x - this.pan[0]) * factor, y - (y - this.pan[1]) * factor);
    this.$zoom.textContent = next === 1 ? "fit" : `${next.toFixed(next < 10 ? 1 : 0)}×`;
  }

  move(x, y) {
    const { clientWidth: width, clientHeight: height } = this.$stage;
    this.pan = [
      Math.min(0, Math.max(width * (1 - this.zoom), x)),
      Math.min(0, Math.max(height * (1 - this.zoom), y)),
    ];
    this.$pan.style.transform = `translate(${this.pan[0]}px, ${this.pan[1]}px) scale(${this.zoom})`;
    this.cut();
  }

  magnify() {
    if (this.$loupe.hidden || !this.pointer) return;
    const ink = this.$loupe.getContext("2d");
    const size = this.$loupe.height;
    const { clientWidth: width, clientHeight: height } = this.$stage;
    const [x, y] = [(this.pointer[0] - this.pan[0]) / this.zoom / width,
                    (this.pointer[1] - this.pan[1]) / this.zoom / height];
    ink.imageSmoothingEnabled = false;
    ink.fillRect(0, 0, 2 * size, size);
    for (const [place, name] of [[0, "a"], [1, "b"]]) {
      const canvas = this.canvas[name];
      const wide = canvas.width / this.zoom / (width / size) / 5;
      const high = wide * ((canvas.height / height) * (width / canvas.width));
      ink.drawImage(canvas, x * canvas.width - wide / 2, y * canvas.height - high / 2, wide, high,
        place * size, 0, size, size);
    }
    ink.fillStyle = "#e6b95c";
    ink.fillRect(size - 1, 0, 2, size);
    ink.fillStyle = "#000";
    const left = Math.min(Math.max(0, this.pointer[0] - size), Math.max(0, width - 2 * size));
    const above = this.pointer[1] - size - 24;
    this.$loupe.style.transform =
      `translate(${left}px, ${above > 0 ? above : this.pointer[1] + 24}px)`;
  }

  // ---- proxies that are being made ---------------------------------------------------------------

  async followProxies() {
    const form = document.querySelector("[data-proxies]");
    if (!form) return;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
    });
    const ask = async () => {
      form.querySelector("button").disabled = true;
      await fetch(form.action, { method: "POST" });
      follow();
    };
    const follow = async () => {
      const answer = await fetch(this.told.state);
      const { sides, waiting, failed } = await answer.json();
      for (const [id, sha256] of Object.entries(sides)) this.side(id)?.use(sha256);
      const left = this.sides.filter((side) => !side.plays).length;
      form.hidden = left === 0;
      if (left === 0) {
        this.seek(this.frame);
        return;
      }
      form.querySelector("span").textContent = waiting
        ? `Proxies are being made: ${waiting} to go. Until then sides step frame by frame.`
        : failed[0] ?? `${left} sides are shown in stills.`;
      form.querySelector("button").disabled = waiting > 0;
      if (waiting) setTimeout(follow, 1200);
    };
    ask();
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
      in: () => this.scale(this.zoom * 1.5),
      out: () => this.scale(this.zoom / 1.5),
      loop: () => toggle("loop", (this.loop = !this.loop)),
      "mark-in": () => this.mark(Math.min(this.frame, this.to), this.to),
      "mark-out": () => this.mark(this.from, Math.max(this.frame, this.from)),
      loupe: () => toggle("loupe", !(this.$loupe.hidden = !this.$loupe.hidden)),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen()),
      help: () => (this.$help.open ? this.$help.close() : this.$help.showModal()),
    };
    doings[name]?.();
    this.magnify();
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
    on("[data-split]", "input", (event) => this.at(Number(event.target.value)));
    on("[data-speed]", "change", (event) => this.setSpeed(Number(event.target.value)));
    on("[data-gain]", "change", (event) => {
      this.gain = Number(event.target.value);
      this.subtract();
    });
    this.$stage.addEventListener("pointerdown", (event) => this.grab(event));
    this.$stage.addEventListener("pointermove", (event) => {
      const box = this.$stage.getBoundingClientRect();
      this.pointer = [event.clientX - box.left, event.clientY - box.top];
      this.magnify();
    });
    this.$stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.zoom === 1 && !event.shiftKey) return; // the page scrolls
      event.preventDefault();
      const box = this.$stage.getBoundingClientRect();
      this.scale(this.zoom * 2 ** (-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
    }, { passive: false });
    new ResizeObserver(() => this.move(...this.pan)).observe(this.$stage);
    document.addEventListener("click", (event) => this.click(event));
    document.addEventListener("htmx:afterSwap", () => {
      this.name();
      this.tell();
    });
    this.root.ownerDocument.addEventListener("frame", (event) => this.heads(event.detail));
  }

  grab(event) {
    if (event.button !== 0) return;
    const box = this.$stage.getBoundingClientRect();
    const percent = (x) => (100 * (x - box.left)) / box.width;
    const near = Math.abs(event.clientX - box.left - (this.split / 100) * box.width) < 28;
    const wipes = this.mode === "split" && (this.zoom === 1 || near);
    const [x, y] = [event.clientX - this.pan[0], event.clientY - this.pan[1]];
    const move = (next) => {
      if (wipes) this.at(percent(next.clientX));
      else if (this.zoom > 1) this.move(next.clientX - x, next.clientY - y);
    };
    if (wipes) move(event);
    this.$stage.setPointerCapture(event.pointerId);
    this.$stage.addEventListener("pointermove", move);
    this.$stage.addEventListener("pointerup", () => this.$stage.removeEventListener("pointermove", move), { once: true });
  }

  /** A click on a drawing along the film or scene goes there. */
  click(event) {
    const svg = event.target.closest("[data-timeline] svg");
    if (!svg || event.ctrlKey || event.metaKey) return;
    const box = svg.getBoundingClientRect();
    const whole = svg.viewBox.baseVal.width;
    const part = (((event.clientX - box.left) / box.width) * whole) / 1000;
    if (part > 1) return;
    event.preventDefault();
    this.jump(this.start + Math.floor(part * (this.end - this.start)) - this.wanted);
  }

  heads(frame) {
    const x = (1000 * (frame - this.start + 0.5)) / (this.end - this.start);
    for (const head of document.querySelectorAll("[data-timeline] .head")) {
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
    }
    const scene = this.told.scenes?.find(([start, end]) => start <= frame && frame < end);
    if (scene) {
      for (const card of document.querySelectorAll(".card.now")) card.classList.remove("now");
      document.getElementById(`scene-${scene[2]}`)?.classList.add("now");
    }
    const field = document.querySelector("[data-story] [name=frame]");
    if (field && !this.playing && document.activeElement !== field) {
      field.value = frame;
      clearTimeout(this.storyTimer);
      this.storyTimer = setTimeout(() => document.body.dispatchEvent(new Event("story")), 400);
    }
    const split = document.querySelector("[data-split-at]");
    if (split && document.activeElement !== split) split.value = frame;
  }
}

for (const root of document.querySelectorAll("[data-player]")) new Player(root);
