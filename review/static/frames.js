// Where the player's pictures come from. A side is the source, its plain resize, or a take; it gives any
// frame of a scene by its number, as a bitmap.
//
// A proxy holds one key frame a packet (media/proxy.py), so frame n is packet n: it is fetched by the range
// of its bytes and decoded by itself, and no clock, no seek and no container of the browser's comes between.
// A still is the frame itself, exact. What a browser cannot decode (no WebCodecs) is shown in stills.

const CHUNK = 24; // frames fetched at once
const KEPT_BYTES = 192 * 2 ** 20; // of decoded pictures, for each side
const KEPT_CODED = 64 * 2 ** 20;
const ANSWER_MS = 80; // a decoder that keeps a frame to itself so long is flushed

export class Side {
  constructor(told, start) {
    this.told = told;
    this.id = told.id;
    this.name = told.name;
    this.start = start;
    this.proxy = null;
    this.stills = new Map();
    if (told.proxy) this.use(told.proxy);
  }

  /** Play from this proxy from now on. */
  use(sha256) {
    if (this.proxy || !("VideoDecoder" in window)) return;
    this.proxy = new Proxy(`/proxy/${sha256}`);
    this.proxy.failed.catch((error) => {
      console.warn(`${this.name}: ${error.message}; shown in stills`);
      this.proxy = null;
    });
  }

  get plays() {
    return this.proxy !== null;
  }

  /** The frame if it is at hand. */
  peek(frame) {
    return this.proxy ? this.proxy.peek(frame - this.start) : this.stills.get(frame) ?? null;
  }

  /** A promise of the frame as the player may show it while it moves. */
  async get(frame) {
    if (this.proxy) {
      try {
        return await this.proxy.get(frame - this.start);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        this.proxy = null; // told by `failed`
      }
    }
    return this.still(frame);
  }

  /** A promise of the frame's own pixels, whatever the proxy says. */
  async still(frame) {
    const kept = this.stills.get(frame);
    if (kept) return kept;
    const url = this.url(frame);
    if (!url) return null;
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(await answer.text());
    const bitmap = await createImageBitmap(await answer.blob());
    keep(this.stills, frame, bitmap, KEPT_BYTES);
    return bitmap;
  }

  url(frame) {
    const { still, parts } = this.told;
    if (still) return `${still}${frame}/full.png`;
    const part = parts.find(([start, end]) => start <= frame && frame < end);
    return part && part[2] ? `/still/take/${part[2]}/${frame}/full.png` : null;
  }

  /** Have these frames decoded soon. */
  ahead(frames) {
    if (this.proxy) for (const frame of frames) this.proxy.get(frame - this.start).catch(() => {});
  }
}

class Proxy {
  constructor(url) {
    this.url = url;
    this.frames = new Map();
    this.waiting = new Map();
    this.chunks = new Map();
    this.timer = 0;
    this.failed = new Promise((_, fail) => (this.fail = fail));
    this.ready = this.open();
    this.ready.catch((error) => this.fail(error));
  }

  async open() {
    const answer = await fetch(`${this.url}.json`);
    if (!answer.ok) throw new Error(await answer.text());
    this.index = await answer.json();
    const { codec, description } = this.index;
    this.config = {
      codec,
      description: Uint8Array.from(atob(description), (c) => c.charCodeAt(0)),
      optimizeForLatency: true,
    };
    const { supported } = await VideoDecoder.isConfigSupported(this.config);
    if (!supported) throw new Error(`this browser does not decode ${codec}`);
    this.configure();
  }

  configure() {
    this.decoder = new VideoDecoder({
      output: (picture) => this.take(picture),
      error: (error) => this.lose(error),
    });
    this.decoder.configure(this.config);
  }

  peek(number) {
    const bitmap = this.frames.get(number);
    if (!bitmap) return null;
    this.frames.delete(number); // to the end: what was looked at last is kept longest
    this.frames.set(number, bitmap);
    return bitmap;
  }

  async get(number) {
    const known = this.peek(number);
    if (known) return known;
    const waiting = this.waiting.get(number);
    if (waiting) return waiting.promise;
    const one = {};
    one.promise = new Promise((give, fail) => Object.assign(one, { give, fail }));
    this.waiting.set(number, one);
    try {
      await this.ready;
      const data = await this.coded(number);
      if (this.decoder.state === "closed") this.configure();
      this.decoder.decode(new EncodedVideoChunk({ type: "key", timestamp: number, data }));
      this.flushSoon();
    } catch (error) {
      this.waiting.delete(number);
      one.fail(error);
    }
    return one.promise;
  }

  /** The bytes of one frame, out of a chunk that is fetched by its range. */
  async coded(number) {
    const first = number - (number % CHUNK);
    const { at, size, frames } = this.index;
    if (!this.chunks.has(first)) {
      const last = Math.min(first + CHUNK, frames) - 1;
      const range = `bytes=${at[first]}-${at[last] + size[last] - 1}`;
      const loading = fetch(`${this.url}.mp4`, { headers: { range } }).then((answer) => {
        if (answer.status !== 206) throw new Error(`proxy: answer ${answer.status}`);
        return answer.arrayBuffer();
      });
      loading.catch(() => this.chunks.delete(first));
      this.chunks.set(first, loading);
      const most = Math.max(2, Math.floor(KEPT_CODED / (CHUNK * Math.max(...size))));
      while (this.chunks.size > most) this.chunks.delete(this.chunks.keys().next().value);
    }
    const data = await this.chunks.get(first);
    return new Uint8Array(data, at[number] - at[first], size[number]);
  }

  async take(picture) {
    const number = picture.timestamp;
    const one = this.waiting.get(number);
    const { width, height } = this.index;
    try {
      const bitmap = await createImageBitmap(picture, 0, 0, width, height);
      keep(this.frames, number, bitmap, KEPT_BYTES);
      one?.give(bitmap);
    } catch (error) {
      one?.fail(error);
    } finally {
      picture.close();
      this.waiting.delete(number);
    }
  }

  lose(error) {
    for (const one of this.waiting.values()) one.fail(error);
    this.waiting.clear();
    this.fail(error);
  }

  flushSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.waiting.size && this.decoder.state === "configured") {
        this.decoder.flush().catch(() => {});
      }
    }, ANSWER_MS);
  }
}

/** Keep a picture; let the ones go that were looked at longest ago where there are too many. */
function keep(kept, key, bitmap, bytes) {
  kept.set(key, bitmap);
  const most = Math.max(4, Math.floor(bytes / (4 * bitmap.width * bitmap.height)));
  while (kept.size > most) {
    const oldest = kept.keys().next().value;
    if (oldest === key) return;
    kept.delete(oldest); // not closed: it may be on its way to a canvas; the browser frees it
  }
}
