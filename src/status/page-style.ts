/** What the status page has beside the style of evidence pages. */
export const STATUS_STYLE = `
.wrong { color: var(--bad); }
.concerns { margin: .6rem 0; padding-left: 1.2rem; }
.concerns li { margin-bottom: .35rem; }
.fix { font-size: .875em; color: var(--soft); }
.sources td:first-child { min-width: 6.5rem; }
.sizes td:nth-child(2) { min-width: 5.75rem; }
td.number { white-space: nowrap; }
.months { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: 1rem 1.5rem; }
.month h3 { margin: 0 0 .35rem; }
.days { display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 2px; }
.day { display: inline-flex; flex-direction: column; align-items: center; min-width: 1.6rem; border-radius: .25rem; font-size: .8rem; line-height: 1.15; padding: .15rem 0; background: var(--ground); color: var(--soft); }
.days .day { min-width: 0; }
.day b { font-weight: 400; font-size: .65rem; opacity: .8; }
.day.is-good { background: var(--good-ground); color: var(--good); }
.day.is-partial { background: var(--open-ground); color: var(--open); }
.day.is-bad { background: var(--bad-ground); color: var(--bad); }
.day.is-ahead { background: none; opacity: .45; }
.legend { margin-top: .75rem; }
@media print {
  .day { border: 1px solid var(--line); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .month { break-inside: avoid; }
}
`;
