// One view of one volume: a slice, the lines through the place that all views share, and a scale bar.
import { fit, make, shown } from "/tomogram-files/dom.js";
import { exchange } from "/tomogram-files/slices.js";

export const VIEWS = {
  z: { name: "XY", across: "x", up: "y" },
  y: { name: "XZ", across: "x", up: "z" },
  x: { name: "YZ", across: "z", up: "y" },
};
const AHEAD = 6; // slices that are fetched before they are asked for
const RUN = 64; // columns that the server reads together: the next run is begun before it is reached
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
const SIZES = [256, 384, 512, 768, 1024, 1536, 2048];

export class Pane {
  constructor(viewer, version, axis) {
    Object.assign(this, { viewer, version, axis, view: VIEWS[axis], picture: null, target: 0, direction: 1 });
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-label", `${this.view.name} slices, ${version.label}`);
    this.canvas.setAttribute("aria-orientation", "vertical");
    this.element = make("div", { className: `pane ${this.view.name.toLowerCase()}` }, this.canvas,
      make("span", { className: "tag", ariaHidden: "true" }, this.view.name));
    this.listen();
  }

  listen() {
    const { canvas, viewer, axis } = this;
    const go = (event) => viewer.moveTo(this.placeAt(event));
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      viewer.pause();
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) go(event);
      viewer.hover(this.placeAt(event));
    });
    canvas.addEventListener("pointerleave", () => viewer.hover(null));
    canvas.addEventListener("wheel", (event) => {
      const by = event.deltaY < 0 ? 1 : -1;
      if (event.ctrlKey) viewer.zoomBy(by);
      else if (!viewer.step(axis, by, this.version)) return; // at the end, the page scrolls on
      event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.shiftKey && event.key.startsWith("Arrow")) this.nudge(event.key);
      else if (event.key in STEPS) viewer.step(axis, STEPS[event.key], this.version);
      else if (event.key === "Home" || event.key === "End") {
        viewer.step(axis, event.key === "Home" ? -Infinity : Infinity, this.version);
      } else if (event.key === " ") viewer.play(axis);
      else if (event.key === "+" || event.key === "=") viewer.zoomBy(1);
      else if (event.key === "-") viewer.zoomBy(-1);
      else return;
      event.preventDefault();
    });
  }

  nudge(key) {
    const by = key === "ArrowUp" || key === "ArrowRight" ? 1 : -1;
    const axis = key === "ArrowUp" || key === "ArrowDown" ? this.view.up : this.view.across;
    this.viewer.step(axis, by, this.version);
  }

  // How the view lies on the canvas: px = (place - left) * scale, (top - place) * scale.
  layout() {
    const { across, up } = this.view, { version, viewer, canvas } = this;
    const wide = version.extent(across), tall = version.extent(up);
    const scale = viewer.zoom * Math.min(canvas.width / wide.length, canvas.height / tall.length);
    const middle = (extent, at, pixels) => {
      const half = pixels / scale / 2;
      if (2 * half >= extent.length) return extent.low + extent.length / 2;
      return Math.min(Math.max(at, extent.low + half), extent.low + extent.length - half);
    };
    const left = middle(wide, viewer.at[across], canvas.width) - canvas.width / scale / 2;
    const top = middle(tall, viewer.at[up], canvas.height) + canvas.height / scale / 2;
    return { scale, left, top, wide, tall };
  }

  placeAt(event) {
    const { across, up } = this.view, { scale, left, top } = this.layout();
    const ratio = this.canvas.width / this.canvas.clientWidth;
    return {
      ...this.viewer.at,
      [across]: left + (event.offsetX * ratio) / scale,
      [up]: top - (event.offsetY * ratio) / scale,
    };
  }

  // The least of a few sizes that has a pixel for each of the screen's, so that the server need not send more.
  wantedPx() {
    fit(this.canvas);
    const { scale, wide, tall } = this.layout();
    const most = this.viewer.zoom > 1 ? Infinity : Math.max(wide.length, tall.length) * scale;
    return SIZES.find((size) => size >= most) ?? SIZES.at(-1);
  }

  update() {
    const { version, axis } = this, store = version.store;
    const target = version.index(axis, this.viewer.at[axis]);
    if (target !== this.target) this.direction = Math.sign(target - this.target);
    this.target = target;
    const n = version.shape[axis], d = this.direction;
    const wanted = Array.from({ length: AHEAD + 1 }, (_, i) => target + i * d);
    wanted.push(target - d);
    if (axis === "x") wanted.push(d > 0 ? (Math.floor(target / RUN) + 1) * RUN : Math.floor(target / RUN) * RUN - 1);
    store.want(axis, wanted.filter((index) => index >= 0 && index < n));
    const have = store.have(axis, target);
    if (have) this.show(have);
    this.draw();
    const words = `${axis} ${version.words(axis, target)}`;
    this.canvas.setAttribute("aria-valuemin", 0);
    this.canvas.setAttribute("aria-valuemax", n - 1);
    this.canvas.setAttribute("aria-valuenow", target);
    this.canvas.setAttribute("aria-valuetext", words);
  }

  // A slice has arrived: show it if it is the one, or nearer to it than what is shown.
  arrived(index) {
    const isNearer = !this.picture || this.picture.dropped ||
      Math.abs(index - this.target) < Math.abs(this.picture.index - this.target);
    if (index !== this.target && !isNearer) return;
    this.show(this.version.store.have(this.axis, index));
    this.draw();
  }

  show(entry) {
    this.picture = exchange(this.picture, entry);
  }

  get isReady() {
    return this.picture?.index === this.target && !this.picture.dropped;
  }

  draw() {
    const { canvas, picture, viewer } = this, { across, up } = this.view;
    const ratio = fit(canvas), pen = canvas.getContext("2d");
    const { scale, left, top, wide, tall } = this.layout();
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (picture) {
      pen.imageSmoothingEnabled = scale * this.version.voxel[across] < 4;
      pen.imageSmoothingQuality = "medium";
      pen.drawImage(picture.bitmap, (wide.low - left) * scale, (top - tall.low - tall.length) * scale,
        wide.length * scale, tall.length * scale);
      canvas.dataset.index = picture.index;
    }
    const x = (viewer.at[across] - left) * scale, y = (top - viewer.at[up]) * scale;
    if (viewer.crossShown) drawCross(pen, x, y, ratio);
    if (this.axis === "z" && this.version.isInA) drawScaleBar(pen, scale, ratio);
  }
}

function drawCross(pen, x, y, ratio) {
  const gap = 9 * ratio, { width, height } = pen.canvas;
  const lines = () => {
    pen.beginPath();
    for (const [from, to] of [[0, x - gap], [x + gap, width]]) pen.moveTo(from, y), pen.lineTo(to, y);
    for (const [from, to] of [[0, y - gap], [y + gap, height]]) pen.moveTo(x, from), pen.lineTo(x, to);
    pen.stroke();
  };
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "rgba(0, 0, 0, .35)";
  lines();
  pen.lineWidth = ratio;
  pen.strokeStyle = "rgba(100, 210, 255, .85)";
  lines();
}

function drawScaleBar(pen, scale, ratio) {
  const sixthNm = pen.canvas.width / 6 / scale / 10;
  const power = 10 ** Math.floor(Math.log10(sixthNm));
  const nm = power * [5, 2, 1].find((step) => step * power <= sixthNm);
  const length = nm * 10 * scale, x = 14 * ratio, y = pen.canvas.height - 14 * ratio;
  pen.fillStyle = "rgba(0, 0, 0, .55)";
  pen.fillRect(x - 6 * ratio, y - 22 * ratio, Math.max(length, 44 * ratio) + 12 * ratio, 30 * ratio);
  pen.fillStyle = "#fff";
  pen.fillRect(x, y, length, 3 * ratio);
  pen.font = `${12 * ratio}px system-ui, sans-serif`;
  pen.fillText(`${shown(nm, nm < 1 ? 1 : 0)} nm`, x, y - 6 * ratio);
}
