/** The style of an evidence page: no font, image or script from anywhere; light, dark and on paper. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1c2127; --soft: #5b6470; --line: #dde1e6; --paper: #ffffff; --ground: #f4f5f7;
  --good: #17703f; --bad: #b3261e; --open: #8a5a00; --good-ground: #e6f4ea; --bad-ground: #fbe9e7; --open-ground: #fdf1dc;
  --bar: #3d6fb6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed; --soft: #9aa4b0; --line: #333a43; --paper: #1b2026; --ground: #12161a;
    --good: #6fce97; --bad: #ff8f85; --open: #f2bf66; --good-ground: #12301f; --bad-ground: #3a1816; --open-ground: #33270f;
    --bar: #7aa7e6;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0; }
code { font: .85em/1.4 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { margin: .5rem 0 0; padding: .75rem; background: var(--ground); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
section, header { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem; margin-bottom: 1rem; }
header { border-left: .5rem solid var(--tone); background: var(--tone-ground); }
.proven { --tone: var(--good); --tone-ground: var(--good-ground); }
.damaged { --tone: var(--bad); --tone-ground: var(--bad-ground); }
.unproven { --tone: var(--open); --tone-ground: var(--open-ground); }
header h1 { color: var(--tone); }
.bad { margin: .6rem 0 0; padding: 0; list-style: none; overflow-wrap: anywhere; }
a { color: var(--bar); }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .9rem 1.5rem; margin: 0; }
.grid dt { color: var(--soft); font-size: .8rem; }
.grid dd { margin: 0; overflow-wrap: anywhere; }
.meter { height: .45rem; border-radius: .25rem; background: var(--line); overflow: hidden; margin-top: .3rem; }
.meter i { display: block; height: 100%; background: var(--tone, var(--bar)); }
.rows { list-style: none; margin: 0; padding: 0; }
.rows > li { border-top: 1px solid var(--line); padding: .55rem 0; display: grid; grid-template-columns: 8.5rem minmax(0, 1fr) auto; gap: .1rem 1rem; }
.rows > li:first-child { border-top: 0; }
.rows .what { overflow-wrap: anywhere; }
.rows .time { text-align: right; white-space: nowrap; color: var(--soft); font-size: .875rem; font-variant-numeric: tabular-nums; }
.mark { font-weight: 600; font-size: .875rem; white-space: nowrap; }
.passed .mark { color: var(--good); }
.failed .mark, .damaged .mark { color: var(--bad); }
.could-not-run .mark { color: var(--open); }
.line { display: grid; grid-template-columns: minmax(0, 17rem) minmax(0, 1fr) 4.5rem; gap: .75rem; align-items: center; font-size: .875rem; padding: .12rem 0; }
.line .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { height: .8rem; background: var(--ground); border-radius: .2rem; position: relative; overflow: hidden; }
.track i { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--bar); border-radius: .2rem; }
.failed .track i, .damaged .track i { background: var(--bad); }
.could-not-run .track i { background: var(--open); }
.line .time { text-align: right; color: var(--soft); font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
th, td.word { overflow-wrap: normal; }
th { color: var(--soft); font-weight: 500; border-top: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) {
  main { padding: .75rem .6rem 2rem; }
  section, header { padding: .9rem; }
  .rows > li { grid-template-columns: minmax(0, 1fr) auto; }
  .rows .what { grid-column: 1 / -1; grid-row: 2; }
  .line { grid-template-columns: minmax(0, 1fr) 4.5rem; }
  .line .track { grid-column: 1 / -1; grid-row: 2; height: .4rem; }
  .line .name { white-space: normal; }
  .wide { display: none; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --good: #0b5a2e; --bad: #9c1c14; --open: #6b4500; --bar: #555; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  section, header { break-inside: auto; border-radius: 0; }
  .rows > li, .line, tr { break-inside: avoid; }
  .track, .meter { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
