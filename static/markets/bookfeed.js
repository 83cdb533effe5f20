/**
 * Keeps a LocalBook in step with the server: stream first, then a snapshot, again after every gap or reconnect.
 */

import { Applied } from "./localbook.js";
import { getJson } from "./rest.js";
import { retryDelayMs } from "./backoff.js";

const SNAPSHOT_LIMIT = 1000;

/** Subscribes and follows; `onChange()` runs after each change of the book. */
export function followBook(feed, book, market, onChange) {
  let generation = 0;

  const restart = () => {
    generation += 1;
    book.restart();
    onChange();
    load(generation, 1);
  };

  const load = async (mine, attempt) => {
    let snapshot;
    try {
      snapshot = await getJson("/api/v3/depth", { symbol: market.symbol, limit: SNAPSHOT_LIMIT });
    } catch (error) {
      console.warn("the depth snapshot did not load:", error.message);
    }
    if (mine !== generation) return;
    if (snapshot !== undefined && book.applySnapshot(snapshot)) onChange();
    else window.setTimeout(() => mine === generation && load(mine, attempt + 1), retryDelayMs(attempt, Math.random()));
  };

  feed.subscribe(`${market.symbol.toLowerCase()}@depth@100ms`, {
    onReady: restart,
    onData: (event) => {
      const applied = book.applyDiff(event);
      if (applied === Applied.GAP) restart();
      else if (applied === Applied.APPLIED) onChange();
    },
  });
}
