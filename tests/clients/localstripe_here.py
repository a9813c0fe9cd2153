"""localstripe, with its state in TMPDIR: by itself every one on the machine has the same file."""

import builtins
import os
import runpy

plain_open = builtins.open


def open_here(path, *arguments, **named):
    if path == "/tmp/localstripe.pickle":
        path = os.path.join(os.environ["TMPDIR"], "state.pickle")
    return plain_open(path, *arguments, **named)


builtins.open = open_here
runpy.run_module("localstripe", run_name="__main__")
