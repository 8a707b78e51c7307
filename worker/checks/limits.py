"""The fixed bounds on what an assertion may cost, each with its reason. What an operator sets is `evidence.AssertionLimits`."""

from __future__ import annotations

MAX_PATTERN = 10_000
"""Characters of a pattern. Compilation is not covered by the time limit as tightly as matching is."""
MAX_PATH = 2_000
"""Characters of a JSONPath or XPath, more than the reference system's 1,500."""
PATH_PATTERN_SECONDS = 0.5
"""CPU time of one pattern within a path: the default of `regexTimeout`, which bounds the assertion as a whole."""
MAX_SCHEMA = 256 * 1024
"""Characters of a JSON Schema, five times what the reference system takes."""
PATTERN_MEMORY = 192 * 1024 * 1024
"""Bytes of the pattern engine: a 5 MB body as UTF-16 several times over, and its backtracking."""
MAX_SCRIPT = 64 * 1024
"""Characters of a script: twenty times what people write, and compiled in milliseconds."""
SCRIPT_MEMORY = PATTERN_MEMORY
"""Bytes of a script's context: a 5 MB body as UTF-16, and what `JSON.parse` makes of it."""
SCRIPT_STACK = 1024 * 1024
"""Bytes of a script's stack, an eighth of the thread's: Chai compares nested values recursively."""
MAX_SCRIPT_JOBS = 100_000
"""Continuations that a script may leave to be run later, one for each `await` or `then`: more of them go on for ever."""
MAX_DIGESTED = 8 * 1024 * 1024
"""Bytes that one script may have digested: milliseconds of work, and more than any request that it could sign."""
MAX_SCRIPT_LOG = 1_000
"""Characters of what a script writes with `console`: twenty scripts of a test fit the assertions of a result."""
MAX_SCRIPT_VARIABLES = 100
MAX_SCRIPT_VARIABLES_TEXT = 16 * 1024
"""Characters of the names and values that one script sets: a quarter of what one result may take on its way."""
MAX_MEMBERS = 64
"""Members of one gzip body, frames of a zstd one; a million empty ones cost seconds and hold nothing."""
MAX_CODINGS = 4
"""Content codings on top of each other; an honest server uses one."""
BOUNDED_BODY = 64 * 1024
"""Bytes of a body that may be looked at in place: hashing, decoding and parsing that much takes well under a millisecond."""
BOUNDED_WORK = 1024 * 1024
"""Bytes that the assertions of one run may look at in place, all together: at worst, in a search, a dozen nanoseconds each."""
SHOWN = 500
"""Characters of `actual` and `expected` in a result; text that is cut ends in an ellipsis."""
SNIPPET = 50
"""Characters of a body that a result keeps, and shows as `actual`, when every assertion on it holds."""
MAX_KEPT_BODY = 64 * 1024
"""Bytes of a body that a result keeps."""
MAX_KEPT_ESCAPED = MAX_KEPT_BODY * 3 // 2
"""Bytes of it as JSON, where each control character takes six: ordinary text stays well below."""
MAX_NESTING = 2_500
"""Levels of a JSON body that are read on every Python, within the stack of a thread of C; deeper ones may be refused."""
