// Slices of one volume as they come from the server: wanted ones first, late ones dropped, neighbours ahead of time.
import { pathOf } from "/tomogram-files/dom.js";

const AT_ONCE = 3; // of one axis; a browser asks one server for six things at a time
const MOST_BYTES = 128 * 1024 * 1024; // of decoded pictures of one volume

export class SliceStore {
  constructor(series, volume, { arrived, failed }) {
    Object.assign(this, { series, volume, arrived, failed, query: "", turn: 0, bytes: 0 });
    this.kept = new Map(); // the last is the latest used
    this.loading = new Map();
    this.waiting = new Map();
  }

  // Everything is fetched anew where stamp, contrast, average or size are others than before.
  look(fields) {
    const query = new URLSearchParams(fields).toString();
    if (query === this.query) return;
    this.query = query;
    this.clear();
  }

  clear() {
    this.turn += 1;
    this.waiting.clear();
    for (const abort of this.loading.values()) abort.abort();
    this.loading.clear();
    for (const entry of this.kept.values()) this.drop(entry);
    this.kept.clear();
    this.bytes = 0;
  }

  have(axis, index) {
    const key = axis + index, entry = this.kept.get(key);
    if (entry) {
      this.kept.delete(key);
      this.kept.set(key, entry);
    }
    return entry;
  }

  // Fetch these slices, the first first, and of this axis no others.
  want(axis, indices) {
    const keys = new Set(indices.map((index) => axis + index));
    for (const [key, abort] of this.loading) {
      if (key[0] === axis && !keys.has(key)) {
        this.loading.delete(key);
        abort.abort();
      }
    }
    this.waiting.set(axis, indices.filter((index) => !this.kept.has(axis + index) && !this.loading.has(axis + index)));
    this.fetchNext(axis);
  }

  fetchNext(axis) {
    const waiting = this.waiting.get(axis) ?? [];
    let busy = [...this.loading.keys()].filter((key) => key[0] === axis).length;
    for (; waiting.length && busy < AT_ONCE; busy += 1) this.load(axis, waiting.shift());
  }

  async load(axis, index) {
    const key = axis + index, turn = this.turn, abort = new AbortController();
    this.loading.set(key, abort);
    try {
      const path = `${pathOf("slice", this.series, this.volume, axis, index)}?${this.query}`;
      const answer = await fetch(path, { signal: abort.signal });
      if (!answer.ok) throw Object.assign(new Error((await answer.json()).what), { status: answer.status });
      const bitmap = await createImageBitmap(await answer.blob());
      if (turn !== this.turn) return bitmap.close();
      this.keep(key, { bitmap, axis, index });
      this.arrived(axis, index);
    } catch (error) {
      if (error.name !== "AbortError" && turn === this.turn) this.failed(error);
    } finally {
      if (this.loading.get(key) === abort) this.loading.delete(key);
      if (turn === this.turn) this.fetchNext(axis);
    }
  }

  keep(key, entry) {
    const size = ({ bitmap }) => 4 * bitmap.width * bitmap.height;
    this.kept.set(key, entry);
    this.bytes += size(entry);
    while (this.bytes > MOST_BYTES && this.kept.size > 4) {
      const [oldest, old] = this.kept.entries().next().value;
      this.kept.delete(oldest);
      this.bytes -= size(old);
      this.drop(old);
    }
  }

  // A picture that is on the screen is freed by who shows it.
  drop(entry) {
    entry.dropped = true;
    if (!entry.onScreen) entry.bitmap.close();
  }
}

// Put another picture on the screen in place of one.
export function exchange(old, entry) {
  if (old === entry) return entry;
  if (old) {
    old.onScreen = false;
    if (old.dropped) old.bitmap.close();
  }
  if (entry) entry.onScreen = true;
  return entry;
}
