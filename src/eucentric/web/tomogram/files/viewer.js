// The component that the page places: slices of the volumes, the tilts' movie, or ways to open them elsewhere.
import { Elsewhere } from "/tomogram-files/elsewhere.js";
import { TiltMovie } from "/tomogram-files/tilts.js";
import { VolumeViewer } from "/tomogram-files/volumes.js";

const PARTS = { volumes: VolumeViewer, tilts: TiltMovie, elsewhere: Elsewhere };

export default {
  template: "<div class='tomogram'></div>",
  props: { part: String, series: String, more: Object },
  mounted() {
    this.shown = new PARTS[this.part](this.$el, this.series, this.more);
  },
  unmounted() {
    this.shown.close();
  },
};
