"""The words of the house are plain, each has one meaning, and what is cited is there."""

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.docs.imports import find_circles, read_graph
from tests.docs.names import PACKAGES, ROOT, is_bare_participle, names, parse, split_words

# Under one name in a hundred is a bare participle or gerund.
MOST_BARE = 0.01

BANNED = re.compile(r"\b(whoever|somebody|nobody|anybody|everybody|they who)\b", re.IGNORECASE)
# Words that stand there as words: a list of English, a sentence to be cut.
AS_WORDS = {"services/context/words.py", "tests/services/context/ingest/test_sentences.py"}

# Names that several modules define for the same purpose: an entry point, a plug-in's hook, a type
# variable, the parser that is copied because its packages share no code.
SAME_BY_DESIGN = split_words(
    """
    CONTENT_TYPE T app describe_answer describe_progress describe_refusal encoder handler logger
    main SILENCE parse_json parse_request run translate_error
    """
)

LONGEST_MODULE = 300
# The words of the page in three languages, and the page's own start.
ALLOWED_LONG = {"netlify/site/app.js", "netlify/site/words.js"}
TEXT = {".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".md", ".yaml", ".toml", ".html", ".css", ""}
# Not ours to word: the guide that answers are made from, lock files, other people's code.
NOT_OURS = re.compile(r"^knowledge/|vendor/|LICENSE|/vocab\.txt|docs/decisions\.md|tests/docs/")


def texts(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    paths = [Path(one) for one in listed.split("\0") if one and not NOT_OURS.search(one)]
    return [path for path in paths if path.suffix in (suffixes or TEXT) and (ROOT / path).is_file()]


def read(path: Path) -> str:
    return (ROOT / path).read_text("utf-8", "replace")


def test_names_are_verbs_and_nouns() -> None:
    """No bare participle or gerund names a function, method, class or module of any package."""
    for package in PACKAGES:
        all_names = [name for name in names() if name.package == package]
        bare = [str(name) for name in all_names if is_bare_participle(name.name)]
        assert all_names, package
        share = len(bare) / len(all_names)
        assert share < MOST_BARE, "\n".join(bare)


def test_the_actor_is_named() -> None:
    """A reader, a producer, a client or a process does something; nobody else does."""
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in texts()
        if path.as_posix() not in AS_WORDS
        for number, line in enumerate(read(path).splitlines(), 1)
        if BANNED.search(line)
    ]
    assert found == [], "\n".join(found)


def test_no_text_speaks_of_a_document_that_is_not_here() -> None:
    phrase = re.compile(r"\b(user|seed)'s (document|law)\b", re.IGNORECASE)
    found = [str(path) for path in texts() if phrase.search(read(path))]
    assert found == []


def test_every_cited_section_of_the_contract_exists() -> None:
    sections = set(
        re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", read(Path("docs/contract.md")), re.MULTILINE)
    )
    assert sections
    cited = re.compile(
        r"sections? ([\d., and]*\d) of\s+(?:the|docs/|\[)?\s*(?:\[)?(?:the )?contract"
        r"|contract(?:\.md)?(?:\]\([^)]*\))?,?\s+sections? ([\d., and]*\d)"
    )
    missing = [
        f"{path}: section {number}"
        for path in texts()
        for match in cited.finditer(re.sub(r"\s*\n[\s#/*]*", " ", read(path)))
        for number in re.findall(r"\d+(?:\.\d+)?", match[1] or match[2])
        if number not in sections
    ]
    assert missing == []


def public_names(tree: ast.Module) -> Iterable[str]:
    """The public names that a module defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_a_name_that_others_import_has_one_meaning() -> None:
    """Two modules of `services`, or of another package, never export the same name."""
    graph = read_graph()
    meanings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, path in graph.modules.items():
        package = module.partition(".")[0]
        if package in {"tests", "benchmarks", "examples", "fakes"}:
            continue
        for name in set(public_names(parse(path))) & graph.taken[module]:
            if not name.startswith("_") and name not in SAME_BY_DESIGN:
                meanings[package, name].append(module)
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


def test_no_import_goes_in_a_circle() -> None:
    """Not even one inside a function."""
    circles = find_circles(read_graph().edges)
    assert circles == []


def test_no_module_is_longer_than_a_few_screens() -> None:
    long = {
        path.as_posix()
        for path in texts(".py", ".js", ".mjs", ".ts")
        if not path.as_posix().startswith("tests/") and read(path).count("\n") > LONGEST_MODULE
    }
    assert long - ALLOWED_LONG == set()
