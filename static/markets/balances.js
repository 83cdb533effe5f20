/**
 * Balances of the account: asset -> {free, locked} in units.
 *
 * account.status lists everything but shows a moment between asking and answering; outboundAccountPosition lists only
 * what changed, in order. So an event that arrived after the question beats the answer: if the answer was newer after
 * all, the event that made it newer is still to come. All values are absolute, so repeats change nothing.
 */

import { parseDecimal } from "./decimal.js";

export class BalanceStore {
  constructor() {
    this.clear();
  }

  clear() {
    this.assets = new Map();
    this.events = 0;
    this.loaded = false;
  }

  /** The present moment in terms of events; note it when asking for account.status. */
  mark() {
    return this.events;
  }

  /** Takes the result of account.status that was asked for at `mark`. */
  takeAccount(account, mark) {
    for (const row of account.balances) {
      const known = this.assets.get(row.asset);
      if (known === undefined || known.event <= mark) this.put(row.asset, row.free, row.locked);
    }
    this.loaded = true;
  }

  /** Takes an outboundAccountPosition event. */
  takePosition(event) {
    this.events += 1;
    for (const row of event.B) this.put(row.a, row.f, row.l);
  }

  put(asset, free, locked) {
    this.assets.set(asset, { free: parseDecimal(free), locked: parseDecimal(locked), event: this.events });
  }

  /** {free, locked}; zeros for an asset that the account has never held. */
  of(asset) {
    return this.assets.get(asset) ?? { free: 0n, locked: 0n };
  }

  /** [asset, {free, locked}] of everything held, by name. */
  held() {
    return [...this.assets]
      .filter(([, balance]) => balance.free > 0n || balance.locked > 0n)
      .sort(([left], [right]) => (left < right ? -1 : 1));
  }
}
