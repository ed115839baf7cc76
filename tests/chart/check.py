#!/usr/bin/env python3
"""Renders the chart with each file of charts/exequatur/ci and judges what comes.

Without argument: Helm's linter, the schemas of Kubernetes' objects for a matrix of values and versions, what the objects have
to say, the values that must be refused, what an upgrade changes, and that no hardening goes unnoticed; and examples for meshes and gateways
by the published schemas of these. No cluster is asked. With `--exequatur PROGRAM`, instead: whether that program accepts each configuration, laid
out as kubelet mounts it, and goes over to a changed one.
"""

import argparse
import sys
from pathlib import Path

import examples
import generated
import hardening
import hooks
import matrix
import monitoring
import objects
import page
import refusals
import rendering
import running
import sidecar
import upgrade


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exequatur", type=Path, metavar="PROGRAM", help="judge what is mounted, with it")
    parser.add_argument("--write", action="store_true", help="make what is made of other files anew")
    parser.add_argument("--write-differences", action="store_true", help="write down what an upgrade changes, to be read")
    parser.add_argument("--keep-version", action="store_true", help="keep what this version renders, before the next one")
    parser.add_argument("--quick", action="store_true", help="without the matrix and what is taken out of templates")
    arguments = parser.parse_args()
    if arguments.keep_version:
        upgrade.keep()
    if arguments.write:
        generated.write()
    if arguments.write_differences:
        upgrade.write()
    if arguments.exequatur:
        program = arguments.exequatur.resolve()
        wrong = running.check(program) + sidecar.run(program) + hooks.run(program)
    else:
        parts = [examples, generated, rendering, objects, refusals, monitoring, upgrade, sidecar, hooks, page]
        parts += [] if arguments.quick else [matrix, hardening]
        wrong = [line for part in parts for line in part.check()]
    for line in wrong:
        print(f"chart: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
