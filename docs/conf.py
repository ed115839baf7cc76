"""The site of the documentation: `make docs`. The pages are plain Markdown that a code host shows as well; what only the site
needs is here."""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from pygments.lexer import RegexLexer, words
from pygments.lexers.data import JsonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text
from sphinx import addnodes
from sphinx.util import logging

ROOT = Path(__file__).resolve().parent.parent

project = "Exequatur"
author = "The Exequatur authors"
language = "en"
extensions = ["myst_parser"]
myst_heading_anchors = 6
myst_fence_as_directive = ["mermaid"]
# Shown output has `…` in it, and excerpts are not whole documents.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = "Exequatur"
html_static_path = ["_static"]
html_css_files = ["exequatur.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Nothing is fetched when a page is read: no fonts, no scripts but those beside the pages.
html_use_opensearch = ""

LINK = re.compile(r"^[-*] \[[^\]]+\]\(([^)#:]+)\.md\)", re.MULTILINE)


def trees_of_lists(app, docname, source):
    """The sidebar is made of the lists of links in index.md, so that there is one list and not two. A section within a section has
    both headings."""
    if docname != "index":
        return
    parts = re.split(r"^(##|###) (.+)$", source[0], flags=re.MULTILINE)
    trees, section = [], ""
    for level, heading, text in zip(parts[1::3], parts[2::3], parts[3::3]):
        if level == "##":
            section = caption = heading
        else:
            caption = f"{section}: {heading[:1].lower()}{heading[1:]}"
        if pages := LINK.findall(text):
            trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]))
    source[0] += "\n\n" + "\n\n".join(trees) + "\n"


class Mermaid(Directive):
    """A diagram as text, drawn by the copy of mermaid that `make docs` puts beside the pages; without scripts the text is shown."""

    has_content = True

    def run(self):
        text = "\n".join(self.content)
        block = nodes.literal_block(text, text, classes=["mermaid-source"], language="text")
        return [nodes.container("", block, classes=["diagram"])]


def scripts_of_diagrams(app, pagename, templatename, context, doctree):
    if doctree is not None and any("diagram" in node["classes"] for node in doctree.findall(nodes.container)):
        app.add_js_file("mermaid.min.js")
        app.add_js_file("diagrams.js")


def links_out_of_the_site(app, doctree):
    """A link to a file or folder of the repository that is no page: the site shows its name, since it has no address for it. What
    is not there stays a link that leads nowhere, which Sphinx reports."""
    page = Path(app.env.doc2path(app.env.docname))
    for link in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        target = link["reftarget"].partition("#")[0]
        file = Path(f"{target}.md") if link.get("refdomain") == "doc" else (page.parent / target).resolve()
        if file.is_relative_to(ROOT) and file.exists() and not file.is_relative_to(ROOT / "docs"):
            link.replace_self(nodes.inline("", "", *[child.deepcopy() for child in link.children], classes=["repository-file"]))


class Cedar(RegexLexer):
    """Cedar's policies and schemas."""

    name = "Cedar"
    aliases = ["cedar", "cedarschema"]
    tokens = {
        "root": [
            (r"//.*?$", Comment.Single),
            (r'"(\\.|[^"\\])*"', String),
            (r"@\w+", Name.Decorator),
            (words(("permit", "forbid", "when", "unless", "if", "then", "else", "in", "has", "is", "like", "entity", "action",
                    "appliesTo", "namespace", "type", "enum"), prefix=r"\b", suffix=r"\b"), Keyword),
            (words(("principal", "resource", "context", "action"), prefix=r"\b", suffix=r"\b"), Name.Builtin),
            (r"\b(true|false)\b", Keyword.Constant),
            (r"\b\d+\b", Number),
            (r"\w+", Name),
            (r"[=!<>&|+*?:-]+", Operator),
            (r"[\[\](){},;.]", Punctuation),
            (r"\s+", Text),
            (r".", Text),
        ]
    }


class JsonLines(JsonLexer):
    """One JSON document a line."""

    name = "JSON lines"
    aliases = ["jsonl"]


def setup(app):
    app.connect("source-read", trees_of_lists)
    app.connect("doctree-read", links_out_of_the_site, priority=1)
    app.connect("html-page-context", scripts_of_diagrams)
    app.add_directive("mermaid", Mermaid)
    for alias in Cedar.aliases:
        app.add_lexer(alias, Cedar)
    app.add_lexer("jsonl", JsonLines)
