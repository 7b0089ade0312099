// One version of a tomogram: what is known of it, its slices, and its three views.
import { ask, make, pathOf, shown } from "/tomogram-files/dom.js";
import { AXES, Pane } from "/tomogram-files/pane.js";
import { exchange, SliceStore } from "/tomogram-files/slices.js";

export class Version {
  constructor(viewer, { name, label }) {
    Object.assign(this, { viewer, name, label, isShown: false, panes: [] });
    this.store = new SliceStore(viewer.series, name, {
      arrived: (axis, index) => this.panes.find((pane) => pane.axis === axis)?.arrived(index),
      failed: (error) => viewer.tell(error),
    });
  }

  // Ask for size and limits; whether the file is another than before.
  async learn(average) {
    const about = await ask(`${pathOf("volume", this.viewer.series, this.name)}?average=${average}`);
    const isNew = about.stamp !== this.stamp;
    const named = (zyx) => Object.fromEntries(AXES.map((axis, i) => [axis, zyx[i]]));
    this.isInA = about.voxel_zyx_A !== null;
    Object.assign(this, { stamp: about.stamp, low: about.low, high: about.high, binned: about.binned,
      shape: named(about.shape_zyx), voxel: named(about.voxel_zyx_A ?? [1, 1, 1]), first: named(about.first_zyx_A) });
    return isNew;
  }

  extent(axis) {
    const voxel = this.voxel[axis];
    return { low: this.first[axis] - voxel / 2, length: this.shape[axis] * voxel };
  }

  index(axis, place) {
    const index = Math.round((place - this.first[axis]) / this.voxel[axis]);
    return Math.min(Math.max(index, 0), this.shape[axis] - 1);
  }

  place(axis, index) {
    return this.first[axis] + index * this.voxel[axis];
  }

  words(axis, index) {
    const where = this.isInA ? `${shown(this.place(axis, index) / 10)} nm, ` : "";
    return `${where}slice ${index + 1} of ${this.shape[axis]}`;
  }

  look({ black, white, average }) {
    const span = (this.high - this.low) / 100;
    const largest = Math.max(...this.panes.map((pane) => pane.wantedPx()));
    const [low, high] = [this.low + black * span, this.low + white * span];
    this.store.look({ stamp: this.stamp, low, high, average, largest });
  }

  build() {
    this.panes = AXES.map((axis) => new Pane(this.viewer, this, axis));
    const { x, y, z } = Object.fromEntries(AXES.map((axis) => [axis, this.extent(axis).length]));
    const depth = Math.max(z, 0.1 * Math.max(x, y)); // a thin one has room for its name
    const note = this.binned > 1 ? `, every ${this.binned} voxels averaged` : "";
    this.views = make("div", { className: "views" }, ...this.panes.map((pane) => pane.element));
    this.views.style.setProperty("--x", x);
    this.views.style.setProperty("--y", y);
    this.views.style.setProperty("--z", depth);
    this.views.style.setProperty("--columns", `${x}fr ${depth}fr`);
    this.element = make("figure", {}, make("figcaption", {}, this.label + note), this.views);
  }

  remove() {
    this.store.clear();
    for (const pane of this.panes) pane.picture = exchange(pane.picture, null);
    this.panes = [];
    this.element?.remove();
  }
}
