/**
 * Forms that take a passkey. On submit the site is asked for a question (POST to data-options with the purpose in
 * data-passkey), the browser's authenticator for its answer, and the form goes with that answer in its field `passkey`.
 * A form with a button [data-passkey-button] does so for that button alone. What the authenticator refuses is said under the button; what the site refuses, on the page that it sends.
 */

/** Purpose of a question to make a passkey; all others are to show one. */
const ADD = "add";

/** By DOMException.name (Web Authentication, 5.1.3 and 5.1.4). Browsers do not tell a refusal from a missing passkey. */
const REFUSALS = {
  AbortError: "It was cancelled. Try again when you are ready.",
  ConstraintError: "This device cannot check that it is you. Set up a PIN, finger or face on it, or use another one.",
  InvalidStateError: "This device has a passkey of your account already.",
  NotSupportedError: "This device cannot make the kind of passkey that is needed. Use another one.",
  SecurityError: "Your browser allows no passkeys at this address.",
};

function bytesOf(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(window.atob(base64), (letter) => letter.charCodeAt(0));
}

function textOf(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return window.btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function withBytes(descriptors) {
  return (descriptors ?? []).map((each) => ({ ...each, id: bytesOf(each.id) }));
}

function creationOptions(options) {
  return {
    ...options,
    challenge: bytesOf(options.challenge),
    user: { ...options.user, id: bytesOf(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials),
  };
}

function requestOptions(options) {
  return {
    ...options, challenge: bytesOf(options.challenge), allowCredentials: withBytes(options.allowCredentials),
  };
}

function answerOf(credential) {
  const { response } = credential;
  const answer = { clientDataJSON: textOf(response.clientDataJSON) };
  if ("attestationObject" in response) {
    answer.attestationObject = textOf(response.attestationObject);
    answer.transports = response.getTransports?.() ?? [];
  } else {
    answer.authenticatorData = textOf(response.authenticatorData);
    answer.signature = textOf(response.signature);
    if (response.userHandle) answer.userHandle = textOf(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: textOf(credential.rawId),
    type: credential.type,
    response: answer,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

class Refused extends Error {}

/** The question for the authenticator. Throws Refused with what the site says. */
async function askSite(form) {
  const body = new URLSearchParams({
    csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, purpose: form.dataset.passkey,
  });
  let answer;
  try {
    answer = await window.fetch(form.dataset.options, { method: "POST", body });
  } catch {
    throw new Refused("The site did not answer. Are you connected? Try again.");
  }
  if (!answer.headers.get("content-type")?.startsWith("application/json")) {
    throw new Refused("You are logged out, or the site has a fault. Load this page again.");
  }
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.error);
  return said.publicKey;
}

async function askAuthenticator(purpose, options) {
  const began = performance.now();
  try {
    return purpose === ADD
      ? await navigator.credentials.create({ publicKey: creationOptions(options) })
      : await navigator.credentials.get({ publicKey: requestOptions(options) });
  } catch (error) {
    if (error.name === "NotAllowedError") {
      const isLate = performance.now() - began >= options.timeout;
      throw new Refused(isLate ? "It took too long. Try again." : "It was cancelled, or there is no passkey for it here.");
    }
    throw new Refused(REFUSALS[error.name] ?? `The passkey did not work (${error.name}). Try again.`);
  }
}

function isSupported() {
  return window.isSecureContext && "PublicKeyCredential" in window && "credentials" in navigator;
}

function wire(form) {
  const button = form.querySelector("[data-passkey-button]") ?? form.querySelector("button[type=submit]");
  const status = form.querySelector("[data-passkey-status]");
  if (!isSupported()) {
    status.textContent = "This browser knows no passkeys, or not at an address without HTTPS.";
    return;
  }
  status.textContent = "";
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    if (event.submitter !== null && event.submitter !== button) return;
    event.preventDefault();
    button.disabled = true;
    status.textContent = "Your browser asks for the passkey now.";
    try {
      const credential = await askAuthenticator(form.dataset.passkey, await askSite(form));
      form.elements.passkey.value = JSON.stringify(answerOf(credential));
      status.textContent = "";
      form.submit();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      status.textContent = error.message;
      for (const each of form.querySelectorAll("[type=submit]")) each.disabled = false;
    }
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) wire(form);
