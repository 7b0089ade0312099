// Lines to copy into a terminal, and a link to Neuroglancer that the user may follow.
import { ask, labelled, make, pathOf } from "/tomogram-files/dom.js";

const NEUROGLANCER = "https://neuroglancer-demo.appspot.com/#!";

export class Elsewhere {
  constructor(element, series, { commands, zarr }) {
    this.series = series;
    element.classList.add("elsewhere");
    element.append(...commands.map((command) => this.buildCommand(command)));
    if (zarr) element.append(this.buildNeuroglancer(zarr));
  }

  close() {}

  buildCommand({ title, line, note }) {
    const button = make("button", { type: "button", ariaLabel: `Copy the line for ${title}` }, "Copy");
    const code = make("code", { tabIndex: 0 }, line);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // where the browser lets no page copy
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return make("div", { className: "command" }, make("h3", {}, title), make("div", { className: "line" }, code, button),
      make("p", { className: "caption" }, note));
  }

  buildNeuroglancer(zarr) {
    const address = make("input", { type: "url", placeholder: `https://…/${zarr}`, autocomplete: "off" });
    const link = make("a", { target: "_blank", rel: "noopener noreferrer", hidden: true }, "Open in Neuroglancer");
    address.addEventListener("input", async () => {
      const url = address.value.trim();
      link.hidden = !/^https?:\/\/\S+$/.test(url) || !address.checkValidity();
      if (!link.hidden) link.href = await this.neuroglancer(url);
    });
    return make("div", { className: "command" }, make("h3", {}, "Neuroglancer"),
      labelled(`Address at which ${zarr} is served`, address), link,
      make("p", { className: "caption" }, "Neuroglancer runs in your browser and reads the volume from a web server " +
        `that lets other sites read it; this one does not. Put ${zarr} on such a server, and give its address: a link ` +
        "appears here. Nothing is asked of anybody until you follow it."));
  }

  async neuroglancer(url) {
    this.limits ??= await ask(pathOf("volume", this.series, "tomogram")).catch(() => null);
    const layer = { type: "image", name: this.series, source: `zarr://${url.replace(/\/$/, "")}` };
    if (this.limits) layer.shaderControls = { normalized: { range: [this.limits.low, this.limits.high] } };
    return NEUROGLANCER + encodeURIComponent(JSON.stringify({ layers: [layer], layout: "4panel" }));
  }
}
