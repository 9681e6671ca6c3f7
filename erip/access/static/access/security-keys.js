// Asks the browser for a security key, and sends its answer with the form. Options and answers are JSON as WebAuthn
// level 3 has it; written out here, as browsers of 2024 do not convert it themselves.
(() => {
  "use strict";

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const read = (options) => {
    const found = { ...options, challenge: bytes(options.challenge) };
    if (found.user) found.user = { ...found.user, id: bytes(found.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (found[list]) found[list] = found[list].map((one) => ({ ...one, id: bytes(one.id) }));
    }
    return found;
  };

  const written = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  };

  const said = {
    NotAllowedError: "No security key answered. Try again.",
    InvalidStateError: "This security key is here already.",
    SecurityError: "This page is not where security keys may be used: open the platform by its own name.",
  };

  for (const form of document.querySelectorAll("form[data-security-key]")) {
    const note = form.querySelector("[data-said]");
    const button = form.querySelector("button[type=submit], button:not([type])");
    if (!window.PublicKeyCredential) {
      note.textContent = "This browser has no security keys, or the page did not come by HTTPS.";
      button.disabled = true;
      continue;
    }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      note.textContent = "Touch your security key, or do what the browser asks for.";
      try {
        const options = read(JSON.parse(form.dataset.options));
        const credential = await navigator.credentials[form.dataset.securityKey]({ publicKey: options });
        form.elements.credential.value = written(credential);
        form.submit();
      } catch (error) {
        note.textContent = said[error.name] || `The browser refused: ${error.message}`;
        button.disabled = false;
      }
    });
  }
})();
