"""Building: found again, made anew where something changed, safe side by side, clear without a compiler."""

import subprocess
import sys
from pathlib import Path

import pytest

from apps.matching.native import build, library
from apps.matching.native.build import NoCompiler, compilers, fingerprint


def test_an_unchanged_source_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    path = build.library()
    assert path.exists()
    monkeypatch.setattr(build, "compile_into", lambda *_: pytest.fail("it was built again"))
    assert build.library() == path
    assert build.built() == path


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


def test_of_processes_side_by_side_one_builds(tmp_path: Path) -> None:
    words = f"""
import pathlib
from apps.matching.native import build
compile_into = build.compile_into
def counted(*given):
    print("builds", flush=True)
    return compile_into(*given)
build.compile_into = counted
print(build.library(pathlib.Path({str(tmp_path)!r}), optimised=build.QUICKLY))
"""
    running = [subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = [line for process in running for line in process.communicate()[0].splitlines()]
    (path,) = tmp_path.iterdir()
    assert sorted(lines) == [*[str(path)] * 3, "builds"]
    assert library.load(path).nbp_rules_version() >= 3


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
    assert build.library(tmp_path, optimised=build.QUICKLY).exists()


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


def test_a_library_of_another_interface_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    with pytest.raises(library.WrongLibrary, match="interface"):
        library.load(build.library())
