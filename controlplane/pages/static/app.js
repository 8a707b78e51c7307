// The page of an app: asks this site for a token, and the runner for the answer. Values and answer stay between browser and runner;
// this site is told the salted digest of the values. An answer is shown only if the runner's signature on it holds.
"use strict";

(() => {
  const encoder = new TextEncoder();
  const LOCAL_NETWORK = ["local-network-access", "local-network"];

  const base64url = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const fromBase64url = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  const sha256 = async (bytes) => base64url(await crypto.subtle.digest("SHA-256", bytes));

  // A trouble that a person reads: what happened, and what helps.
  class Trouble extends Error {
    constructor(text, { again = false } = {}) {
      super(text);
      this.again = again;  // nothing was done, and a new token may do
    }
  }

  // JSON of a field, "" where it is left out. Whole numbers keep their digits, which a JavaScript number would round.
  const written = (field) => {
    switch (field.dataset.kind) {
      case "boolean": return JSON.stringify(field.checked);
      case "choice": return field.value;
      case "integer": return field.value === "" ? "" : BigInt(field.value).toString();
      case "number": return field.value === "" ? "" : JSON.stringify(Number(field.value));
      default: return field.value === "" && !field.required ? "" : JSON.stringify(field.value);
    }
  };

  const inputOf = (form) => {
    const members = [];
    for (const field of form.querySelectorAll("[data-kind]")) {
      let value;
      try {
        value = written(field);
      } catch {
        throw new Trouble(`“${field.labels[0].textContent.trim()}” is not a whole number.`);
      }
      if (value !== "") members.push(`${JSON.stringify(field.name)}:${value}`);
    }
    const salt = base64url(crypto.getRandomValues(new Uint8Array(16)));
    return `{"params":{${members.join(",")}},"salt":"${salt}"}`;
  };

  const minted = async (form, input) => {
    let reply;
    try {
      reply = await fetch(form.dataset.mint, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-App-Page": "1" },
        body: JSON.stringify({ digest: await sha256(encoder.encode(input)) }),
        redirect: "error",
      });
    } catch {
      throw new Trouble("This site does not answer. Nothing was done.");
    }
    if (reply.status === 401) throw new Trouble("You are signed out. Load the page again; nothing was done.");
    const said = await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Trouble(`No token: ${said.errors?.[0] ?? `HTTP ${reply.status}`}. Nothing was done.`);
    return said;
  };

  // "granted", "denied", "prompt", or "" where the browser does not ask at all.
  const localNetwork = async () => {
    for (const name of LOCAL_NETWORK) {
      try {
        return (await navigator.permissions.query({ name })).state;
      } catch {
        // not known under this name
      }
    }
    return "";
  };

  const unreached = async (form) => {
    const may = "asksFirst" in form.dataset ? " If it was reached, it may have been done." : "";
    const state = await localNetwork();
    if (state === "denied") {
      return new Trouble(`This browser does not let this site reach a private network: allow “local network” in the settings of this site, and load the page again.${may}`);
    }
    if (state === "prompt") {
      return new Trouble(`The runner was not reached. If the browser asked whether this site may reach the local network, say yes; see below.${may}`);
    }
    return new Trouble(`The runner was not reached; see below.${may}`);
  };

  const asked = async (form, token, input) => {
    const { url } = token;
    const wait = (Number(form.dataset.seconds) + 60) * 1000;
    const options = {
      method: "POST",
      mode: "cors",
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.token, input }),
      signal: AbortSignal.timeout(wait),
    };
    // Only then may a secure page ask over plain HTTP: the browser then lets it into a private network alone.
    if (location.protocol === "https:" && url.startsWith("http:")) options.targetAddressSpace = "local";
    let reply, body;
    try {
      reply = await fetch(url, options);
      body = await reply.arrayBuffer();
    } catch {
      throw await unreached(form);
    }
    return { status: reply.status, proof: reply.headers.get("X-Runner-Proof"), body };
  };

  const isProven = async (token, reply) => {
    const text = `PL2-PROOF\n${token.jti}\n${reply.status}\n${await sha256(reply.body)}`;
    const curve = { name: "ECDSA", namedCurve: "P-256" };
    for (const jwk of token.runner_keys) {
      const key = await crypto.subtle.importKey("jwk", jwk, curve, false, ["verify"]);
      let signature;
      try {
        signature = fromBase64url(reply.proof);
      } catch {
        return false;
      }
      if (await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, encoder.encode(text))) return true;
    }
    return false;
  };

  // JSON with whole numbers as they were written, where the browser tells how.
  const parsed = (text) =>
    JSON.parse(text, (_name, value, context) =>
      typeof value === "number" && !Number.isSafeInteger(value) && /^-?[0-9]+$/.test(context?.source ?? "")
        ? BigInt(context.source)
        : value);
  const jsonOf = (value, indent) =>
    JSON.stringify(value, (_name, each) => (typeof each === "bigint" ? JSON.rawJSON(each.toString()) : each), indent);

  // What the runner says, believed only with its signature. Refusals from before it read the token have none.
  const believed = async (token, reply) => {
    if (reply.proof !== null && !(await isProven(token, reply))) {
      throw new Trouble("The answer was altered on its way, and is not shown. It may have been done. Tell your administrator.");
    }
    let said;
    try {
      said = parsed(new TextDecoder().decode(reply.body));
    } catch {
      said = {};
    }
    if (reply.proof === null) {
      if (reply.status === 200) {
        throw new Trouble("The answer does not bear the runner's signature, and is not shown. It may have been done. Tell your administrator.");
      }
      throw new Trouble(`Refused, by nobody who can be told for sure (HTTP ${reply.status}): ${said.error?.message ?? "no reason given"}.`);
    }
    if (reply.status === 200) return said;
    throw refusal(reply.status, said.error ?? {});
  };

  const refusal = (status, error) => {
    switch (error.code) {
      case "expired":
      case "instance": return new Trouble("The token ended before it was used. Nothing was done; ask again.", { again: true });
      case "used": return new Trouble("The token was used before. If you did not ask twice, somebody else did: tell your administrator.");
      case "denied": return new Trouble(`The runner's policy does not allow this${error.rule ? ` (rule “${error.rule}”)` : ""}. Nothing was done.`);
      case "busy": return new Trouble("The runner is busy. Nothing was done; ask again in a moment.");
      case "timeout": return new Trouble("The runner has no outcome in time. It may have been done.");
      default: return new Trouble(`${error.message ?? `HTTP ${status}`}. Nothing was done.`);
    }
  };

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // Columns and rows of an output that is a table: of a database, or a list of objects. Everything else is shown as JSON.
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const tabular = (outputs) => {
    if (Array.isArray(outputs?.columns) && Array.isArray(outputs?.rows) && outputs.rows.every(Array.isArray)) {
      const columns = outputs.columns.map((column) => String(isObject(column) ? column.name : column));
      return { columns, rows: outputs.rows, truncated: outputs.truncated === true };
    }
    if (!Array.isArray(outputs) || !outputs.every(isObject)) return null;
    const columns = [...new Set(outputs.flatMap((row) => Object.keys(row)))];
    return { columns, rows: outputs.map((row) => columns.map((column) => row[column])), truncated: false };
  };

  const cellText = (value) => (typeof value === "string" ? value : value === undefined ? "" : jsonOf(value));

  const tableOf = ({ columns, rows, truncated }) => {
    const table = element("table", undefined, "cards");
    table.append(element("caption", `${rows.length} ${rows.length === 1 ? "row" : "rows"}${truncated ? ", and there are more" : ""}`));
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = element("th", column);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((value, index) => {
        const cell = element("td", cellText(value));
        cell.dataset.label = columns[index] ?? "";
        line.append(cell);
      });
    }
    return table;
  };

  const shown = (form, said) => {
    const parts = [];
    if (said.outcome === "succeeded") {
      parts.push(element("p", `Done in ${said.duration_ms} ms; the runner's signature holds.`, "quiet"));
    } else {
      const error = said.error ?? {};
      const code = [error.code, error.detail].filter(Boolean).join(" ");
      const may = error.may_have_run ? " It may have been done." : "";
      parts.push(element("p", `${said.outcome}: ${code}: ${error.message ?? ""}${may}`, "failure"));
    }
    if (said.outputs !== undefined && said.outputs !== null) {
      const found = form.dataset.show === "table" ? tabular(said.outputs) : null;
      parts.push(found === null ? element("pre", jsonOf(said.outputs, 2)) : tableOf(found));
    }
    return parts;
  };

  const once = async (form, input) => {
    const token = await minted(form, input);
    return believed(token, await asked(form, token, input));
  };

  const answered = async (form) => {
    if (!crypto.subtle) throw new Trouble("Open this page over HTTPS: without it, the browser can check no signature.");
    const input = inputOf(form);
    try {
      return await once(form, input);
    } catch (trouble) {
      if (!trouble.again) throw trouble;
      return once(form, input);
    }
  };

  const isSure = (form) => {
    const dialog = document.querySelector(`[data-dialog="${form.dataset.query}"]`);
    if (dialog === null) return Promise.resolve(true);
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((resolve) =>
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
  };

  const submit = async (form) => {
    const answer = document.querySelector(`[data-answer="${form.dataset.query}"]`);
    const button = form.querySelector("button");
    if (button.disabled || !(await isSure(form))) return;
    button.disabled = true;
    answer.replaceChildren(element("p", "The runner is asked …", "quiet"));
    try {
      answer.replaceChildren(...shown(form, await answered(form)));
    } catch (trouble) {
      const text = trouble instanceof Trouble ? trouble.message : `This page failed: ${trouble}`;
      answer.replaceChildren(element("p", text, "failure"));
    } finally {
      button.disabled = false;
    }
  };

  for (const form of document.querySelectorAll("form[data-query]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form);
    });
  }
})();
