// Small things that both parts of the page are made of.

export function make(tag, fields = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Only what differs: what is set again is drawn again.
export function set(element, fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (element[name] !== String(value)) element[name] = value;
  }
}

export function labelled(text, control, ...more) {
  return make("label", {}, make("span", {}, text), control, ...more);
}

// A number for the eye: as many decimals as its step can tell, and a true minus.
export function shown(value, decimals = 1) {
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

export function significant(value) {
  if (value === null || value === undefined) return "not a number";
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

export async function ask(path) {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.what} ${body.fix}`.trim());
  return body;
}

export const pathOf = (...parts) => "/api/" + parts.map(encodeURIComponent).join("/");

// Backing pixels of a canvas follow its size on the screen.
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return ratio;
}

export const PLAY = "▶", PAUSE = "❚❚";

// Calls `step` at a rate that `isReady` can follow, and tells how many steps a second it came to.
export class Player {
  constructor({ rate, isReady, step, changed }) {
    Object.assign(this, { rate, isReady, step, changed, playing: false, times: [] });
  }

  toggle(on = !this.playing) {
    if (on === this.playing) return;
    this.playing = on;
    this.times = [];
    this.due = performance.now();
    if (on) requestAnimationFrame((now) => this.tick(now));
    this.changed();
  }

  tick(now) {
    if (!this.playing) return;
    if (now >= this.due && this.isReady()) {
      const period = 1000 / this.rate();
      this.due = Math.max(this.due + period, now - period); // a late step is not made up for by a burst
      this.times = [...this.times.filter((time) => now - time < 1000), now];
      this.step();
    }
    requestAnimationFrame((later) => this.tick(later));
  }

  get achieved() {
    const first = this.times[0], last = this.times.at(-1);
    return this.times.length > 5 ? ((this.times.length - 1) * 1000) / (last - first) : 0;
  }
}
