"""The session page's own style sheet."""

CSS = """
.session { display: grid; gap: 1.1rem; grid-template-columns: minmax(0, 1fr); }
.session ul, .session ol { list-style: none; margin: 0; padding: 0; }
.session .links { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 0; }
.session .title { display: flex; flex-wrap: wrap; align-items: baseline; gap: .3rem .8rem; }
.session .title h1 { margin: 0; }
.session .numbers { margin: 0; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
.session .warnings { overflow-wrap: anywhere; }
.session .warnings ul { max-height: 13rem; overflow-y: auto; }
.session .series { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); }
.session .series > li { background: var(--card); border-radius: 8px; padding: .7rem .85rem; display: flex;
  flex-wrap: wrap; gap: .25rem .7rem; align-items: baseline; }
.session .series .name { font-weight: 600; flex: 1; overflow-wrap: anywhere; }
.session .series .caption { flex-basis: 100%; }
.session .marks { display: inline-flex; flex-wrap: wrap; gap: .3rem; }
.session .mark { font-size: .82rem; border: 1px solid var(--grid); border-radius: 99px; padding: .05rem .6rem;
  color: var(--muted); background: var(--paper); white-space: nowrap; }
.session .mark.growing, .session .mark.processing { color: var(--accent); border-color: var(--accent); }
.session .mark.failed, .session .mark.alarm, .session .mark.outdated { color: var(--alarm);
  border-color: var(--alarm); }
.session progress { flex-basis: 100%; width: 100%; height: 5px; border: 0; border-radius: 3px; overflow: hidden;
  background: var(--grid); appearance: none; }
.session progress::-webkit-progress-bar { background: var(--grid); }
.session progress::-webkit-progress-value { background: var(--accent); }
.session progress::-moz-progress-bar { background: var(--accent); }
.session .stages { display: flex; flex-wrap: wrap; gap: .35rem; font-size: .88rem; }
.session .stages li { border: 1px solid var(--grid); border-radius: 6px; padding: .12rem .6rem;
  overflow-wrap: anywhere; }
.session .stages b { font-weight: 600; } .session .stages span { color: var(--muted); }
.session .stages .running { border-color: var(--accent); } .session .stages .running span { color: var(--accent); }
.session .stages :is(.failed, .interrupted, .outdated) { border-color: var(--alarm); }
.session .stages :is(.failed, .interrupted, .outdated) span { color: var(--alarm); }
.session h2 { margin: .6rem 0 0; }
.session .filters { display: grid; gap: .5rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 230px), 1fr)); }
.session .filters .said { display: flex; justify-content: space-between; gap: .6rem; font-size: .9rem; }
.session .filters output { color: var(--muted); font-variant-numeric: tabular-nums; }
.session input[type=range] { width: 100%; height: 22px; margin: 0; accent-color: var(--accent); cursor: pointer; }
.session .pass { font-weight: 600; margin: 0; }
.session .strip { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(92px, 1fr)); }
.session .strip button { font: inherit; font-size: .8rem; line-height: 1.3; color: var(--ink); background: none;
  border: 0;
  padding: 0; cursor: pointer; text-align: left; display: block; width: 100%; }
.session .strip .picture { display: block; aspect-ratio: 1; background: var(--card); border-radius: 4px;
  overflow: hidden;
  border: 2px solid transparent; }
.session .strip .picture:empty { aspect-ratio: auto; height: .8rem; }
.session .strip img { width: 100%; height: 100%; object-fit: cover; display: block; }
.session .strip .alarm .picture { border-color: var(--alarm); }
.session .strip [aria-pressed=true] .picture { border-color: var(--accent); box-shadow: 0 0 0 2px var(--accent); }
.session .strip .faded :is(img, .words) { opacity: .32; }
.session .strip .excluded img { opacity: .3; filter: grayscale(1); }
.session .strip .excluded .picture { background: linear-gradient(to top right, transparent calc(50% - 1px),
  var(--muted) calc(50% - 1px) calc(50% + 1px), transparent calc(50% + 1px)), var(--card); }
.session .strip .words { display: flex; justify-content: space-between; gap: .3rem;
  font-variant-numeric: tabular-nums; }
.session .strip .words i { font-style: normal; color: var(--muted); }
.session .strip .alarm .words i { color: var(--alarm); }
.session .tilt { display: grid; gap: .8rem 1.4rem; grid-template-columns: minmax(0, 300px) minmax(0, 1fr);
  background: var(--card); border-radius: 8px; padding: .9rem; align-items: start; }
.session .tilt img { width: 100%; border-radius: 4px; display: block; }
.session .tilt h3 { margin: 0 0 .4rem; }
.session .exclude { margin-top: .9rem; padding-top: .8rem; border-top: 1px solid var(--grid); }
.session .exclude .form { display: flex; flex-wrap: wrap; gap: .5rem .8rem; align-items: center; }
.session .exclude label { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; font-size: .9rem; }
.session .exclude label > span { color: var(--muted); }
.session .exclude :is(select, input, button) { font: inherit; font-size: .9rem; color: var(--ink);
  background: var(--paper); border: 1px solid var(--grid); border-radius: 6px; padding: .25rem .6rem;
  min-height: 2.1rem; min-width: 0; }
.session .exclude input { flex: 1 1 11rem; }
.session .exclude button { cursor: pointer; font-weight: 550; }
.session .exclude :is(select, input, button):hover { border-color: var(--accent); }
.session .exclude .form:has(option:not([value=other]):checked) input { display: none; }
.session .exclude p { margin: .5rem 0 0; }
.session .exclude code { white-space: nowrap; }
.session .tilt .said { margin: 0 0 .5rem; font-weight: 600; }
.session tr.excluded td { color: var(--muted); }
.session table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
.session :is(th, td) { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--grid); }
.session .tilt :is(th[scope=row], td:first-child) { text-align: left; padding-left: 0; overflow-wrap: anywhere; }
.session .tilt td { overflow-wrap: anywhere; }
.session th { color: var(--muted); font-weight: 500; }
.session .preview img { width: min(100%, 384px); border-radius: 4px; display: block; }
.session .preview figcaption { font-size: .9rem; color: var(--muted); margin-top: .3rem; }
.session .charts { display: grid; gap: 1rem 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
.session figure { margin: 0; min-width: 0; } .session figure h3 { margin: 0 0 .1rem; font-size: .95rem; }
.session .plot { height: 210px; }
.session .keys { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .85rem; color: var(--muted); margin: 0; }
.session .keys span::before { content: ""; display: inline-block; width: .6em; height: .6em; border-radius: 50%;
  margin-right: .4em; border: 2px solid var(--accent); background: var(--accent); }
.session .keys .faded::before { border-color: var(--muted); background: none; }
.session .keys .ring::before { border-color: var(--alarm); background: none; }
.session .keys .out::before { content: "×"; width: auto; height: auto; border: 0; background: none;
  font-weight: 700; line-height: 1; }
.session .keys .planned::before { border: 0; border-top: 2px dashed var(--muted); border-radius: 0; height: 0;
  width: 1.4em;
  background: none; vertical-align: middle; }
.session .over { overflow-x: auto; } .session summary { cursor: pointer; color: var(--accent); }
.session summary::before { content: "▸"; display: inline-block; width: 1.2em; }
.session summary > * { display: inline; } .session details[open] summary::before { content: "▾"; }
.plot :is(.xtick, .ytick, .g-xtitle, .g-ytitle) text { fill: var(--muted) !important; }
.plot .gridlayer path { stroke: var(--grid) !important; }
.plot .traceplanned path.js-line { stroke: var(--muted) !important; }
.plot .traceseen path.point { fill: var(--accent) !important; stroke: var(--accent) !important;
  stroke-width: 0 !important; }
.plot .tracefaded path.point { stroke: var(--muted) !important; opacity: .6 !important; }
.plot .traceexcluded path.point { stroke: var(--ink) !important; }
.plot .tracealarm path.point { stroke: var(--alarm) !important; }
.plot .tracechosen path.point { stroke: var(--ink) !important; }
@media (max-width: 560px) { .session .tilt { grid-template-columns: minmax(0, 1fr); }
  .session .numbers { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
"""
