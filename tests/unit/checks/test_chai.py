"""Chai's messages in the evaluators' engine are those of the same file in Node."""

from __future__ import annotations

from tests.support.node import answers_of_node, needs_node
from tests.support.observed import http, judged
from worker.checks.javascript import library

EXPECTATIONS = [
    "expect(1).to.equal(2)",
    "expect(1).to.not.equal(1)",
    "expect('a').to.equal('b')",
    "expect(1.5, 'with a message').to.equal(2)",
    "expect(NaN).to.equal(0)",
    "expect(-0).to.equal(1)",
    "expect(10n).to.equal(1n)",
    "expect(undefined).to.equal(null)",
    "expect(Symbol('a')).to.equal(1)",
    "expect(true).to.be.false",
    "expect(1).to.be.true",
    "expect(0).to.be.ok",
    "expect(null).to.exist",
    "expect(1).to.be.undefined",
    "expect(1).to.be.null",
    "expect(1).to.be.NaN",
    "expect('abc').to.be.a('number')",
    "expect([]).to.be.an('object')",
    "expect(new Date(0)).to.be.a('string')",
    "expect(/a/g).to.be.a('string')",
    "expect('abc').to.include('x')",
    "expect([1, 2, 3]).to.include(4)",
    "expect({a: 1, b: 2}).to.include({a: 2})",
    "expect([{a: 1}]).to.deep.include({a: 2})",
    "expect({a: {b: [1, 2]}}).to.deep.equal({a: {b: [1, 3]}})",
    "expect([1, [2, [3]]]).to.eql([1, [2, [4]]])",
    "expect({a: 1}).to.have.property('b')",
    "expect({a: 1}).to.have.property('a', 2)",
    "expect({a: {b: 1}}).to.have.nested.property('a.c')",
    "expect({a: {b: 1}}).to.have.nested.property('a.b').that.equals(2)",
    "expect({a: 1, b: 2}).to.have.all.keys('a', 'c')",
    "expect({a: 1, b: 2}).to.have.any.keys('x', 'y')",
    "expect(new Map([['a', 1]])).to.have.keys('b')",
    "expect(new Set([1, 2])).to.include(3)",
    "expect([1, 2]).to.have.members([1, 3])",
    "expect([1, 2]).to.have.ordered.members([2, 1])",
    "expect([1, 2, 3]).to.include.members([4])",
    "expect('status').to.be.oneOf(['a', 'b'])",
    "expect(5).to.be.above(6)",
    "expect(5).to.be.at.least(6)",
    "expect(5).to.be.below(4)",
    "expect(5).to.be.at.most(4)",
    "expect(5).to.be.within(6, 9)",
    "expect(1.5).to.be.closeTo(1, 0.2)",
    "expect('abc').to.match(/^b/i)",
    "expect('abc').to.have.string('d')",
    "expect('abc').to.have.lengthOf(2)",
    "expect([1, 2]).to.have.length.above(4)",
    "expect([]).to.not.be.empty",
    "expect({a: 1}).to.be.empty",
    "expect(() => { throw new TypeError('bad') }).to.not.throw()",
    "expect(() => { throw new TypeError('bad') }).to.throw(RangeError)",
    "expect(() => { throw new Error('bad') }).to.throw('good')",
    "expect(() => {}).to.throw()",
    "expect({}).to.be.an.instanceof(Array)",
    "expect({}).to.respondTo('a')",
    "expect(1).to.satisfy((n) => n > 1)",
    "expect(Object.freeze({})).to.be.extensible",
    "expect({a: 1}).to.be.frozen",
    "expect('x'.repeat(200)).to.equal('y')",
    "expect([...Array(50).keys()]).to.equal(1)",
    "expect({a: 'x'.repeat(30), b: 'y'.repeat(30)}).to.equal(1)",
    "expect('Ж\\u{1f600}\\n\\'\"').to.equal('')",
    "expect(new Error('inner')).to.equal(1)",
    "expect(function named() {}).to.equal(1)",
    "expect(class Named {}).to.equal(1)",
    "expect(new (class Named { constructor() { this.a = 1 } })()).to.equal(1)",
    "expect([undefined, null, , 1]).to.equal(1)",
    "expect(new Uint8Array([1, 2])).to.equal(1)",
    "expect(new Map([[{a: 1}, new Set([1])]])).to.equal(1)",
    "expect(Promise.resolve(1)).to.equal(1)",
    "expect(1).to.be.a.nonsense",
    "expect.fail()",
    "expect.fail('a message')",
    "assert(false)",
    "assert.equal(1, 2)",
    "assert.equal(1, 2, 'with a message')",
    "assert.strictEqual('1', 1)",
    "assert.deepEqual({a: [1]}, {a: [2]})",
    "assert.include([200, 210], 404)",
    "assert.match('abc', /d/)",
    "assert.isAbove(1, 2)",
    "assert.property({a: 1}, 'b')",
    "assert.lengthOf([1], 2)",
    "assert.isTrue(1)",
    "assert.isArray({})",
    "assert.sameMembers([1], [2])",
    "assert.throws(() => {})",
    "assert.fail('a message')",
    "assert.isOk(0)",
    "assert.notExists(1)",
    "(5).should.equal(6)",
    "'abc'.should.have.lengthOf(2)",
    "({a: 1}).should.have.property('b')",
    "[1].should.deep.equal([2])",
    "should.exist(undefined)",
    "should.equal(1, 2)",
    "should.not.equal(1, 1)",
    "should.Throw(() => {})",
]

IN_NODE = """(() => {
    const chai = require(cases.library);
    const should = chai.should();
    return cases.expectations.map((source) => {
        try { new Function("expect", "assert", "should", source)(chai.expect, chai.assert, should); return null; }
        catch (error) { return error instanceof chai.AssertionError ? error.message : String(error); }
    });
})()"""


def message_here(expectation: str) -> str | None:
    names = "const {expect, assert, should} = dd; "
    return judged(http(), {"type": "javascript", "code": names + expectation}).error_message


@needs_node
def test_a_message_is_that_of_node() -> None:
    in_node = answers_of_node(IN_NODE, {"library": str(library.CHAI), "expectations": EXPECTATIONS})
    assert None not in in_node
    found = {expectation: message_here(expectation) for expectation in EXPECTATIONS}
    assert found == dict(zip(EXPECTATIONS, in_node, strict=True))
