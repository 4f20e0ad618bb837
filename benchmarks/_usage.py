"""The help of benchmarks that take no arguments."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter


def no_arguments(doc: str | None) -> None:
    """Answer --help, and refuse all else, before anything is measured.

    Args:
        doc: of the benchmark.
    """
    ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter).parse_args()
