"""The pages' style sheet, in the colours of the report, and the script that tells light from dark."""

from eucentric.report.look import DARK, LIGHT

_COLOURS = f"""
:root {{ color-scheme: light; {LIGHT} }}
:root.dark {{ color-scheme: dark; {DARK} }}
"""

_PAGE = """
html { scroll-behavior: smooth; background: var(--paper); }
body { background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.nicegui-content { display: block; padding: 0; max-width: none; }
.top { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem 1.4rem;
  padding: .6rem max(1.25rem, calc((100% - 1240px) / 2 + 1.25rem));
  border-bottom: 1px solid var(--grid); }
.top .name { font-weight: 650; color: var(--ink); }
.top nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; flex: 1; }
.top nav a { padding: .25rem 0; border-bottom: 2px solid transparent; }
.top nav a[aria-current] { color: var(--ink); border-color: var(--accent); }
.top .of { color: var(--muted); font-size: .9rem; overflow-wrap: anywhere; }
.top .theme { font: inherit; font-size: .9rem; color: var(--muted); background: none; border: 1px solid var(--grid);
  border-radius: 6px; padding: .15rem .6rem; min-height: 1.9rem; cursor: pointer; }
.top .theme:hover { border-color: var(--accent); color: var(--ink); }
:root:not(.dark) .theme .to-light, :root.dark .theme .to-dark { display: none; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: .5rem; top: .5rem; z-index: 9; padding: .4rem .8rem;
  background: var(--card); border-radius: 6px; }
.body { max-width: 1240px; margin: 0 auto; padding: 1.4rem 1.25rem 4rem; outline: none; }
.body.wide { max-width: none; }
a { color: var(--accent); text-decoration: none; } a:hover, a:focus-visible { text-decoration: underline; }
p { margin: 0 0 .8rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .6rem; font-weight: 650; letter-spacing: 0;
  overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 1.8rem 0 .6rem; font-weight: 620; letter-spacing: 0; }
h3 { font-size: 1rem; line-height: 1.3; margin: 1.2rem 0 .3rem; font-weight: 600; letter-spacing: 0; }
.caption, figcaption { color: var(--muted); font-size: .88rem; line-height: 1.45; max-width: 75ch; }
.quiet { color: var(--muted); }
.card { background: var(--card); border-radius: 8px; padding: .8rem .95rem; }
.warnings { background: var(--alarm-paper); border-left: 4px solid var(--alarm); border-radius: 4px;
  padding: .7rem 1rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem; margin: .8rem 0; }
.numbers > div { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
.numbers dt { color: var(--muted); font-size: .85rem; }
.numbers dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 560px) { .top { padding: .5rem .9rem; gap: .1rem 1rem; }
  .top .name { flex: none; } .top .of { flex: 1; min-width: 0; text-align: right; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; } .top .theme { margin-left: auto; } .top .of + .theme { margin-left: 0; }
  .top nav { order: 1; flex-basis: 100%; gap: .2rem 1.4rem; }
  .body { padding: 1rem .9rem 2.5rem; } .numbers dd { font-size: 1rem; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; }
  *, *::before, *::after { transition-duration: 0s !important; animation-duration: 0s !important; } }
"""

# Quasar writes its own colours on the body element when it starts, and of two that are important the one in the earlier
# layer holds.
_QUASAR = """
body { --q-primary: var(--accent) !important; --q-dark: var(--card) !important; --q-dark-page: var(--paper) !important;
  --q-negative: var(--alarm) !important; --q-warning: var(--alarm) !important; }
@layer theme { :root.dark .bg-primary.text-white, :root.dark .bg-negative.text-white {
  color: var(--paper) !important; } }
.q-btn { text-transform: none; letter-spacing: 0; font-weight: 550; border-radius: 6px; }
.q-btn::before { box-shadow: none; }
.q-tab { text-transform: none; } .q-tab__label { font-size: .95rem; font-weight: 550; }
.q-field__label { color: var(--muted); }
.q-menu, .q-dialog__inner > .q-card { background: var(--paper); color: var(--ink); border: 1px solid var(--grid); }
.q-table__card { background: var(--paper); color: var(--ink); box-shadow: none; }
"""

CSS = _COLOURS + _PAGE + _QUASAR

JS = """
"use strict";
// Light or dark as the system has it, until the switch says otherwise, which this browser remembers.
{
  const system = matchMedia("(prefers-color-scheme: dark)");
  function isDark() {
    const chosen = localStorage.getItem("eucentric-theme");
    return chosen ? chosen === "dark" : system.matches;
  }
  function showTheme() {
    const dark = isDark();
    document.documentElement.classList.toggle("dark", dark);
    if (window.Quasar && document.body) Quasar.Dark.set(dark);
  }
  showTheme();
  system.addEventListener("change", showTheme);
  addEventListener("load", showTheme);
  addEventListener("click", (event) => {
    if (!event.target.closest("button.theme")) return;
    const dark = !isDark();
    if (dark === system.matches) localStorage.removeItem("eucentric-theme");
    else localStorage.setItem("eucentric-theme", dark ? "dark" : "light");
    showTheme();
  });
}
"""
