"""Scripts of a test's author in a JavaScript engine: a fresh context for each, with `dd`, Chai and a bounded `console`.

`engine` runs a script and says how it ended; `digests` answers what it wants digested; `library` holds the JavaScript that stands
in a context before the script: Chai 4.5.0 as its authors published it (MIT, `chai-4.5.0.LICENSE`), `web.js` and `dd.js`, which
are ours. Scripts are refused everything else: network, files, timers, and any clock but `Date`. Not all of their time and memory
is bounded here: this belongs in a process that can be killed.
"""
