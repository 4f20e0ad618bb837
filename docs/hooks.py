"""What `make docs` generates: first page, reference, model cards, the table of results.

Pages that repeat a fact of the code or of a result are made from it, so they cannot differ.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from edgeemo.artifacts.card import Card, Metric
from edgeemo.artifacts.models import Model, shipped

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("edgeemo", "compress", "export")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages where mkdocs.yml names their folders."""
    lists = {
        "Reference": [f"reference/{name}.md" for name in packages()],
        "Model cards": [f"models/{m.path.name}.md" for m in shipped()],
    }
    config.nav = [
        {title: lists.get(title, value) for title, value in entry.items()}
        for entry in config.nav or []
    ]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    made = {"index.md": first_page()}
    made |= {f"reference/{name}.md": page for name, page in packages().items()}
    made |= {f"models/{m.path.name}.md": card_page(m) for m in shipped()}
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the table of results; point at files outside these pages by name alone."""
    if "<!-- results -->" in markdown:
        markdown = markdown.replace("<!-- results -->", results())
    return outside_links(markdown, page.file.src_uri)


def first_page() -> str:
    """The README, with its links as they are from here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](", text)


def outside_links(markdown: str, uri: str) -> str:
    """Links to files that are not part of the pages become the file's name."""

    def plain(match: re.Match[str]) -> str:
        text, target = match.groups()
        inside = (ROOT / "docs" / uri).parent / target.split("#")[0]
        generated = target.split("#")[0].split("/")[-1] == "index.md"
        if "://" in target or target.startswith("#") or inside.exists() or generated:
            return match[0]
        return text if target.split("/")[-1] in text else f"{text} (`{target.replace('../', '')}`)"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", plain, markdown)


def public_modules(part: str) -> list[str]:
    """Dotted names of a part's modules that are not private, as they are imported."""
    found = []
    for path in sorted((ROOT / part).rglob("*.py")):
        pieces = path.relative_to(ROOT).with_suffix("").parts
        if part == "edgeemo" and pieces[1] in ("compress", "export", "cli"):
            continue  # the links of an installation, and the command line
        if any(piece.startswith("_") and piece != "__init__" for piece in pieces):
            continue
        name = ".".join(piece for piece in pieces if piece != "__init__")
        found.append(name if part == "edgeemo" else f"edgeemo.{name}")
    return found


def packages() -> dict[str, str]:
    """One page a package: its name and the page's text."""
    pages: dict[str, list[str]] = {}
    for part in PARTS:
        for module in public_modules(part):
            package = ".".join(module.split(".")[: 3 if part != "edgeemo" else 2])
            if not (
                ROOT / package.replace("edgeemo.", "", part != "edgeemo").replace(".", "/")
            ).is_dir():
                package = package.rpartition(".")[0]
            pages.setdefault(package, []).append(module)
    return {
        name: f"# {name}\n\n" + "\n".join(f"::: {m}\n" for m in modules)
        for name, modules in sorted(pages.items())
    }


def card_page(model: Model) -> str:
    """What a shipped model says of itself."""
    card = model.card
    facts = {
        "task": card.task,
        "format": f"{model.format}, {model.bytes:,} bytes",
        "quantization": card.quantization.kind,
        "parameters": f"{card.parameters:,}",
        "work": card.work,
        "licence": card.licence,
        "teachers": sources(card.teachers),
        "data": sources(card.data),
        "not validated for": ", ".join(card.not_validated_for),
    }
    lines = [f"# {model.path.name}", "", f"`{model.command}`", "", "| | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    lines += ["", "## Figures", "", figures(card), "", "## What it is for", "", card.intended_use]
    return "\n".join([*lines, "", "## What it is not for", "", card.misuse, ""])


def sources(found: Any) -> str:
    """Names and licences."""
    return "; ".join(f"{source.name} ({source.licence})" for source in found) or "none"


def figures(card: Card) -> str:
    """The metrics of a card as a table, under what they were measured on."""
    if not card.metrics:
        return "None on this card."

    def row(m: Metric) -> str:
        spread = "" if m.spread is None else f" ± {m.spread:.3f}"
        ceiling = "" if m.human_ceiling is None else f"{m.human_ceiling:.3f}"
        return f"| {m.measure} | {m.of} | {m.value:.3f}{spread} | {ceiling} | {m.test_set} |"

    head = "| measure | of | value | human ceiling | test set |\n| --- | --- | --: | --: | --- |"
    return "\n".join([head, *map(row, card.metrics)])


def results() -> str:
    """A table of all benchmarks and the files that they wrote."""
    lines = ["| question | command | result |", "| --- | --- | --- |"]
    for path in sorted((ROOT / "benchmarks").glob("[a-z]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        wrote = [p.name for p in sorted(RESULTS.glob("*.json")) if p.name in path.read_text()]
        if wrote:
            question = text.splitlines()[0].replace("|", "\\|")
            files = ", ".join(f"`benchmarks/results/{name}`" for name in wrote)
            command = command_of(RESULTS / wrote[0]) or f"python benchmarks/{path.name}"
            lines.append(f"| {question} | `{command}` | {files} |")
    return "\n".join(lines)


def command_of(path: Path) -> str:
    """The command that a result says it was made by, if it says so."""
    held = json.loads(path.read_text(encoding="utf-8"))
    return str(held.get("command", "")) if isinstance(held, dict) else ""
