/**
 * The order form: percent buttons, preview and sending.
 *
 * Amount and total are two views of one order. For an order with a limit price each follows the other at the price. For
 * a market order the one typed last is what is sent, and the other shows the estimate as its placeholder.
 *
 * An attempt keeps its client order id until its outcome is known: pressing the button again after a lost connection,
 * with nothing changed, repeats the same order and cannot make a second one (T15).
 */

import { AllocationChoice } from "./allocationchoice.js";
import { blockRequest, readBlock } from "./blockorder.js";
import { DecimalError, formatDecimal, multiply, parseDecimal, percentOf } from "./decimal.js";
import { byId, setText } from "./dom.js";
import { buffered, neededFunds, orderRequest, quantityForPercent, quantityTextForTotal, readDraft } from "./orderdraft.js";
import { OrderFields } from "./orderfields.js";
import { FIELDS, hasLimit } from "./orderkinds.js";
import { previewOrder } from "./orderpreview.js";
import { showEstimates, showPreview } from "./previewview.js";
import { UNKNOWN_OUTCOME, refusalOf } from "./refusals.js";
import { ApiError } from "./rest.js";
import { NotConnected, Unanswered } from "./tradingsession.js";

/** Parameters that a repeat of the same attempt takes from the first one. */
const isOfTheAttempt = (name) => name === "goodTillDate" || name.endsWith("ClientOrderId");
const STEPPED = ["price", "stop", "stopLimit"];
const ALL_STEPPED = [...STEPPED, "profit", "loss"];

export class OrderForm {
  /** `place(request)` sends an order; `account` = {balances, rates: {maker, taker}}; `onPlaced(result)` and `onUnknown(id)` tell the page. */
  constructor({ market, book, account, place, onPlaced, onUnknown }) {
    Object.assign(this, { market, book, account, place, onPlaced, onUnknown });
    this.form = byId("order-form");
    this.fields = new OrderFields(market);
    this.inputs = this.fields.inputs;
    this.allocation = new AllocationChoice({ market, form: this.form, onEdit: () => this.editedOther() });
    this.by = "quantity";
    this.attempt = null;
    this.sending = false;
    this.priceIsOwn = false;
    // Whether a call auction collects orders.
    this.collects = false;
    this.touched = new Set();
    this.form.addEventListener("submit", (event) => this.submit(event));
    this.form.addEventListener("change", (event) => event.target.matches("[type=radio], [type=checkbox], select") && this.changeKind());
    for (const field of FIELDS) this.inputs[field].addEventListener("input", () => this.edited(field));
    for (const field of ALL_STEPPED) this.inputs[field].addEventListener("keydown", (event) => this.stepPrice(event, field));
    byId("order-percent").addEventListener("click", (event) => this.usePercent(Number(event.target.closest("button")?.dataset.percent)));
    this.changeKind();
  }

  get side() {
    return this.form.elements.side.value;
  }

  get kind() {
    return this.form.elements.kind.value;
  }

  /** Whether the order names a price that the total follows. */
  get limit() {
    return hasLimit(this.fields.read());
  }

  chooseSide(side) {
    this.form.elements.side.value = side;
    this.changeKind();
    this.inputs[this.limit ? "price" : "quantity"].focus();
  }

  /** Takes a price from the book. */
  usePrice(price) {
    if (!this.limit) this.form.elements.kind.value = "LIMIT";
    this.changeKind();
    this.inputs.price.value = formatDecimal(price, this.market.pricePlaces);
    this.edited("price");
  }

  changeKind() {
    const { base } = this.market;
    this.form.dataset.side = this.side;
    this.fields.show(this.fields.read());
    this.allocation.follow();
    if (!this.limit) {
      this.priceIsOwn = false;
      this.inputs[this.kind === "MARKET" && this.by === "total" ? "quantity" : "total"].value = "";
    }
    setText(byId("order-submit-text"), `${this.side === "BUY" ? "Buy" : "Sell"} ${base}`);
    this.touched.clear();
    this.clearErrors();
    this.refresh();
  }

  /** Starts the price of a plain limit order with the best of the own side, once. A price that the user emptied stays empty. */
  suggestPrice() {
    const best = (this.side === "BUY" ? this.book.bids : this.book.asks)[0];
    if (best !== undefined && this.inputs.price.value === "" && this.kind === "LIMIT" && !this.priceIsOwn) {
      this.priceIsOwn = true;
      this.inputs.price.value = formatDecimal(best.price, this.market.pricePlaces);
    }
  }

  editedOther() {
    setText(byId("order-form-error"), "");
    this.refresh();
  }

  edited(field) {
    this.touched.add(field);
    setText(byId("order-form-error"), "");
    if (field === "price") this.priceIsOwn = true;
    else if (field === "quantity" || field === "total") this.by = field;
    if (this.limit) this.linkFields(field);
    else if (field === "quantity" || field === "total") this.inputs[field === "total" ? "quantity" : "total"].value = "";
    this.refresh();
  }

  linkFields(field) {
    const price = amountOf(this.inputs.price.value);
    if (price === null || !["price", "quantity", "total"].includes(field)) return;
    if (field === "total") {
      const total = amountOf(this.inputs.total.value);
      if (total !== null) this.inputs.quantity.value = quantityTextForTotal(total, price, this.market);
      return;
    }
    const quantity = amountOf(this.inputs.quantity.value);
    this.inputs.total.value = quantity === null ? "" : formatDecimal(multiply(price, quantity), 0);
  }

  /** Arrow up and down in a price field move it by one tick. */
  stepPrice(event, field) {
    const direction = { ArrowUp: 1n, ArrowDown: -1n }[event.key];
    if (direction === undefined) return;
    const price = amountOf(this.inputs[field].value);
    if (price === null || price + direction * this.market.tick <= 0n) return;
    event.preventDefault();
    this.inputs[field].value = formatDecimal(price + direction * this.market.tick, this.market.pricePlaces);
    this.edited(field);
  }

  usePercent(percent) {
    if (!percent) return;
    const spends = this.side === "BUY" ? this.market.quote : this.market.base;
    const { free } = this.account.balances.of(spends);
    if (this.kind === "MARKET" && this.side === "BUY" && this.market.acceptsMarketByTotal) {
      this.inputs.total.value = formatDecimal(percentOf(free, percent), 0);
      this.edited("total");
      return;
    }
    const price = this.priceToPay();
    if (price === null && this.side === "BUY") {
      this.fields.showErrors({ [this.limit ? "price" : "stop"]: "Enter a price first." });
      return;
    }
    const quantity = quantityForPercent(this.side, percent, free, price ?? 0n, this.market);
    this.inputs.quantity.value = quantity > 0n ? formatDecimal(quantity, 0) : "0";
    this.edited("quantity");
  }

  /** The highest price that the order may pay, as far as the form says; the best of the book for a market order. */
  priceToPay() {
    if (this.kind === "MARKET") return this.book.asks[0]?.price ?? null;
    const [price, stop, stopLimit] = STEPPED.map((field) => amountOf(this.inputs[field].value));
    const ofStop = this.kind === "OCO" ? (stopLimit ?? buffered(stop, this.market)) : this.limit ? null : buffered(stop, this.market);
    const named = [this.limit ? price : null, ofStop];
    return named.reduce((most, price) => (price !== null && (most === null || price > most) ? price : most), null);
  }

  /** {errors, draft, block} of readDraft or, with an allocation rule, of readBlock. */
  read() {
    const form = { ...this.fields.read(), by: this.kind === "MARKET" ? this.by : "quantity" };
    const read = readDraft(form, this.market);
    const { rule, texts } = this.allocation;
    return rule === null ? { ...read, block: null } : readBlock(read, form, rule, texts, this.market);
  }

  /** Draws errors of touched fields, the available balance and the preview again. */
  refresh() {
    this.suggestPrice();
    const spends = this.side === "BUY" ? this.market.quote : this.market.base;
    const { balances } = this.account;
    setText(byId("order-available"), balances.loaded ? `${formatDecimal(balances.of(spends).free, 2, { group: true })} ${spends}` : "–");
    const { errors, draft, block } = this.read();
    const preview = draft === null ? null : this.preview(draft);
    if (preview !== null) Object.assign(errors, this.fundsErrors(draft, preview));
    const shown = Object.entries(errors).filter(([field]) => this.touched.has(field) || field === "allocation" || (field === "total" && this.touched.has("quantity")));
    this.fields.showErrors(Object.fromEntries(shown));
    this.allocation.preview(draft, block);
    const shape = { market: this.market, side: this.side, kind: this.kind, by: this.by };
    showPreview(preview, shape);
    showEstimates(preview, this.inputs, shape);
  }

  preview(draft) {
    return previewOrder(draft, this.book, this.market, this.account.rates, { collects: this.collects });
  }

  fundsErrors(draft, preview) {
    // A block order takes from the accounts of its rule.
    if (!this.account.balances.loaded || this.allocation.rule !== null) return {};
    const need = neededFunds(draft, this.market, preview.walk.cost);
    const { free } = this.account.balances.of(need?.asset ?? this.market.quote);
    if (need === null || need.units <= free) return {};
    return { [this.amountField()]: `Not enough ${need.asset}: ${formatDecimal(free, 0)} available.` };
  }

  amountField() {
    return this.kind === "MARKET" && this.by === "total" ? "total" : "quantity";
  }

  async submit(event) {
    event.preventDefault();
    if (this.sending) return;
    for (const field of FIELDS) this.touched.add(field);
    this.refresh();
    const { errors, draft, block } = this.read();
    if (draft !== null) Object.assign(errors, this.fundsErrors(draft, this.preview(draft)));
    if (Object.keys(errors).length > 0) {
      this.showRefusal(errors);
      return;
    }
    const request = this.request(draft, block);
    this.setSending(true);
    try {
      const result = await this.place(request);
      this.attempt = null;
      this.clearAmounts();
      this.onPlaced(result);
    } catch (error) {
      this.refused(error, idOf(request));
    } finally {
      this.setSending(false);
    }
  }

  request(draft, block) {
    const single = orderRequest(draft, this.market, newClientOrderId(), Date.now(), this.account.rates);
    const fresh = block === null ? single : blockRequest(single, block);
    if (this.attempt === null || !isRepeat(fresh, this.attempt)) this.attempt = fresh;
    return this.attempt;
  }

  refused(error, clientOrderId) {
    if (error instanceof Unanswered || (error instanceof ApiError && error.code === UNKNOWN_OUTCOME)) {
      this.fields.showErrors({ form: "No answer yet: this order may or may not have been placed. Checking your orders. Sending it again unchanged is safe." });
      this.onUnknown(clientOrderId);
      return;
    }
    if (!(error instanceof ApiError) && !(error instanceof NotConnected)) throw error;
    this.attempt = null;
    const refusal = error instanceof ApiError ? refusalOf(error, { block: this.allocation.rule !== null }) : { field: "form", text: error.message };
    let field = refusal.field === "amount" ? this.amountField() : refusal.field;
    if (this.inputs[field]?.closest(".order-field").hidden) field = "form";
    this.showRefusal({ [field]: refusal.text });
  }

  showRefusal(errors) {
    this.fields.showErrors(errors);
    if (!this.fields.focusFirst(errors) && errors.allocation !== undefined) this.allocation.focus();
  }

  /** The order with this client id turned up after all, so the attempt is over. An OCO turns up leg by leg. */
  settled(clientOrderId) {
    if (this.attempt === null || !Object.values(this.attempt.params).includes(clientOrderId)) return;
    this.attempt = null;
    this.clearAmounts();
    this.clearErrors();
  }

  clearAmounts() {
    for (const field of ["quantity", "total", "visible", "profit", "loss"]) this.inputs[field].value = "";
    this.allocation.clear();
    this.touched.clear();
    this.refresh();
  }

  setSending(sending) {
    this.sending = sending;
    byId("order-submit").setAttribute("aria-busy", String(sending));
  }

  clearErrors() {
    this.fields.showErrors({ form: "" });
  }
}

function amountOf(text) {
  try {
    return parseDecimal(text.trim());
  } catch (error) {
    if (error instanceof DecimalError) return null;
    throw error;
  }
}

function idOf({ params }) {
  return params.newClientOrderId ?? params.listClientOrderId;
}

function isRepeat(fresh, attempt) {
  const names = new Set([...Object.keys(fresh.params), ...Object.keys(attempt.params)]);
  return fresh.method === attempt.method && [...names].every((name) => isOfTheAttempt(name) || fresh.params[name] === attempt.params[name]);
}

/** A client order id of this page. Random bytes by getRandomValues, which also works without HTTPS. */
function newClientOrderId() {
  const bytes = crypto.getRandomValues(new Uint8Array(14));
  return `web-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
