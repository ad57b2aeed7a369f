// How the two pictures lie on the stage: where one ends and the other begins, how large they are and which
// part of them is seen, the loupe, and the pointer that moves all of these.

const GRAB_PX = 28; // so near to the cut the pointer takes it, and not the picture
const MOST_ZOOM = 32;
const LOUPE_GAP_PX = 24;

export class View {
  constructor(root, canvas) {
    this.canvas = canvas;
    this.mode = "split";
    this.split = 50;
    this.zoom = 1;
    this.pan = [0, 0];
    const part = (name) => root.querySelector(`[data-${name}]`);
    this.stage = part("stage");
    this.loupe = part("loupe");
    this.$split = part("split");
    this.$pan = part("pan");
    this.$zoom = part("zoom");
    this.listen();
  }

  /** Where a pointer is, in pixels of the stage. */
  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  turn(mode) {
    this.mode = mode;
    this.cut();
  }

  at(percent) {
    this.split = Math.min(100, Math.max(0, percent));
    this.$split.value = this.split;
    this.cut();
  }

  /** Put the cut between the sides where the split is on the stage, however the picture lies under it. */
  cut() {
    const width = this.stage.clientWidth || 1;
    const inside = (((this.split / 100) * width - this.pan[0]) / (this.zoom * width)) * 100;
    this.stage.style.setProperty("--wipe", `${this.split}%`);
    this.stage.style.setProperty("--at", `${Math.min(100, Math.max(0, inside))}%`);
  }

  scale(zoom, point) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const [x, y] = point ?? [width / 2, height / 2];
    const next = Math.min(MOST_ZOOM, Math.max(1, zoom));
    const factor = next / this.zoom;
    this.zoom = next;
    this.move(x - (x - this.pan[0]) * factor, y - (y - this.pan[1]) * factor);
    this.$zoom.textContent = next === 1 ? "fit" : `${next.toFixed(next < 10 ? 1 : 0)}×`;
  }

  move(x, y) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    this.pan = [
      Math.min(0, Math.max(width * (1 - this.zoom), x)),
      Math.min(0, Math.max(height * (1 - this.zoom), y)),
    ];
    this.$pan.style.transform = `translate(${this.pan[0]}px, ${this.pan[1]}px) scale(${this.zoom})`;
    this.cut();
  }

  toggleLoupe() {
    this.loupe.hidden = !this.loupe.hidden;
    return !this.loupe.hidden;
  }

  magnify() {
    if (this.loupe.hidden || !this.pointer) return;
    const ink = this.loupe.getContext("2d");
    const size = this.loupe.height;
    const { clientWidth: width, clientHeight: height } = this.stage;
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
    const above = this.pointer[1] - size - LOUPE_GAP_PX;
    const top = above > 0 ? above : this.pointer[1] + LOUPE_GAP_PX;
    this.loupe.style.transform = `translate(${left}px, ${top}px)`;
  }

  listen() {
    this.$split.addEventListener("input", () => this.at(Number(this.$split.value)));
    this.stage.addEventListener("pointerdown", (event) => this.grab(event));
    this.stage.addEventListener("pointermove", (event) => {
      this.pointer = this.place(event);
      this.magnify();
    });
    this.stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.zoom === 1 && !event.shiftKey) return; // the page scrolls
      event.preventDefault();
      this.scale(this.zoom * 2 ** (-event.deltaY / 300), this.place(event));
    }, { passive: false });
    new ResizeObserver(() => this.move(...this.pan)).observe(this.stage);
  }

  /** A drag moves the cut, or the picture where it is larger than the stage. */
  grab(event) {
    if (event.button !== 0) return;
    const width = this.stage.clientWidth;
    const [at] = this.place(event);
    const near = Math.abs(at - (this.split / 100) * width) < GRAB_PX;
    const wipes = this.mode === "split" && (this.zoom === 1 || near);
    const [x, y] = [event.clientX - this.pan[0], event.clientY - this.pan[1]];
    const move = (next) => {
      if (wipes) this.at((100 * this.place(next)[0]) / width);
      else if (this.zoom > 1) this.move(next.clientX - x, next.clientY - y);
    };
    if (wipes) move(event);
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", () => this.stage.removeEventListener("pointermove", move),
      { once: true });
  }
}
