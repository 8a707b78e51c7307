"""Every way in which a program of this project can fail or end. What goes wrong at a target is a value (`outcome.failure`).

    SyntheticsError
    ├── ConfigError        the operator's to mend: one line, exit 2, before anything starts
    │   └── ConfigErrors       every mistake that was found, one line each
    ├── Mistake            (config.mistake) a written value that cannot be used; option and place make it a ConfigError
    │   └── AbsentFile         a file that is not there
    ├── PolicyError        an egress rule that cannot be used; the reader of options makes it a ConfigError
    ├── HostError          a host that is neither an address nor a name; becomes an INVALID_REQUEST result, or a ConfigError
    ├── WireError          the peer's bytes are wrong: refused, counted, survived
    │   ├── SignatureError     a request or reply that does not prove who sent it
    │   │   ├── AuthenticRequestError  (wire.signing) a request that proves it, refused for its date, host or number
    │   │   └── ProvenRequestError     (wire.proof) the same of a runner: refused for its audience, time, path or body
    │   ├── TaskError          (wire.order) a signed order that cannot be read; becomes the task's result
    │   ├── TaskRefusedError   (actionrunner.executor) a task that failed one of its first checks; becomes its result
    │   ├── AppTokenError      (wire.apptoken) a page's token that is not good here; becomes a 401
    │   ├── AppTemplateError   (wire.apptemplate) a query's template that says too much, or values that do not fit it
    │   ├── EnvelopeError      a JWE or JWS that is malformed, of a foreign kind, or not of our keys
    │   └── MessageError       decrypted or signed, and still not a message of this protocol
    ├── IntakeError        (intake.transport) an exchange with the control plane without a usable answer
    │   ├── OutOfMemoryError   (intake.transport) one that this worker had no memory for
    │   └── UnreadableBatch    a signed batch that cannot be opened or read
    ├── EvaluationError    no evaluator could be had for a test's assertions; becomes an INTERNAL_ERROR result
    ├── JudgementError     (checks.judgement) an assertion that cannot be judged; becomes its result
    ├── TestError          a definition that is not a valid API test; becomes an INVALID_TEST result
    │   └── TemplateError      templates of a definition that name what has no value; becomes an INVALID_TEST result
    ├── ExpressionError    (apitest.template) a template's call whose arguments are not valid; becomes a TemplateError
    ├── DoorError          (net.failure) the way to a target did not open; becomes the failure of the run
    │   └── UnreachableError   (net.attempts) one address cannot be reached; the next is tried
    ├── ClusterError       (actionrunner.cluster) a call that the Kubernetes API did not carry out
    ├── CredentialsError   (actions.connection) credentials that cannot be read or used; becomes a CREDENTIALS result
    ├── ActionFailure      (actions.action) an action that did not succeed; becomes the ACTION result of its order
    ├── JqError            (actions.jq) a jq program that is not valid or needs too much; becomes a SELECT or ACTION result
    ├── BusyError          (actionrunner.rates) an order that has to wait for others; becomes a BUSY result
    ├── PushRefusedError   (actionrunner.pushorder) a page's request that is not carried out; becomes its answer
    ├── CertificateError   (web.certificate) a file of a certificate that cannot be shown; what was shown before stays
    ├── AuditError         (actionrunner.audit) an audit log that cannot be written; orders are not carried out
    ├── NotStarted         (actionrunner.execution) an order that may not act; becomes its result
    ├── HTTPError          (net.http.error) a request or response that ends an HTTP exchange; becomes the failure of the run
    ├── NoReplyError       (net.dns.query) a name server without a usable answer; the next is asked
    ├── ForeignReplyError  (net.dns.wire) a datagram that answers something else; passed over
    ├── MalformedReplyError    (net.dns.wire) an answer that is not DNS
    └── QuestionError      (net.dns.wire) a name or type that cannot be asked

An error that only one room raises and catches is defined there; the room stands in parentheses. Errors carry fields; nobody
parses their text. The control plane's errors are a branch of their own: controlplane/errors.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    """Done, passed, allowed, or drained."""
    FAILED = 1
    """A test failed, a definition is not valid, a host is denied; or a bug of the program."""
    UNUSABLE = 2
    """Options, config or input that cannot be used: nothing, or not all, was done."""
    INTERRUPTED = 130
    """A second Ctrl-C, or the first one where there is nothing to drain (128 + SIGINT, as shells have it)."""


class SyntheticsError(Exception):
    """The root of all errors that this project raises on purpose."""


class ConfigError(SyntheticsError):
    """A setting that cannot be used.

    *option* is the name as a person writes it, *place* where the value came from ("flag", "environment DATADOG_SITE",
    "file /etc/…"). The value itself is in the text only where it is not a secret; the raiser decides.
    """

    def __init__(self, reason: str, *, option: str = "", place: str = "") -> None:
        self.reason = reason
        self.option = option
        self.place = place
        where = f" ({place})" if place else ""
        super().__init__(f"{option}: {reason}{where}" if option else f"{reason}{where}")


class ConfigErrors(ConfigError):  # noqa: N818  # it is several
    """Every mistake that was found, at least one: *errors*. Its text has one line each."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, errors)))


class PolicyError(SyntheticsError):
    """An egress rule that cannot be used. *rule* is the text as written."""

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(f"{rule!r}: {reason}")


class HostError(SyntheticsError):
    """A host that is neither an address to dial nor a name to look up. *reason* names no address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class WireError(SyntheticsError):
    """Bytes from the peer that this protocol does not allow."""


class SignatureError(WireError):
    """A request or reply whose signature, date, host or body hash does not hold.

    *reason* is one of the stable codes of wire.signing.Reason; *text* a sentence for people, free of secrets.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class EnvelopeError(WireError):
    """A JWE or JWS that is malformed, has a header outside the exact set, or is not of our keys."""


class MessageError(WireError):
    """An authentic payload that is not a message of this protocol."""


class TestError(SyntheticsError):
    """A definition that is not a valid API test. *errors* holds one sentence per mistake, each beginning with the JSON path."""

    __test__ = False  # the name begins with Test: keep pytest from collecting it

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(self.errors))


class TemplateError(TestError):
    """Templates that cannot be rendered. Each sentence of *errors* names the template and its JSON path, and no value."""


class EvaluationError(SyntheticsError):
    """The worker's evaluators are closed, do not start, or have more to do than they can: nothing was said about the target."""
