// What scripts that sign requests need of the web's own functions: TextEncoder, TextDecoder (UTF-8), digests and HMAC of
// crypto.subtle, and the encodings hex, base64 and base64url of Deno's std. The engine has no digests: they are asked of whoever runs
// the script. Evaluates to digests(answers): without answers it returns what is wanted, a JSON object by number; with them, a list, it settles it.
(() => {
  "use strict";
  const { parse, stringify } = JSON;
  const MAX_BYTES = 1048576;
  const HASHES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  const bytesOf = (data) => {
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    throw new TypeError("the data must be an ArrayBuffer or a view of one");
  };

  const utf8 = (text) => {
    const bytes = [];
    for (const character of String(text)) {
      let point = character.codePointAt(0);
      if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
      if (point < 0x80) bytes.push(point);
      else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
      else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
      else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    }
    return new Uint8Array(bytes);
  };

  // WHATWG Encoding §8.1.1: each broken sequence is one U+FFFD.
  const fromUTF8 = (bytes) => {
    let text = "";
    for (let index = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0; index < bytes.length; ) {
      const first = bytes[index++];
      const more = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
      let point = first < 0x80 ? first : more ? first & (0x3f >> more) : 0xfffd;
      let low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      let high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      for (let left = more; left; left -= 1, low = 0x80, high = 0xbf) {
        if (!(bytes[index] >= low && bytes[index] <= high)) {
          point = 0xfffd;
          break;
        }
        point = (point << 6) | (bytes[index++] & 63);
      }
      text += String.fromCodePoint(point);
    }
    return text;
  };

  const encodeHex = (data) => {
    let text = "";
    for (const byte of typeof data === "string" ? utf8(data) : bytesOf(data)) text += (byte < 16 ? "0" : "") + byte.toString(16);
    return text;
  };

  const decodeHex = (text) => {
    if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new TypeError("the text is not valid hex");
    return new Uint8Array((text.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
  };

  const encodeBase64 = (data) => {
    const bytes = typeof data === "string" ? utf8(data) : bytesOf(data);
    let text = "";
    for (let index = 0; index < bytes.length; index += 3) {
      const group = (bytes[index] << 16) | (bytes[index + 1] << 8) | bytes[index + 2];
      text += BASE64[group >> 18] + BASE64[(group >> 12) & 63];
      text += index + 1 < bytes.length ? BASE64[(group >> 6) & 63] : "=";
      text += index + 2 < bytes.length ? BASE64[group & 63] : "=";
    }
    return text;
  };

  const decodeBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const encodeBase64Url = (data) => encodeBase64(data).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const decodeBase64Url = (text) => {
    const standard = text.replaceAll("-", "+").replaceAll("_", "/");
    return decodeBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4));
  };

  const keys = new WeakMap();
  let wanted = [];
  let asked = [];

  const digest = (hash, key, data) => {
    const bytes = bytesOf(data);
    if (bytes.length > MAX_BYTES) throw new RangeError(`a digest is of at most ${MAX_BYTES} bytes`);
    return new Promise((resolve) => {
      wanted.push({ settle: resolve, question: { __proto__: null, hash, key, data: encodeHex(bytes) } });
    });
  };

  const nameOf = (algorithm, known) => {
    const name = String(typeof algorithm === "string" ? algorithm : algorithm?.name).toUpperCase();
    if (!known.includes(name)) throw new TypeError(`the algorithm ${name} is not there: use ${known.join(", ")}`);
    return name;
  };

  const hmac = (algorithm, key, usage, data) => {
    nameOf(algorithm, ["HMAC"]);
    const secret = keys.get(key);
    if (secret === undefined) throw new TypeError("the key was not imported");
    if (!key.usages.includes(usage)) throw new TypeError(`the key was not imported to ${usage}`);
    return digest(key.algorithm.hash.name, secret, data);
  };

  const subtle = {
    digest: async (algorithm, data) => digest(nameOf(algorithm, HASHES), null, data),
    importKey: async (format, data, algorithm, extractable, usages) => {
      if (format !== "raw") throw new TypeError(`the key format ${format} is not there: use raw`);
      const name = nameOf(algorithm, ["HMAC"]);
      const hash = { name: nameOf(algorithm.hash, HASHES) };
      const key = { type: "secret", extractable, algorithm: { name, hash }, usages: [...usages] };
      keys.set(key, encodeHex(bytesOf(data)));
      return key;
    },
    sign: async (algorithm, key, data) => hmac(algorithm, key, "sign", data),
    verify: async (algorithm, key, signature, data) =>
      encodeHex(await hmac(algorithm, key, "verify", data)) === encodeHex(signature),
  };

  globalThis.TextEncoder = class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return utf8(text); }
  };
  globalThis.TextDecoder = class TextDecoder {
    constructor(label = "utf-8") {
      if (!/^utf-?8$/i.test(label)) throw new RangeError(`the encoding ${label} is not there: use utf-8`);
    }
    get encoding() { return "utf-8"; }
    decode(data) { return data === undefined ? "" : fromUTF8(bytesOf(data)); }
  };
  globalThis.crypto = { subtle };
  globalThis.std = {
    encoding: {
      hex: { encodeHex, decodeHex },
      base64: { encode: encodeBase64, decode: decodeBase64, encodeBase64, decodeBase64 },
      base64url: { encode: encodeBase64Url, decode: decodeBase64Url, encodeBase64Url, decodeBase64Url },
    },
  };

  return (answers) => {
    if (answers !== undefined) {
      const digests = parse(answers);
      for (let index = 0; index < asked.length; index += 1) asked[index].settle(decodeHex(digests[index]).buffer);
      return "";
    }
    asked = wanted;
    wanted = [];
    const questions = { __proto__: null };
    for (let index = 0; index < asked.length; index += 1) questions[index] = asked[index].question;
    return stringify(questions); // one text: what is put together from several is of a kind that Python does not get
  };
})()
