/** Times as the trader reads them: local, 24 hours, equal width. */

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

/** 14:05:09 */
export function clockText(ms) {
  return CLOCK.format(new Date(ms));
}

/** 2026-11-21 14:05:09 */
export function momentText(ms) {
  return `${DAY.format(new Date(ms))} ${clockText(ms)}`;
}
