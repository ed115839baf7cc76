#!/usr/bin/env python3
"""Renders the chart with each file of charts/exequatur/ci and judges what comes.

Without argument: Helm's linter, the schemas of Kubernetes' objects, what the objects have to say, and the values that must
be refused. No cluster is asked. With `--exequatur PROGRAM`, instead: whether that program accepts each configuration, laid
out as kubelet mounts it, and goes over to a changed one.
"""

import argparse
import sys
from pathlib import Path

import monitoring
import objects
import refusals
import rendering
import running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exequatur", type=Path, metavar="PROGRAM", help="judge what is mounted, with it")
    arguments = parser.parse_args()
    if arguments.exequatur:
        wrong = running.check(arguments.exequatur.resolve())
    else:
        wrong = rendering.check() + objects.check() + refusals.check() + monitoring.check()
    for line in wrong:
        print(f"chart: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
