"""JavaScript assertions: what a script sees, what it may do, and what is said of one that fails or hits a limit."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from tests.support.observed import LIMITS, TIMINGS, http, judged
from worker.apitest.assertion import JavaScriptAssertion
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult, ScriptVariable
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.checks.javascript import library
from worker.checks.javascript.engine import Contexts
from worker.checks.limits import MAX_SCRIPT, MAX_SCRIPT_LOG
from worker.outcome.failure import FailureCode

PAGE = http(b'{"status":{"code":200,"indicator":"none"}}', headers=(("X-Twice", "a"), ("x-twice", "b")))


def script(code: str) -> dict[str, Any]:
    return {"type": "javascript", "code": code}


def before_the_request(code: str, **variables: str) -> AssertionResult:
    """The result of a script that runs before there is a response."""
    return evaluate(
        JavaScriptAssertion(code=code, variables=tuple(variables.items())),
        Evidence(Observation(timings=TIMINGS), LIMITS),
    )


def test_the_library_is_the_published_one() -> None:
    assert hashlib.sha256(library.CHAI.read_bytes()).hexdigest() == (
        "bdc229d660afad0313fc10d6afb5a339956a18c4c6e819d3eb5d8b94f314c202"
    )
    license_text = library.CHAI.with_suffix(".LICENSE").read_bytes()
    assert (
        hashlib.sha256(license_text).hexdigest() == "b181da80336ff9dd1043fc8be1a764d7382363433319aa872e4d2cb5ce2a3066"
    )


@pytest.mark.parametrize(
    "code",
    [
        "const hello = 'world';",
        "dd.expect(dd.response.statusCode).to.equal(200);",
        "dd.assert.include([200, 210], JSON.parse(dd.response.body).status.code)",
        "dd.expect(JSON.parse(dd.response.body)).to.have.nested.property('status.indicator').that.matches(/^(none|minor)$/)",
        "JSON.parse(dd.response.body).status.indicator.should.equal('none')",
        "dd.should.exist(dd.response)",
        "const should = dd.should(); should.not.exist(dd.response.nothing)",
        "dd.response.headers['content-type'].should.equal('application/json')",
        "dd.response.headers['Content-Type'].should.equal('application/json')",
        "dd.expect(dd.response.headers).to.have.property('CONTENT-TYPE')",
        "dd.expect(dd.response.headers['x-twice']).to.equal('a, b')",
        "dd.expect(dd.response.headers.nothing).to.be.undefined",
        "dd.expect(Object.keys(dd.response.headers)).to.deep.equal(['content-type', 'x-twice'])",
        "const parsed = await Promise.resolve(JSON.parse(dd.response.body)); parsed.status.code.should.equal(200)",
        "if (dd.response.statusCode === 200) { return; } throw new Error('not reached')",
        "try { dd.expect(1).to.equal(2) } catch { }",
        "dd.expect(Date.now()).to.be.above(1.7e12)",
        "dd.expect('Ж😀').to.have.lengthOf(3)",
        "// a comment at the end",
        "for (const name of ['chai', 'performance', 'setTimeout', 'fetch']) dd.expect(globalThis[name]).to.be.undefined",
    ],
)
def test_a_script_that_ends_holds(code: str) -> None:
    result = judged(PAGE, script(code))
    assert (result.valid, result.error_message, result.code, result.log) == (True, None, None, None)
    assert (result.type, result.operator, result.expected) == ("javascript", None, code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("dd.expect(dd.response.statusCode).to.equal(404)", "expected 200 to equal 404"),
        ("dd.expect(1, 'the code').to.equal(2)", "the code: expected 1 to equal 2"),
        ("dd.assert(false, 'no such luck')", "no such luck"),
        ("(5).should.be.above(6)", "expected 5 to be above 6"),
        ("dd.should.exist(null)", "expected null to exist"),
        ("await 1; dd.expect([]).to.not.be.empty", "expected [] not to be empty"),
        ("throw new Error('the queue is too long')", "Error: the queue is too long"),
        ("nothing.there", "ReferenceError: nothing is not defined"),
        ("JSON.parse('<html>')", "SyntaxError: unexpected token: '<'"),
        ("const a = 1; a = 2", "TypeError: 'a' is read-only"),
        ("throw 'a text'", "the script threw a text"),
        ("throw null", "the script threw null"),
        ("throw {a: 1}", 'the script threw {"a":1}'),
        ("throw Symbol('a')", "the script threw Symbol(a)"),
        ("throw {get stack() { throw 1 }, toJSON() { throw 2 }}", "the script threw something that cannot be shown"),
        ("throw new Proxy({}, {get() { throw 1 }, getPrototypeOf() { throw 2 }})", "something that cannot be shown"),
        ("await new Promise(() => {})", "the script waits for something that never comes"),
        ("}); (() => {", "TypeError: "),
        ("await import('fs')", "ReferenceError: could not load module"),
        ("function f() { f() } f()", "RangeError: Maximum call stack size exceeded"),
    ],
)
def test_a_script_that_throws_does_not_hold_and_says_why(code: str, reason: str) -> None:
    result = judged(PAGE, script(code))
    assert not result.valid
    assert result.code is None
    assert reason in (result.error_message or "")


@pytest.mark.parametrize("code", ["a b", "'", "for (", "\u2028*"])
def test_what_is_no_script_does_not_hold(code: str) -> None:
    assert (judged(PAGE, script(code)).error_message or "").startswith("SyntaxError: ")


@pytest.mark.parametrize(
    ("code", "reason", "limit"),
    [
        ("while (true);", "the script was not done within 50 ms", FailureCode.TIMEOUT),
        ("try { while (true); } catch { } finally { }", "the script was not done within 50 ms", FailureCode.TIMEOUT),
        ("function f() { Promise.resolve().then(f) } f()", "the script was not done within 50 ms", FailureCode.TIMEOUT),
        ("const a = []; for (;;) a.push(new ArrayBuffer(1e6))", "the script needs more memory than", None),
        ("'a'.repeat(2 ** 28).replaceAll('a', 'bb')", "the script needs more memory than", None),
        ("1" + " " * MAX_SCRIPT, "the script has 65537 characters, more than 65536", None),
    ],
)
def test_a_script_ends_at_its_limits(code: str, reason: str, limit: FailureCode | None) -> None:
    result = judged(PAGE, script(code), replace(LIMITS, pattern_seconds=0.05))
    assert (result.valid, result.code) == (False, limit)
    assert (result.error_message or "").startswith(reason)


@pytest.mark.parametrize(
    "tampering",
    [
        "Object.prototype.toJSON = String.prototype.toJSON = () => 'x'",
        "JSON.stringify = JSON.parse = String = Object = Promise = undefined",
        "Promise.prototype.then = () => {}",
        "Object.prototype.failure = null; Object.prototype.ended = true",
        "Function.prototype.call = Function.prototype.apply = () => 'x'",
        "Object.freeze(Object.prototype); Object.freeze(globalThis)",
        "for (const name of Object.getOwnPropertyNames(globalThis)) if (name !== 'dd') try { globalThis[name] = null } catch {}",
        "Object.defineProperty(Object.prototype, 'value', {get: () => 1, configurable: true})",
        "dd.expect = undefined; dd.response = undefined",
        "String.prototype.slice = Array.prototype.push = () => 'x'",
    ],
)
def test_tampering_changes_neither_the_report_nor_the_next_script(tampering: str) -> None:
    result = judged(PAGE, script(f"{tampering}; throw 'after all'"))
    assert (result.valid, result.error_message) == (False, "the script threw after all")
    assert judged(PAGE, script("dd.expect({}).to.not.have.property('failure')")).valid
    assert judged(PAGE, script("dd.expect(globalThis.seen).to.be.undefined; globalThis.seen = 1")).valid
    assert judged(PAGE, script("dd.expect(globalThis.seen).to.be.undefined; globalThis.seen = 1")).valid


def test_a_context_stands_ready_once_a_script_was_seen_and_serves_one() -> None:
    contexts = Contexts()
    contexts.prepare()
    assert contexts.ready == 0
    first = contexts.take()
    contexts.prepare()
    contexts.prepare()
    assert contexts.ready == 1
    second = contexts.take()
    assert contexts.ready == 0
    assert first is not second


def test_a_script_logs_within_a_bound() -> None:
    code = "console.log('a', {b: [1]}, 2); console.error(new Error('c')); console.debug(null, undefined)"
    assert judged(PAGE, script(code)).log == 'a {"b":[1]} 2\nError: c\nnull undefined'
    flood = judged(PAGE, script("for (let i = 0; i < 1e4; i++) console.log('line', i)")).log
    assert flood is not None
    assert len(flood) == MAX_SCRIPT_LOG


def test_a_log_is_in_the_result_and_not_where_the_body_is_kept_out_of_it() -> None:
    assert judged(PAGE, script("console.log('seen')")).as_json()["log"] == "seen"
    assert "log" not in judged(PAGE, script("1")).as_json()


def test_a_body_that_cannot_be_read_matters_only_to_a_script_that_reads_it() -> None:
    small = replace(LIMITS, max_body_bytes=4)
    assert judged(PAGE, script("dd.response.statusCode.should.equal(200)"), small).valid
    result = judged(PAGE, script("JSON.parse(dd.response.body)"), small)
    assert (result.valid, result.code) == (False, FailureCode.BODY_TOO_LARGE)
    broken = http(gzip.compress(b"{}")[:-9], encodings=("gzip",))
    assert "not valid gzip" in (judged(broken, script("dd.response.body.should.exist")).error_message or "")


def test_a_script_before_the_request_sets_and_gets_variables() -> None:
    code = """
        dd.expect(dd.response).to.be.undefined;
        dd.variable.set("FROM", dd.variable.get("GIVEN") + "!");
        dd.variable.set("NUMBER", 1.5);
        dd.variable.set("OBJECT", {a: [true, null]});
        dd.variable.set("DATE", new Date(0));
        dd.variable.setObfuscated("SECRET", "s3cret");
        dd.variable.set("TWICE", 1);
        dd.variable.set("TWICE", dd.variable.get("TWICE") + 1);
        dd.variable.set("__proto__", String(dd.variable.get("toString")));
    """
    result = before_the_request(code, GIVEN="given")
    assert (result.valid, result.error_message) == (True, None)
    assert {each.name: (each.value, each.secure) for each in result.variables} == {
        "FROM": ("given!", False),
        "NUMBER": ("1.5", False),
        "OBJECT": ('{"a":[true,null]}', False),
        "DATE": ("1970-01-01T00:00:00.000Z", False),
        "SECRET": ("s3cret", True),
        "TWICE": ("11", False),
        "__proto__": ("undefined", False),
    }


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("dd.variable.set('A')", "TypeError: the variable A cannot be undefined"),
        ("dd.variable.set('A', null)", "TypeError: the variable A cannot be null"),
        ("dd.variable.set('A', () => 1)", "TypeError: the variable A cannot be function"),
        ("dd.variable.set(1, 1)", "TypeError: the name of a variable must be text"),
        (
            "for (let i = 0; i < 101; i++) dd.variable.set('V' + i, i)",
            "RangeError: a script sets at most 100 variables",
        ),
        (
            "dd.variable.set('A', 'x'.repeat(20000))",
            "RangeError: the variables of a script hold at most 16384 characters",
        ),
        ("dd.response.statusCode", "TypeError: cannot read property 'statusCode' of undefined"),
    ],
)
def test_a_variable_that_cannot_be_set_fails_the_script(code: str, reason: str) -> None:
    result = before_the_request(code)
    assert (result.valid, result.error_message) == (False, reason)


def test_a_variables_value_is_neither_shown_nor_part_of_the_result() -> None:
    assert "s3cret" not in repr(ScriptVariable(name="A", value="s3cret", secure=True))
    assert "s3cret" not in repr(JavaScriptAssertion(code="1", variables=(("A", "s3cret"),)))
    result = before_the_request("dd.variable.set('B', dd.variable.get('A'))", A="s3cret")
    assert result.variables[0].value == "s3cret"
    assert "s3cret" not in str(result.as_json())
