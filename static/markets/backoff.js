/**
 * Waiting times between attempts to reconnect: doubling, half of it at random, so that a restart of the server does not
 * bring every page back in the same instant. The first retry is quick, since most losses are short.
 */

export const BASE_MS = 500;
export const MAX_MS = 15000;

/** Milliseconds before retry `attempt` (from 1). `random` is in [0, 1). */
export function retryDelayMs(attempt, random) {
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
