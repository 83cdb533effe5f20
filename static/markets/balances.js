/**
 * Balances of the account: asset -> {free, locked} in units, with the time of the last word on each.
 *
 * account.status lists everything but may be older than an event that arrived meanwhile; outboundAccountPosition lists
 * only what changed. The newer word wins for each asset. All values are absolute, so repeats change nothing.
 */

import { parseDecimal } from "./decimal.js";

export class BalanceStore {
  constructor() {
    this.clear();
  }

  clear() {
    this.assets = new Map();
    this.loaded = false;
  }

  /** Takes the result of account.status. */
  takeAccount(account) {
    for (const row of account.balances) this.put(row.asset, row.free, row.locked, account.updateTime);
    this.loaded = true;
  }

  /** Takes an outboundAccountPosition event; returns the assets that it names. */
  takePosition(event) {
    for (const row of event.B) this.put(row.a, row.f, row.l, event.u);
    return event.B.map((row) => row.a);
  }

  put(asset, free, locked, atMs) {
    const known = this.assets.get(asset);
    if (known !== undefined && known.atMs > atMs) return;
    this.assets.set(asset, { free: parseDecimal(free), locked: parseDecimal(locked), atMs });
  }

  /** {free, locked}; zeros for an asset that the account has never held. */
  of(asset) {
    return this.assets.get(asset) ?? { free: 0n, locked: 0n, atMs: 0 };
  }

  /** [asset, {free, locked}] of everything held, by name. */
  held() {
    return [...this.assets]
      .filter(([, balance]) => balance.free > 0n || balance.locked > 0n)
      .sort(([left], [right]) => (left < right ? -1 : 1));
  }
}
