// `dd`, `console` and the run of one script. Evaluates to start(code, input, body), which runs the script up to its first wait and
// returns a function for the report, a JSON text. Whatever a report is made of is taken before the script runs, and values without a
// prototype carry it: a script may change every prototype that it finds, and changes its own assertion alone.
(() => {
  "use strict";
  const { chai } = globalThis;
  for (const name of ["chai", "performance", "Atomics", "SharedArrayBuffer"]) delete globalThis[name];
  chai.should();

  const { parse, stringify } = JSON;
  const { inspect } = chai.util;
  const { AssertionError } = chai;
  const { Error, Object, Proxy, RangeError, Reflect, String, TypeError } = globalThis;
  const AsyncFunction = (async () => {}).constructor;
  const uncurried = (method) => Function.prototype.call.bind(method);
  const slice = uncurried(String.prototype.slice);
  const toLowerCase = uncurried(String.prototype.toLowerCase);
  const then = uncurried(Promise.prototype.then);

  const MAX_MESSAGE = 10000;

  const textOf = (value) => {
    const json = stringify(value);
    return json !== undefined && json[0] === '"' ? parse(json) : String(json);
  };

  const shown = (value) => {
    if (typeof value === "string") return value;
    return typeof value === "object" && value !== null && !(value instanceof Error) ? textOf(value) : inspect(value);
  };

  // The words for what a script threw: an expectation's own message, else the error's name with it.
  const told = (thrown) => {
    try {
      if (thrown instanceof AssertionError) return String(thrown.message);
      if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
      return `the script threw ${shown(thrown)}`;
    } catch {
      return "the script threw something that cannot be shown";
    }
  };

  const consoleOf = (state, limit) => {
    const write = (...values) => {
      let line = "";
      for (let index = 0; index < values.length; index += 1) line += (index ? " " : "") + shown(values[index]);
      if (state.log.length < limit) state.log = slice(state.log + (state.log && "\n") + line, 0, limit);
    };
    return { debug: write, error: write, info: write, log: write, trace: write, warn: write };
  };

  const valueOf = (name, value) => {
    switch (typeof value) {
      case "string":
        return value;
      case "number":
      case "boolean":
      case "bigint":
        return String(value);
      case "object":
        if (value !== null) return textOf(value);
      default:
        throw new TypeError(`the variable ${name} cannot be ${value === null ? "null" : typeof value}`);
    }
  };

  const variableOf = (state, given, limits) => {
    const set = (name, value, secure) => {
      if (typeof name !== "string" || name === "") throw new TypeError("the name of a variable must be text");
      const text = valueOf(name, value);
      const known = state.variables[name];
      const size = state.size + text.length + name.length - (known ? known.value.length + name.length : 0);
      const count = state.count + (known ? 0 : 1);
      if (count > limits.variables) throw new RangeError(`a script sets at most ${limits.variables} variables`);
      if (size > limits.text) throw new RangeError(`the variables of a script hold at most ${limits.text} characters`);
      state.size = size;
      state.count = count;
      state.variables[name] = { __proto__: null, value: text, secure };
    };
    return {
      get: (name) => state.variables[name]?.value ?? given[name],
      set: (name, value) => set(name, value, false),
      setObfuscated: (name, value) => set(name, value, true),
    };
  };

  // Names of headers in lower case, found in any.
  const headersOf = (headers) => {
    const lower = (name) => (typeof name === "string" ? toLowerCase(name) : name);
    return new Proxy(headers, {
      get: (target, name, receiver) => Reflect.get(target, name in target ? name : lower(name), receiver),
      getOwnPropertyDescriptor: (target, name) =>
        Reflect.getOwnPropertyDescriptor(target, name) ?? Reflect.getOwnPropertyDescriptor(target, lower(name)),
      has: (target, name) => name in target || lower(name) in target,
    });
  };

  const responseOf = (state, head, body) => {
    if (head === null) return undefined;
    const response = { statusCode: head.statusCode, headers: headersOf(head.headers) };
    const withheld = {
      get: () => {
        state.withheld = true;
        throw new Error(head.withheld);
      },
    };
    const given = { value: body, writable: true };
    Object.defineProperty(response, "body", {
      configurable: true,
      enumerable: true,
      ...(body === null ? withheld : given),
    });
    return response;
  };

  return (code, input, body) => {
    const { response, variables, limits } = parse(input);
    const state = {
      __proto__: null,
      ended: false,
      failure: null,
      withheld: false,
      log: "",
      variables: { __proto__: null },
      count: 0,
      size: 0,
    };
    const given = Object.assign({ __proto__: null }, variables);
    globalThis.console = consoleOf(state, limits.log);
    const should = Object.assign(() => should, chai.should());
    globalThis.dd = {
      assert: chai.assert,
      expect: chai.expect,
      should,
      response: responseOf(state, response, body),
      variable: variableOf(state, given, limits),
    };
    const fail = (thrown) => {
      state.ended = true;
      state.failure = slice(told(thrown), 0, MAX_MESSAGE);
    };
    try {
      then(new AsyncFunction(code)(), () => { state.ended = true; }, fail);
    } catch (error) {
      fail(error);
    }
    return () => {
      const { ended, failure, withheld, log, variables } = state;
      return stringify({ __proto__: null, ended, failure, withheld, log, variables });
    };
  };
})()
