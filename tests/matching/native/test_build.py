"""Building: found again, made anew where something changed, safe side by side, clear without a compiler."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.matching.native import build, library
from apps.matching.native.build import NoCompiler, compilers, fingerprint


def test_an_unchanged_source_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    path = build.library()
    assert path.exists()
    monkeypatch.setattr(build, "compile_into", lambda *_: pytest.fail("it was built again"))
    assert build.library() == path


def test_what_was_built_is_found_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert build.built(tmp_path) is None
    path = build.library()
    monkeypatch.setattr(build, "compilers", lambda: iter([]))
    assert build.built() == build.library() == path


def test_the_name_says_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {fingerprint(options) for options in ([], ["-O2"], ["-O3"])}
    header = build.layout.header()
    monkeypatch.setattr(build.layout, "header", lambda: header + "/* another contract */")
    names.add(fingerprint([]))
    assert len(names) == 4


def test_builds_side_by_side_make_one_library(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: build.library(tmp_path, defines=["SIDE_BY_SIDE"]), range(3)))
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert len(paths) == 1
    assert library.load(paths.pop()).nbp_rules_version() >= 3


def test_without_a_compiler_it_says_what_was_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "compilers", lambda: iter([]))
    with pytest.raises(NoCompiler, match="there is no cc, gcc, clang or ziglang"):
        build.library(tmp_path)
    broken = (sys.executable, "-c", "import sys; sys.exit('this is no compiler')")
    monkeypatch.setattr(build, "compilers", lambda: iter([broken]))
    with pytest.raises(NoCompiler, match="this is no compiler"):
        build.library(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_compiler_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "import sys; sys.exit(1)")
    working = next(compilers())
    monkeypatch.setattr(build, "compilers", lambda: iter([broken, working]))
    assert build.library(tmp_path).exists()


def test_the_variable_names_a_compiler_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    assert next(compilers()) == (sys.executable, "-m", "ziglang", "cc")
    monkeypatch.setenv("CC", "there-is-no-such-compiler")
    assert all("there-is-no" not in words[0] for words in compilers())


def test_the_command_prints_the_path() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apps.matching.native.build"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{build.library()}\n"


def test_sources_have_no_warnings(tmp_path: Path) -> None:
    build.program(tmp_path / "submit", build.HERE / "examples" / "submit.c")


def test_a_library_of_another_interface_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    with pytest.raises(library.WrongLibrary, match="interface"):
        library.load(build.library())
