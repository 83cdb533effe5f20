/**
 * Candles for the chart: rows of /api/v3/klines and kline events as drawing values. Floating point is fine here,
 * because a drawn candle is never sent back.
 */

import { parseDecimal, toDrawing } from "./decimal.js";

export const INTERVALS = Object.freeze(["1s", "1m", "5m", "15m", "1h", "4h", "1d", "1w", "1M"]);

/** {time, open, high, low, close, volume} of a REST row; time in seconds. */
export function candleFromRow(row) {
  return candle(row[0], row[1], row[2], row[3], row[4], row[5]);
}

/** The same of a kline event's `k`. */
export function candleFromEvent(k) {
  return candle(k.t, k.o, k.h, k.l, k.c, k.v);
}

/** Joins older rows in front of newer ones, without repeating a time. */
export function joinOlder(older, newer) {
  const firstTime = newer.length > 0 ? newer[0].time : Infinity;
  return [...older.filter((bar) => bar.time < firstTime), ...newer];
}

/** Moving average of the closes: {time, value} from the first bar that has `length` closes. */
export function movingAverage(candles, length) {
  const points = [];
  let sum = 0;
  candles.forEach((bar, index) => {
    sum += bar.close;
    if (index >= length) sum -= candles[index - length].close;
    if (index >= length - 1) points.push({ time: bar.time, value: sum / length });
  });
  return points;
}

function candle(openMs, open, high, low, close, volume) {
  const [o, h, l, c, v] = [open, high, low, close, volume].map((text) => toDrawing(parseDecimal(text)));
  return { time: openMs / 1000, open: o, high: h, low: l, close: c, volume: v };
}
