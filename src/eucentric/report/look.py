"""The page's style sheet: light, dark, print and phone."""

LIGHT = """--paper: #ffffff; --ink: #1b2430; --muted: #667280; --grid: #e7eaee;
  --accent: #0b6e99; --alarm: #a8480b; --alarm-paper: #fdf3e7; --card: #f6f8fa;"""
DARK = """--paper: #14181d; --ink: #e4e9ee; --muted: #98a4b0;
  --grid: #2a3139; --accent: #58bce6; --alarm: #f2a65a; --alarm-paper: #2b2117; --card: #1b2127;"""
"""The colour of each role, as declarations; the web pages wear the same."""

CSS = (
    f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
"""
    + """* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; font-weight: 650; }
h2 {
  font-size: 1.25rem; margin: 3rem 0 .9rem; padding-top: .7rem; border-top: 1px solid var(--grid); font-weight: 620; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
.over { color: var(--muted); margin: 0 0 .15rem; }
nav { margin: .8rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .92rem; }
a { color: var(--accent); text-decoration: none; } a:hover, a:focus-visible { text-decoration: underline; }
.numbers {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); gap: .7rem; margin: 1.6rem 0 1rem;
  padding: 0; }
.numbers div { background: var(--card); border-radius: 8px; padding: .75rem .9rem; }
.numbers dt { color: var(--muted); font-size: .85rem; }
.numbers dd { margin: 0; } .numbers .value { font-size: 1.3rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; }
.numbers .note { color: var(--muted); font-size: .83rem; line-height: 1.4; }
.warnings {
  background: var(--alarm-paper); border-left: 4px solid var(--alarm); border-radius: 4px; padding: .7rem 1rem; }
.warnings p { margin: 0; font-weight: 600; color: var(--alarm); }
.warnings ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.warnings li { overflow-wrap: anywhere; }
.quiet { color: var(--muted); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1.8rem 2rem; }
.plots > figure { margin: 0; min-width: 0; max-width: 560px; } .plots > .wide { grid-column: 1 / -1; max-width: none; }
@media (min-width: 920px) { .plots > figure:last-child:nth-child(odd):not(.wide) { grid-column: 1 / -1; max-width: none;
  display: grid; grid-template-columns: 1fr 1fr; gap: 2rem; align-items: center; } }
.plots svg { display: block; width: 100%; height: auto; } .wide > svg { max-width: 860px; margin: 0 auto; }
.plots svg text { font-family: inherit !important; }
figcaption { color: var(--muted); font-size: .88rem; line-height: 1.45; }
.plots > figure > figcaption { margin-top: .4rem; max-width: 75ch; } .wide > figcaption { margin-inline: auto; }
.montage { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: .6rem; }
.tile { margin: 0; } .tile img { display: block; width: 100%; height: auto; border-radius: 3px; }
.tile figcaption { font-size: .78rem; display: flex; flex-wrap: wrap; justify-content: space-between; }
.tile b { color: var(--ink); font-weight: 550; font-variant-numeric: tabular-nums; }
.tile.out img { opacity: .45; outline: 2px solid var(--alarm); outline-offset: -2px; }
.tile .why { flex-basis: 100%; color: var(--alarm); overflow-wrap: anywhere; }
.player { max-width: 640px; margin: 0 auto; } .player canvas, .player img { display: block; width: 100%; height: auto;
  border-radius: 3px; background: #777; }
.controls { display: flex; gap: .8rem; align-items: center; margin-top: .5rem; }
.controls button {
  font: inherit; min-width: 5rem; padding: .3rem .8rem; border: 1px solid var(--muted); border-radius: 6px;
  background: var(--card); color: var(--ink); cursor: pointer; }
.controls input { flex: 1; min-width: 0; accent-color: var(--accent); }
.controls output { min-width: 7rem; text-align: right; font-variant-numeric: tabular-nums; color: var(--muted); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.tables { columns: 2 340px; column-gap: 2.5rem; } .tables section { break-inside: avoid; }
.tables h3:first-child { margin-top: 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin-bottom: 1.2rem; }
th, td { text-align: left; vertical-align: top; padding: .22rem .6rem .22rem 0; border-bottom: 1px solid var(--grid);
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: var(--muted); width: 45%; }
td.bar { width: 30%; }
.certificate th { width: auto; } .certificate tr > :first-child { color: var(--ink); white-space: nowrap; }
td.bar span { display: block; height: .7em; margin-top: .35em; border-radius: 2px; background: var(--accent); }
code { font-size: .85em; overflow-wrap: anywhere; }
@media (max-width: 560px) { body { padding: 1.1rem .9rem 2rem; } .numbers { grid-template-columns: 1fr 1fr; }
  .numbers .value { font-size: 1.15rem; } .montage { grid-template-columns: repeat(auto-fill, minmax(78px, 1fr)); } }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav, .controls button, .controls input { display: none; }
  h2 { break-after: avoid; margin-top: 1.5rem; } .numbers { grid-template-columns: repeat(4, 1fr); }
  .numbers .value { font-size: 1rem; } .plots { grid-template-columns: 1fr 1fr; gap: 1rem 1.4rem; }
  .wide > svg { max-width: 82%; } .player { max-width: 55%; }
  .montage { grid-template-columns: repeat(9, 1fr); }
  h2 { break-after: avoid; } figure, .numbers div, .warnings { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
)
