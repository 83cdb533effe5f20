/**
 * The notice that market data is silent. The exchange decides it and says so (`staleSince` of market states): a market
 * in which nothing happens is not silent, and a page that slept knows no better.
 */

import { byId, setText } from "./dom.js";
import { clockText } from "./times.js";

export function silenceText(sinceMs) {
  return sinceMs === null
    ? ""
    : `Market data has been silent since ${clockText(sinceMs)}: prices, book and chart may be old. Orders and cancels do not depend on it.`;
}

export function showSilence(sinceMs) {
  byId("silence").hidden = sinceMs === null;
  setText(byId("silence-text"), silenceText(sinceMs));
}
