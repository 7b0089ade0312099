"""The explorer's own style sheet: its columns, its sliders, and what each curve looks like in light and dark."""

CSS = """
:root { --c0: #0072b2; --c1: #c24e00; --c2: #00835f; --pale: #b9d5e6; }
:root.dark { --c0: #58bce6; --c1: #ff9a5c; --c2: #45cfa3; --pale: #2c4d60; }
.explorer { display: grid; grid-template-columns: 290px minmax(0, 1fr); gap: 1rem 1.8rem; align-items: start; }
.explorer .story { grid-column: 1 / -1; }
.explorer .steps { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0 0 .5rem; }
.explorer button.plain { font: inherit; font-size: .92rem; color: var(--ink); background: var(--card); cursor: pointer;
  border: 1px solid var(--grid); border-radius: 6px; padding: .3rem .7rem; min-height: 2.1rem; }
.explorer button.plain:hover { border-color: var(--accent); }
.explorer button.plain[aria-pressed=true] { border-color: var(--accent); color: var(--accent); font-weight: 600; }
.explorer .look { margin: 0; min-height: 4.4em; max-width: 110ch; }
.explorer .controls { position: sticky; top: .6rem; display: grid; gap: .55rem; }
.explorer .control .said { display: flex; justify-content: space-between; gap: .6rem; font-size: .9rem; }
.explorer .control .said output { font-variant-numeric: tabular-nums; color: var(--muted); text-align: right; }
.explorer input[type=range] { width: 100%; height: 22px; margin: 0; accent-color: var(--accent); cursor: pointer; }
.explorer .choice .q-radio__label, .explorer .q-toggle__label { font-size: .9rem; }
.explorer .choice .q-option-group { display: flex; flex-wrap: wrap; gap: 0 .9rem; margin-left: 3px; }
.explorer .choice .q-option-group > div { margin: 0; }
.explorer .q-radio, .explorer .q-toggle { min-height: 26px; }
.explorer .group { font-size: .9rem; font-weight: 600; margin: .5rem 0 0; }
.explorer .controls .hand { margin-top: .45rem; }
.explorer .hand { display: flex; flex-wrap: wrap; gap: .35rem; }
.explorer .shown { display: grid; gap: 1.4rem; min-width: 0; }
.explorer .pictures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 1.4rem; }
.explorer .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr));
  gap: 1.3rem 1.4rem; }
.explorer figure { margin: 0; min-width: 0; }
.explorer figure h3 { margin: 0 0 .15rem; font-size: .95rem; }
.explorer figcaption { margin-top: .2rem; }
.explorer .keys { display: flex; flex-wrap: wrap; gap: 0 .8rem; font-size: .82rem; color: var(--muted); }
.explorer .key::before { content: ""; display: inline-block; width: 1.2em; border-top: 2.5px solid;
  vertical-align: middle; margin-right: .35em; }
.explorer .key.dashed::before { border-top-style: dashed; }
.explorer .key.c0::before { color: var(--c0); } .explorer .key.c1::before { color: var(--c1); }
.explorer .key.c2::before { color: var(--c2); } .explorer .key.ink::before { color: var(--ink); }
.explorer .key.muted::before { color: var(--muted); }
.explorer .key.full::before { border-width: 8px; color: var(--accent); width: .8em; }
.explorer .key.pale::before { border-width: 8px; color: var(--pale); width: .8em; }
.explorer .picture { position: relative; line-height: 0; background: var(--card); border-radius: 6px;
  overflow: hidden; }
.explorer img:not([src]) { visibility: hidden; }
.explorer .picture img { width: 100%; height: auto; aspect-ratio: 448 / 320; display: block; }
.explorer .picture svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.explorer .map { position: relative; }
.explorer .map img { position: absolute; left: 0; width: 100%; top: calc(100% * 14 / 182);
  height: calc(100% * 150 / 182); }
.explorer .map svg { position: relative; width: 100%; height: auto; display: block; overflow: visible; }
.explorer .face { stroke: #7fb4d8; stroke-width: .9; stroke-dasharray: 5 4; fill: none; }
.explorer .beam { stroke: #ffd166; stroke-width: 1.1; fill: none; opacity: .85; }
.explorer .ring { fill: none; stroke-width: 2; }
.explorer .picture .c0 { stroke: #58bce6; } .explorer .picture .c1 { stroke: #ff9a5c; }
.explorer .picture .c2 { stroke: #45cfa3; }
.explorer .circle { fill: none; stroke: var(--muted); stroke-width: .7; stroke-dasharray: 3 3; }
.explorer .wedge { fill: none; stroke: var(--ink); stroke-width: .8; }
.explorer svg text { fill: var(--muted); font-size: 12px; }
.explorer svg .up { font-size: 9px; }
.explorer .map svg text { font-size: 9.5px; }
.explorer .chart { width: 100%; height: auto; display: block; }
.explorer .chart .grid { stroke: var(--grid); stroke-width: 1; fill: none; }
.explorer .chart .line { fill: none; stroke-width: 2; stroke: var(--ink); stroke-linejoin: round; }
.explorer .chart .line.thin { stroke-width: 1; }
.explorer .chart .dashed { stroke-dasharray: 5 3; stroke-width: 1.4; }
.explorer .chart .line.c0 { stroke: var(--c0); } .explorer .chart .line.c1 { stroke: var(--c1); }
.explorer .chart .line.c2 { stroke: var(--c2); } .explorer .chart .line.muted { stroke: var(--muted); }
.explorer .chart .line.view { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 2 3; }
.explorer .chart .dot.c0 { fill: var(--c0); } .explorer .chart .dot.c1 { fill: var(--c1); }
.explorer .chart .dot.c2 { fill: var(--c2); } .explorer .chart .dot.ink { fill: var(--ink); }
.explorer .chart .bar.full { fill: var(--accent); } .explorer .chart .bar.pale { fill: var(--pale); }
.explorer .warnings p { margin: 0; }
.explorer .numbers { margin: 0; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }
.explorer .numbers dd { font-size: 1rem; }
@media (max-width: 900px) {
  .explorer { grid-template-columns: minmax(0, 1fr); }
  .explorer .shown { display: contents; }
  .explorer .pictures { order: 1; position: sticky; top: 0; z-index: 2; background: var(--paper); gap: .6rem;
    padding: .3rem 0; }
  .explorer .pictures figcaption { display: none; }
  .explorer .pictures h3 { font-size: .8rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
  .explorer .controls { order: 2; position: static; }
  .explorer .numbers { order: 3; } .explorer .charts { order: 4; }
  .explorer .look { min-height: 0; }
}
"""
