// Versions of a tomogram side by side, each in three views; place, contrast and movement are shared.
import { ask, labelled, make, PAUSE, pathOf, Player, PLAY, set, shown, significant } from "/tomogram-files/dom.js";
import { AXES } from "/tomogram-files/pane.js";
import { Version } from "/tomogram-files/version.js";

const AVERAGES = [1, 3, 5, 9, 15, 31];
const LOOK_EVERY_MS = 80; // while a contrast slider is drawn
const LOOK_AGAIN_MS = 5000; // for new versions and changed files
const VALUE_EVERY_MS = 80;

export class VolumeViewer {
  constructor(element, series) {
    Object.assign(this, { element, series, versions: [], at: null, zoom: 1, crossShown: true, average: 1 });
    this.black = 0;
    this.white = 100;
    this.player = new Player({
      rate: () => Number(this.speed.value),
      isReady: () => this.panes.every((pane) => pane.axis !== this.playAxis || !pane.isVisible || pane.isReady),
      step: () => this.advance(),
      changed: () => this.showPlaying(),
    });
    this.build();
    this.resized = new ResizeObserver(() => this.changeLook());
    this.resized.observe(this.stage);
    this.lookAgain();
    this.timer = setInterval(() => document.hidden || this.lookAgain(), LOOK_AGAIN_MS);
  }

  close() {
    clearInterval(this.timer);
    this.player.toggle(false);
    this.resized.disconnect();
    for (const version of this.versions) version.remove();
  }

  get shownVersions() {
    return this.versions.filter((version) => version.isShown);
  }

  get panes() {
    return this.shownVersions.flatMap((version) => version.panes);
  }

  build() {
    this.choice = make("fieldset", { className: "versions" }, make("legend", {}, "Side by side"));
    this.views = make("select", {}, ...["All three", "XY", "XZ", "YZ"].map((name) => make("option", {}, name)));
    this.views.addEventListener("change", () => this.showViews());
    this.averages = make("select", {});
    this.averages.addEventListener("change", () => this.changeAverage());
    this.speed = make("select", {}, ...[5, 10, 20, 30, 60].map((n) => make("option", { value: n }, `${n} a second`)));
    this.speed.value = matchMedia("(prefers-reduced-motion: reduce)").matches ? 5 : 20;
    const cross = make("input", { type: "checkbox", checked: true });
    cross.addEventListener("change", () => { this.crossShown = cross.checked; this.schedule(); });
    this.zoomShown = make("output", {}, "1×");
    const zoom = (name, by) => {
      const button = make("button", { type: "button", ariaLabel: by > 0 ? "Zoom in" : "Zoom out" }, name);
      button.addEventListener("click", () => this.zoomBy(by));
      return button;
    };
    const settings = make("div", { className: "settings" }, labelled("View", this.views),
      labelled("Average", this.averages), labelled("Speed", this.speed),
      make("label", { className: "check" }, cross, make("span", {}, "Cross")),
      make("div", { className: "zoom", role: "group", ariaLabel: "Zoom" }, zoom("−", -1), this.zoomShown, zoom("+", 1)));
    this.stage = make("div", { className: "stage" });
    this.readout = make("output", { className: "readout" });
    this.status = make("p", { className: "status", role: "status" }, "Opening…");
    this.element.append(this.choice, settings, this.stage, this.status, this.readout,
      make("div", { className: "sliders" }, make("div", {}, ...AXES.map((axis) => this.buildSlider(axis))),
        make("div", {}, ...this.buildContrast())));
  }

  buildSlider(axis) {
    const slider = make("input", { type: "range", min: 0, max: 0, step: 1, ariaLabel: `Place along ${axis}` });
    slider.addEventListener("input", () => {
      this.pause();
      const version = this.shownVersions[0];
      if (version) this.moveTo({ ...this.at, [axis]: version.place(axis, Number(slider.value)) });
    });
    const button = make("button", { type: "button", ariaLabel: `Play along ${axis}`, className: "play" }, PLAY);
    button.addEventListener("click", () => this.play(axis));
    const words = make("output", {});
    this.sliders = { ...this.sliders, [axis]: { slider, button, words } };
    return make("div", { className: "row" }, button, make("span", {}, axis), slider, words);
  }

  buildContrast() {
    this.contrast = {};
    const row = (which, ...more) => {
      const slider = make("input", { type: "range", min: -100, max: 200, step: 1, value: this[which] });
      slider.ariaLabel = which === "black" ? "Black point" : "White point";
      slider.addEventListener("input", () => this.setContrast(which, Number(slider.value)));
      const words = make("output", {});
      this.contrast[which] = { slider, words };
      return make("div", { className: "row" }, ...more, make("span", {}, which), slider, words);
    };
    const reset = make("button", { type: "button", className: "play", ariaLabel: "Usual contrast" }, "↺");
    reset.addEventListener("click", () => { this.setContrast("black", 0); this.setContrast("white", 100); });
    return [row("black", reset), row("white", make("span", {}))];
  }

  // Learn which versions there are, and which of those shown were written anew.
  async lookAgain() {
    try {
      const { versions } = await ask(pathOf("volumes", this.series));
      const known = new Set(this.versions.map((version) => version.name));
      const added = versions.filter(({ name }) => !known.has(name)).map((about) => new Version(this, about));
      const order = versions.map(({ name }) => name);
      const gone = this.versions.filter(({ name }) => !order.includes(name)); // a preview, once there is the tomogram
      for (const version of gone) version.remove();
      this.versions = [...this.versions.filter((version) => !gone.includes(version)), ...added]
        .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
      const renamed = this.versions.filter((version, i) => version.label !== versions[i].label);
      for (const version of renamed) version.label = versions.find(({ name }) => name === version.name).label;
      if (added.length || gone.length || renamed.length) this.listVersions();
      if (!this.versions.length) return this.tell("No tomogram yet; it will appear here when it is made.");
      if (!this.shownVersions.length && (!known.size || gone.length)) await this.toggle(this.versions[0], true);
      else if (gone.length) this.arrange();
      for (const version of this.shownVersions) {
        if (!(await version.learn(this.average))) continue;
        version.remove();
        this.arrange();
        this.tell(`${version.label} was written anew; this is the new one.`);
      }
    } catch (error) {
      this.tell(error);
    }
  }

  listVersions() {
    const boxes = this.versions.map((version) => {
      const box = make("input", { type: "checkbox", checked: version.isShown });
      box.addEventListener("change", () => this.toggle(version, box.checked).catch((error) => this.tell(error)));
      return make("label", { className: "check" }, box, make("span", {}, version.label));
    });
    this.choice.replaceChildren(this.choice.firstChild, ...boxes);
  }

  async toggle(version, on) {
    if (on && !version.shape) this.tell("Opening…");
    if (on) await version.learn(this.average);
    version.isShown = on;
    if (!on) version.remove();
    this.at ??= Object.fromEntries(AXES.map((axis) => [axis, 0]));
    this.tell("");
    this.listVersions();
    this.arrange();
  }

  arrange() {
    for (const version of this.shownVersions) if (!version.panes.length) version.build();
    this.stage.replaceChildren(...this.shownVersions.map((version) => version.element));
    this.stage.style.setProperty("--n", Math.max(1, this.shownVersions.length));
    const [first] = this.shownVersions;
    if (!first) return;
    const nm = (n) => (first.isInA ? ` (${shown((n * first.voxel.z) / 10)} nm)` : "");
    this.averages.replaceChildren(...AVERAGES.map((n) => make("option", { value: n, selected: n === this.average },
      n === 1 ? "one slice" : `${n} slices${nm(n)}`)));
    this.showViews();
  }

  showViews() {
    this.stage.dataset.views = this.views.value.toLowerCase().replace(" ", "-");
    this.changeLook();
  }

  async changeAverage() {
    this.average = Number(this.averages.value);
    try {
      await Promise.all(this.shownVersions.map((version) => version.learn(this.average)));
    } catch (error) {
      this.tell(error);
    }
    this.changeLook();
  }

  setContrast(which, value) {
    this[which] = value;
    if (this.black >= this.white) {
      if (which === "black") this.white = value + 1;
      else this.black = value - 1;
    }
    this.changeLook();
  }

  // Soon, and not more often than slices can follow.
  changeLook() {
    this.looking ??= setTimeout(() => {
      this.looking = null;
      for (const version of this.shownVersions) version.look(this);
      this.schedule();
    }, LOOK_EVERY_MS);
  }

  moveTo(place) {
    const [first] = this.shownVersions;
    if (!first) return;
    for (const axis of AXES) {
      const { low, length } = first.extent(axis), half = first.voxel[axis] / 2;
      this.at[axis] = Math.min(Math.max(place[axis], low + half), low + length - half);
    }
    this.schedule();
  }

  // Move by whole slices; whether there was somewhere to go.
  step(axis, by, version = this.shownVersions[0]) {
    this.pause();
    return this.moveBy(axis, by, version);
  }

  moveBy(axis, by, version) {
    const now = version.index(axis, this.at[axis]);
    const then = Math.min(Math.max(now + by, 0), version.shape[axis] - 1);
    if (then === now) return false;
    this.moveTo({ ...this.at, [axis]: version.place(axis, then) });
    return true;
  }

  zoomBy(by) {
    this.zoom = Math.min(Math.max(this.zoom * 2 ** by, 1), 16);
    this.zoomShown.textContent = `${this.zoom}×`;
    this.changeLook();
  }

  play(axis) {
    const isOther = this.player.playing && this.playAxis !== axis;
    this.pause();
    if (isOther || !this.wasPlaying) {
      this.playAxis = axis;
      if (this.shownVersions.length) this.player.toggle(true);
    }
  }

  pause() {
    this.wasPlaying = this.player.playing;
    this.player.toggle(false);
  }

  advance() {
    const [version] = this.shownVersions, axis = this.playAxis;
    if (!version) return this.pause();
    if (!this.moveBy(axis, 1, version)) this.moveBy(axis, -Infinity, version);
  }

  showPlaying() {
    for (const [axis, { button }] of Object.entries(this.sliders)) {
      const isOn = this.player.playing && axis === this.playAxis;
      button.textContent = isOn ? PAUSE : PLAY;
      button.ariaPressed = String(isOn);
    }
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      for (const pane of this.panes) if (pane.isVisible) pane.update();
      this.showPlace();
    });
  }

  showPlace() {
    const [first] = this.shownVersions;
    if (!first) return;
    for (const [axis, { slider, words }] of Object.entries(this.sliders)) {
      const index = first.index(axis, this.at[axis]);
      set(slider, { max: first.shape[axis] - 1, value: index, ariaValueText: first.words(axis, index) });
      const isPlaying = this.player.playing && axis === this.playAxis && this.player.achieved;
      const rate = isPlaying ? `, ${Math.round(this.player.achieved)}/s` : "";
      set(words, { textContent: first.words(axis, index) + rate });
    }
    for (const [which, { slider, words }] of Object.entries(this.contrast)) {
      const value = significant(first.low + (this[which] / 100) * (first.high - first.low));
      set(words, { textContent: value });
      set(slider, { value: this[which], ariaValueText: value });
    }
    if (!this.hovered) this.showValues(this.at);
  }

  hover(place) {
    this.hovered = place;
    this.showValues(place ?? this.at);
  }

  // Place and values under the cursor, or at the cross; asked for one at a time.
  showValues(place) {
    const [first] = this.shownVersions;
    if (!first || !place) return;
    const nm = (axis) => `${axis} ${shown(place[axis] / 10)}`;
    const voxel = ["x", "y", "z"].map((axis) => first.index(axis, place[axis])).join(", ");
    this.where = (first.isInA ? `${["x", "y", "z"].map(nm).join(", ")} nm · ` : "") + `voxel ${voxel}`;
    this.readout.textContent = this.values ? `${this.where} · ${this.values}` : this.where;
    this.asked = { ...place }; // anew each time: the place, and the versions shown, may change while values come
    if (this.player.playing) return; // a value that is gone before it is read costs slices
    this.asking ??= setTimeout(() => this.askValues(), VALUE_EVERY_MS);
  }

  async askValues() {
    const place = this.asked;
    try {
      const values = await Promise.all(this.shownVersions.map(async (version) => {
        const voxel = AXES.map((axis) => version.index(axis, place[axis]));
        const { value } = await ask(pathOf("value", this.series, version.name, ...voxel));
        return `${version.label} ${significant(value)}`;
      }));
      this.values = values.join(", ");
      this.readout.textContent = `${this.where} · ${this.values}`;
    } catch {
      this.values = ""; // the views tell what is wrong
    }
    this.asking = null;
    if (this.asked !== place) this.showValues(this.asked);
  }

  tell(what) {
    if (what?.status === 409) this.lookAgain();
    this.status.textContent = what instanceof Error ? what.message : what;
    this.status.classList.toggle("alarm", what instanceof Error);
  }
}
