"""What stands around the package agrees with it: workflows, citation, addresses, bounds."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = {
    requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])
}
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Takes hours, and what it prints wants a reader.
BY_HAND = {"mutation"}
# Older versions of Keras have published holes: pyproject.toml names them.
SAFE_KERAS = Version("3.15.1")


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def assigned(target):
    """The value that noxfile.py gives a name."""
    for node in NOXFILE.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == target:
            return ast.literal_eval(node.value)
    raise AssertionError(f"noxfile.py gives {target} no value")


def known():
    """The sessions of noxfile.py, one for each backend where there are several."""
    names = set()
    for node in NOXFILE.body:
        decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
        if not any(re.match(r"nox\.session\b", each) for each in decorators):
            continue
        if any("parametrize('backend'" in each for each in decorators):
            names |= {f"{node.name}(backend='{backend}')" for backend in assigned("BACKENDS")}
        else:
            names.add(node.name)
    return names


def combinations(job):
    """What the matrix of a job gives, as dicts."""
    matrix = job.get("strategy", {}).get("matrix", {})
    return [
        dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())
    ]


def session_of(command, job, values):
    """The session that a step's command names, or None."""
    found = re.search(r"\bnox -s (\S+)", command)
    if found is None:
        return None
    name = found[1].strip('"')
    if name == "$SESSION":
        assert job["env"]["SESSION"] == "${{ matrix.session }}"
        return values["session"]
    return name


def run_by(path):
    """The sessions that a workflow runs, each with the rest of the matrix."""
    return [
        (name, values)
        for job in load(path)["jobs"].values()
        for values in combinations(job)
        for step in job["steps"]
        if (name := session_of(step.get("run", ""), job, values)) is not None
    ]


def test_ci_runs_the_sessions_that_nox_knows_but_for_those_run_by_hand():
    sessions = {name for name, _ in run_by(ROOT / ".github/workflows/ci.yml")}
    assert sessions == known() - BY_HAND


def test_other_workflows_run_no_session_that_nox_does_not_know():
    for path in WORKFLOWS:
        assert {name for name, _ in run_by(path)} <= known(), path.name


def test_what_nox_runs_unasked_exists():
    assert set(assigned("nox.options.sessions")) <= {name.split("(")[0] for name in known()}


def test_the_tests_run_on_three_systems_and_every_python_that_is_supported():
    prefix = "Programming Language :: Python :: "
    pythons = {
        each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)
    }
    systems = {"ubuntu-latest", "macos-latest", "windows-latest"}
    tried = [
        (name, values["os"], values["python"])
        for name, values in run_by(ROOT / ".github/workflows/ci.yml")
        if name.startswith("tests")
    ]
    tests = {name for name in known() if name.startswith("tests")}
    assert set(tried) == set(itertools.product(tests, systems, pythons))
    assert len(tried) == len(set(tried))


def test_contributing_names_every_session():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert rows == {name.split("(")[0] for name in known()}


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / ".github").rglob("*.yml"))],
)
def test_every_file_for_github_is_yaml(path):
    assert isinstance(load(ROOT / path), dict)


def test_the_documentation_is_built_with_the_same_file_by_nox_and_by_its_host():
    hosting = load(ROOT / ".readthedocs.yaml")
    assert (ROOT / hosting["mkdocs"]["configuration"]).name == "mkdocs.yml"
    assert hosting["mkdocs"]["fail_on_warning"] is True


def test_only_publishing_may_write():
    for path in WORKFLOWS:
        workflow = load(path)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        rights = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
        granted = {name: right for name, right in rights.items() if right}
        if path.name == "release.yml":
            assert granted == {"pypi": {"id-token": "write"}, "github": {"contents": "write"}}
        else:
            assert granted == {}, path.name


def test_the_citation_is_of_this_version_and_names_the_paper_and_its_repository():
    citation = load(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [each["name"] for each in citation["authors"]] == [
        each["name"] for each in PROJECT["authors"]
    ]
    paper = next(each for each in citation["references"] if each["type"] == "conference-paper")
    for page in ("README.md", "docs/index.md"):
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert paper["title"] in text, page
        assert paper["repository-code"] in text, page


def test_every_address_of_the_project_is_https():
    assert PROJECT["urls"]
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())


def test_no_version_of_keras_with_a_published_hole_is_admitted():
    bounds = [
        Version(each.version) for each in REQUIREMENTS["keras"].specifier if each.operator == ">="
    ]
    assert bounds
    assert max(bounds) >= SAFE_KERAS


def test_every_dependency_has_a_lower_bound():
    assert [
        name
        for name, requirement in REQUIREMENTS.items()
        if not any(each.operator == ">=" for each in requirement.specifier)
    ] == []
