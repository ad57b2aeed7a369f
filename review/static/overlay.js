// Maps over the picture: where on this frame a measure finds the right side worst. They are measured for
// the very frame when the player is at rest (tasks/heat.py), and gone while it moves.

export class Overlay {
  constructor(player) {
    this.player = player;
    this.metric = "";
    this.select = player.root.querySelector("[data-overlay]");
    this.canvas = player.canvas.heat;
    this.worst = player.root.querySelector("[data-worst]");
    this.known = new Map();
    this.select?.addEventListener("change", () => this.turn(this.select.value));
  }

  turn(metric) {
    this.metric = metric;
    if (this.select) this.select.value = metric;
    this.hide();
    if (!this.player.playing) this.ask(this.player.frame);
  }

  next() {
    if (!this.select) return;
    const values = [...this.select.options].map((option) => option.value);
    this.turn(values[(values.indexOf(this.metric) + 1) % values.length]);
  }

  hide() {
    this.canvas.hidden = this.worst.hidden = true;
    this.canvas.dataset.frame = "";
  }

  at(frame) {
    if (this.canvas.dataset.frame !== String(frame)) this.hide();
  }

  forget() {
    this.hide();
  }

  async ask(frame) {
    const { b, told } = this.player;
    const take = b.told.take;
    if (!this.metric || !told.restoration) return;
    if (!take) {
      this.player.note("The overlay is of a take: choose one on the right.");
      return;
    }
    const url = `/heat/${told.restoration}/${take}/${this.metric}/${frame}.json`;
    try {
      if (!this.known.has(url)) {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(await answer.text());
        this.known.set(url, await answer.json());
      }
      if (this.player.frame === frame && this.player.b === b) this.paint(this.known.get(url), frame);
    } catch (error) {
      this.player.note(error.message);
    }
  }

  paint({ heat, better, value, unit }, frame) {
    const told = value === null ? "does not apply" : `${value.toPrecision(4)} ${unit}`;
    this.player.note(`${this.select.selectedOptions[0].text} on frame ${frame}: ${told}`);
    if (!heat.length) return;
    const sign = better === "higher" ? -1 : 1;
    const values = heat.flat().map((one) => sign * one);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const columns = heat[0].length;
    this.canvas.width = columns;
    this.canvas.height = heat.length;
    const ink = this.canvas.getContext("2d");
    const picture = ink.createImageData(columns, heat.length);
    values.forEach((one, n) => {
      const part = high > low ? (one - low) / (high - low) : 0;
      picture.data.set([255, 90, 60, Math.round(190 * part ** 2)], 4 * n);
    });
    ink.putImageData(picture, 0, 0);
    this.canvas.hidden = false;
    this.canvas.dataset.frame = frame;
    const at = values.indexOf(high);
    if (high > low) {
      const style = this.worst.style;
      style.setProperty("--left", `${(100 * (at % columns)) / columns}%`);
      style.setProperty("--top", `${(100 * Math.floor(at / columns)) / heat.length}%`);
      style.setProperty("--wide", `${100 / columns}%`);
      style.setProperty("--high", `${100 / heat.length}%`);
      this.worst.hidden = false;
    }
  }
}
