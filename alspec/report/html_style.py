"""The style sheet of the HTML report: light, dark, print and phone."""

STYLE_SHEET = """\
:root {
  --paper: #ffffff; --ink: #1b1f24; --muted: #656d76; --grid: #e4e4e4; --line: #d5d9de;
  --soft: #f4f6f8; --blue: #0072b2; --green: #007d5a; --red: #c14f00; --note: #fff4d6;
  --shade: #00000038;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e6e8ea; --muted: #a3abb3; --grid: #343a40; --line: #3a4148;
    --soft: #1d2226; --blue: #5db0e8; --green: #3cc79c; --red: #ff9050; --note: #3a3016;
    --shade: #000000a0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 72rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.4rem; margin: 2.6rem 0 .6rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.08rem; margin: 1.8rem 0 .5rem; overflow-wrap: anywhere; }
p, li { max-width: 46rem; overflow-wrap: break-word; }
li { margin: .25rem 0; }
header p { color: var(--muted); margin: 0; }
a { color: var(--blue); }
nav ul { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; padding: 0; margin: 1rem 0 0;
  list-style: none; }
nav a { display: inline-block; padding: .3rem 0; }
main section:first-child { background: var(--soft); border-radius: .6rem;
  padding: .2rem 1.2rem .8rem; margin-top: 1.2rem; }
main section:first-child h2 { border: 0; margin-top: 0; }
main section:first-child .scroll { --paper: var(--soft); }
main section:first-child p, main section:first-child li { max-width: none; }
.note { background: var(--note); border-left: .3rem solid var(--red); padding: .6rem .9rem;
  border-radius: .2rem; }
.scroll { overflow-x: auto; margin: .8rem 0; background:
  linear-gradient(to right, var(--paper) 30%, transparent) left / 2.5rem 100% local,
  linear-gradient(to left, var(--paper) 30%, transparent) right / 2.5rem 100% local,
  linear-gradient(to right, var(--shade), transparent) left / .8rem 100%,
  linear-gradient(to left, var(--shade), transparent) right / .8rem 100%;
  background-repeat: no-repeat; }
.scroll:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
table { border-collapse: collapse; border: 0; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
th, td { border: 0; border-bottom: 1px solid var(--line); padding: .35rem .8rem;
  vertical-align: top; }
td:not(:first-child) { white-space: nowrap; }
td[align=left] { white-space: normal; overflow-wrap: anywhere; }
td[align=left]:last-child { min-width: 12rem; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--muted); }
tbody th { font-weight: 400; white-space: nowrap; }
.pictures { display: grid; gap: 1.2rem 2rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; max-width: 44rem; min-width: 0; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figure img { image-rendering: auto; border-radius: .2rem; }
figcaption { color: var(--muted); font-size: .88rem; margin-top: .35rem; }
figcaption strong { color: var(--ink); font-weight: 600; }
code { font: .9em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  background: var(--soft); padding: .1em .3em; border-radius: .2rem; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--blue); padding: .3rem 0; }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; }
  h1 { font-size: 1.5rem; }
  th, td { padding: .35rem .5rem; }
  tbody th { white-space: normal; min-width: 7.6rem; overflow-wrap: anywhere; }
  td[align=left] { min-width: 6.4rem; }
  main section:first-child { padding: .1rem .8rem .6rem; }
  ul { padding-left: 1.2rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --muted: #444; --soft: #fff; --line: #bbb; --note: #fff; }
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  .scroll { overflow: visible; }
  td:not(:first-child) { white-space: normal; }
  figure, tr, .note { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
