// The images of a series one after the other, as recorded or laid upright by the alignment.
import { ask, fit, labelled, make, PAUSE, pathOf, Player, PLAY, shown } from "/tomogram-files/dom.js";
import { exchange, SliceStore } from "/tomogram-files/slices.js";

const AHEAD = 5;

export class TiltMovie {
  constructor(element, series) {
    Object.assign(this, { element, series, views: [], picture: null });
    this.player = new Player({
      rate: () => Number(this.speed.value),
      isReady: () => this.picture?.index === this.views[this.at]?.section,
      step: () => this.goTo((this.at + 1) % this.views.length),
      changed: () => this.showPlaying(),
    });
    this.build();
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    this.open().catch((error) => { this.status.textContent = error.message; });
  }

  close() {
    this.player.toggle(false);
    this.resized.disconnect();
    this.store?.clear();
  }

  build() {
    this.canvas = make("canvas", { role: "img", ariaLabel: "Image of the tilt series" });
    this.slider = make("input", { type: "range", min: 0, max: 0, ariaLabel: "Image" });
    this.slider.addEventListener("input", () => { this.player.toggle(false); this.goTo(Number(this.slider.value)); });
    this.button = make("button", { type: "button", ariaLabel: "Play the tilt series", className: "play" }, PLAY);
    this.button.addEventListener("click", () => this.player.toggle());
    this.order = make("select", {}, make("option", { value: "tilt" }, "by tilt"),
      make("option", { value: "time" }, "as acquired"));
    this.order.addEventListener("change", () => this.sort());
    this.speed = make("select", {}, ...[2, 5, 10, 20].map((n) => make("option", { value: n }, `${n} a second`)));
    this.speed.value = matchMedia("(prefers-reduced-motion: reduce)").matches ? 2 : 10;
    this.aligned = make("input", { type: "checkbox", disabled: true });
    this.aligned.addEventListener("change", () => this.draw());
    this.label = make("p", { className: "tilt" });
    this.status = make("p", { className: "status", role: "status" });
    this.element.append(
      make("div", { className: "settings" }, labelled("Order", this.order), labelled("Speed", this.speed),
        make("label", { className: "check" }, this.aligned, make("span", {}, "Aligned, tilt axis upright"))),
      make("div", { className: "movie" }, this.canvas), this.label,
      make("div", { className: "sliders" }, make("div", { className: "row" }, this.button, make("span", {}, ""),
        this.slider, make("output", {}))), this.status);
  }

  async open() {
    this.about = await ask(pathOf("volume", this.series, this.series));
    const views = await ask(pathOf("tilts", this.series));
    const [n] = this.about.shape_zyx;
    const isKnown = views.length === n;
    this.views = isKnown ? views : Array.from({ length: n }, (_, section) => ({ section, used: true }));
    if (!isKnown) this.status.textContent = "Tilts are not known yet: the images are shown in the stack's order.";
    this.aligned.disabled = !isKnown || this.views.some((view) => view.axis_deg === null);
    this.order.disabled = !isKnown || this.views.some((view) => view.order === null);
    this.store = new SliceStore(this.series, this.series, {
      arrived: (_, index) => { if (index === this.views[this.at].section) this.update(); },
      failed: (error) => { this.status.textContent = error.message; },
    });
    this.store.look({ stamp: this.about.stamp, own: true, largest: 768 });
    const lowest = this.views.reduce((a, b) => (Math.abs(b.tilt_deg) < Math.abs(a.tilt_deg) ? b : a));
    this.goTo(this.views.indexOf(lowest));
  }

  sort() {
    const section = this.views[this.at].section;
    const key = this.order.value === "time" ? "order" : "tilt_deg";
    this.views.sort((a, b) => a[key] - b[key]);
    this.goTo(this.views.findIndex((view) => view.section === section));
  }

  goTo(at) {
    this.at = at;
    this.update();
  }

  update() {
    const n = this.views.length, view = this.views[this.at];
    Object.assign(this.slider, { max: n - 1, value: this.at });
    const ahead = Array.from({ length: Math.min(AHEAD + 1, n) }, (_, i) => this.views[(this.at + i) % n].section);
    this.store.want("z", ahead);
    const have = this.store.have("z", view.section);
    if (have) {
      this.picture = exchange(this.picture, have);
      this.draw();
    }
    this.label.textContent = this.words(view);
    this.slider.ariaValueText = this.label.textContent;
    this.label.classList.toggle("alarm", !view.used);
  }

  words(view) {
    const parts = [];
    if (view.tilt_deg !== undefined) parts.push(`${shown(view.tilt_deg)}°`);
    parts.push(`section ${view.section + 1} of ${this.views.length}`);
    if (view.order !== null && view.order !== undefined) parts.push(`acquired as number ${view.order + 1}`);
    if (view.exposure_e_A2) {
      const before = typeof view.pre_exposure_e_A2 === "number" ? ` after ${shown(view.pre_exposure_e_A2)}` : "";
      parts.push(`exposed with ${shown(view.exposure_e_A2)} e/Å²${before}`);
    }
    if (!view.used) parts.push(`left out: ${view.reason || "no reason was given"}`);
    return parts.join(" · ");
  }

  draw() {
    if (!this.picture) return;
    const { canvas } = this, ratio = fit(canvas), pen = canvas.getContext("2d");
    const [, ny, nx] = this.about.shape_zyx, { bitmap, index } = this.picture;
    const view = this.views.find(({ section }) => section === index);
    const k = Math.min(canvas.width, canvas.height) / Math.max(nx, ny), f = bitmap.width / nx;
    const isUpright = this.aligned.checked && !this.aligned.disabled;
    const turn = isUpright ? (view.axis_deg * Math.PI) / 180 : 0, m = isUpright ? view.magnification : 1;
    const [shiftY, shiftX] = isUpright ? view.shift_yx_px : [0, 0];
    // The image shows place p at q = m R p + shift, from the middle and rows upward; drawn is p = R⁻¹ (q - shift) / m.
    const c = Math.cos(turn) / m, s = Math.sin(turn) / m;
    const u = Math.floor(nx / 2) + 0.5 + shiftX, v = ny - 0.5 - Math.floor(ny / 2) - shiftY;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform((k * c) / f, (k * s) / f, (-k * s) / f, (k * c) / f,
      canvas.width / 2 + k * (s * v - c * u), canvas.height / 2 - k * (s * u + c * v));
    pen.drawImage(bitmap, 0, 0);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    if (isUpright) {
      pen.strokeStyle = "rgba(100, 210, 255, .6)";
      pen.lineWidth = ratio;
      pen.setLineDash([6 * ratio, 6 * ratio]);
      pen.beginPath();
      pen.moveTo(canvas.width / 2, 0);
      pen.lineTo(canvas.width / 2, canvas.height);
      pen.stroke();
      pen.setLineDash([]);
    }
    canvas.dataset.index = index;
  }

  showPlaying() {
    this.button.textContent = this.player.playing ? PAUSE : PLAY;
    this.button.ariaPressed = String(this.player.playing);
  }
}
