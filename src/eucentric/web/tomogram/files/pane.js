// One view of one volume: a slice, the lines through the place that all views share, and a scale bar.
import { fit, make, set, shown } from "/tomogram-files/dom.js";
import { exchange } from "/tomogram-files/slices.js";

export const AXES = ["z", "y", "x"]; // that slices lie across, in the order of the arrays
const VIEWS = {
  z: { name: "XY", across: "x", up: "y" },
  y: { name: "XZ", across: "x", up: "z" },
  x: { name: "YZ", across: "z", up: "y" },
};
const AHEAD = 6; // slices that are fetched before they are asked for
const RUN = 64; // columns that the server reads together: the next run is begun before it is reached
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
const BACKGROUND = "#20252b"; // as the style sheet has it
const SIZE_STEP = 64, SMALLEST = 128, LARGEST = 2048; // of pictures, in pixels

export class Pane {
  constructor(viewer, version, axis) {
    Object.assign(this, { viewer, version, axis, view: VIEWS[axis], picture: null, target: 0, direction: 1, ratio: 1 });
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-label", `${this.view.name} slices, ${version.label}`);
    this.canvas.setAttribute("aria-orientation", "vertical");
    const mark = (className) => make("i", { className, ariaHidden: "true" });
    this.cross = mark("cross");
    this.cross.append(...["left", "right", "up", "down"].map(mark));
    this.element = make("div", { className: `pane ${this.view.name.toLowerCase()}` }, this.canvas, this.cross,
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

  // Size is looked at here alone: to ask for it while slices run would lay the page out anew each time.
  measure() {
    this.isVisible = this.canvas.clientWidth > 0;
    this.ratio = fit(this.canvas);
  }

  // A little more than has a pixel for each of the screen's, so that the server need not send all.
  wantedPx() {
    this.measure();
    if (this.viewer.zoom > 1) return LARGEST;
    const { scale, wide, tall } = this.layout();
    const most = Math.ceil((Math.max(wide.length, tall.length) * scale) / SIZE_STEP) * SIZE_STEP;
    return Math.min(Math.max(most, SMALLEST), LARGEST);
  }

  update() {
    const { version, axis } = this, store = version.store;
    const target = version.index(axis, this.viewer.at[axis]);
    if (target !== this.target) this.direction = Math.sign(target - this.target);
    this.target = target;
    const n = version.shape[axis], d = this.direction;
    const wanted = Array.from({ length: AHEAD + 1 }, (_, i) => target + i * d);
    const run = Math.floor(target / RUN);
    if (axis === "x") wanted.splice(1, 0, d > 0 ? (run + 1) * RUN : run * RUN - 1);
    store.want(axis, wanted.filter((index) => index >= 0 && index < n));
    const have = store.have(axis, target);
    if (have) this.show(have);
    this.draw();
    set(this.canvas, { ariaValueMin: 0, ariaValueMax: n - 1, ariaValueNow: target,
      ariaValueText: `${axis} ${version.words(axis, target)}` });
  }

  // A slice has arrived: show it if it is the one, or nearer to it than what is shown.
  arrived(index) {
    if (!this.isVisible) return;
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

  // The cross is no part of the drawing: it moves in all views while one changes its slice.
  draw() {
    const { canvas, cross, picture, viewer } = this, { across, up } = this.view;
    const { ratio } = this, { scale, left, top, wide, tall } = this.layout();
    cross.hidden = !viewer.crossShown;
    cross.style.setProperty("--at-x", `${((viewer.at[across] - left) * scale) / ratio}px`);
    cross.style.setProperty("--at-y", `${((top - viewer.at[up]) * scale) / ratio}px`);
    const drawn = [picture?.bitmap, canvas.width, canvas.height, scale, left, top];
    if (!picture || drawn.every((value, i) => value === this.drawn?.[i])) return;
    this.drawn = drawn;
    const pen = canvas.getContext("2d", { alpha: false });
    pen.fillStyle = BACKGROUND;
    if (viewer.zoom === 1) pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = scale * this.version.voxel[across] < 4;
    pen.drawImage(picture.bitmap, (wide.low - left) * scale, (top - tall.low - tall.length) * scale,
      wide.length * scale, tall.length * scale);
    if (this.axis === "z" && this.version.isInA) drawScaleBar(pen, scale, ratio);
    canvas.dataset.index = picture.index;
  }
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
