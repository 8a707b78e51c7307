"""Child processes that the kernel limits and the worker can kill, and the bytes that go between.

It starts a process, gives it frames, listens, kills and reaps; inside the process it sets limits on CPU and wall time, memory,
files and network. It refuses to know what the work is: a command line and frames are opaque, and nothing else of this program is
imported here. What a frame means, and what a death means for the work in hand, is the caller's.

The parent's side:
- `process`: `Process` is one child, which reports to an `Owner`; a `Starter` starts it: `Command` executes a program.
- `forkserver`: `ForkServer` is the other `Starter`: it forks each child from a process that has loaded the program once.
- `fair_queue`: `FairQueue` gives callers turns by what their work has cost.

The child's side, in this order:
- `child.attach` connects it with its parent and lets it die with it. Import and warm up whatever is needed then.
- `forking.fork_on_request` makes it a fork server, where its parent has one, and returns in each child that is forked.
- `Connection.confine` gives up files, network and memory for good, and names the limits that this system lacks.
- `timers.IntervalTimers` limits each piece of work in CPU and wall time.

Both sides: `framing` puts bytes into frames of bounded size; `fork_protocol` is what a fork server is asked and answers;
`position` is one number in shared memory that the child writes and that can be read after its death, so that the death can be
laid to the piece of work in hand.
"""
