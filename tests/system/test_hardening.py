"""The built programs, as readelf and objdump see them: what the compiler and the linker do against memory errors is in each.

Every check is shown to be able to fail, on a program that is linked with the Makefile's flags and one that takes it back.
"""
import glob
import os
import platform
import re
import subprocess

import pytest

from lib.place import BUILD, ROOT, SANITIZED, program

PROGRAMS = ["parcelpostd", "parcelpost-queue", "parcelpost", "sendmail"]
X86 = platform.machine() == "x86_64"
SOURCE = """
#include <stdio.h>
#include <string.h>
int number;
#ifdef BOTH
__asm__(".section .both,\\"awx\\",@progbits\\n.long 1\\n.previous");
#endif
int main(int count, char **words) {
    char small[16], large[50000];
    memset(large, count, sizeof large);
    memcpy(small, words[0], strlen(words[0]));
    number = *(int *)(void *)small;
    printf("%p %s %s", (void *)&number, small, large);
    return 0;
}
"""


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


class Binary:
    def __init__(self, path):
        self.path = path
        self.text = said("readelf", "-W", "-h", "-l", "-d", path)
        self.symbols = set(re.findall(r" UND ([A-Za-z_0-9]+)", said("readelf", "-W", "--dyn-syms", path)))
        self.segments = re.findall(r"^ +([A-Z_]+) +(0x[0-9a-f]+) 0x.* ([R ][W ][E ]) +0x[0-9a-f]+$", self.text, re.M)

    def entry(self, name):
        """What the dynamic section says behind a tag; None: nothing."""
        found = re.search(rf"\({name}\) *(.*)", self.text)
        return found and found[1]


def is_position_independent(binary):
    return "Type:                              DYN" in binary.text and "PIE" in (binary.entry("FLAGS_1") or "")


def has_relro(binary):
    return any(kind == "GNU_RELRO" for kind, _, _ in binary.segments)


def binds_at_once(binary):
    return "NOW" in (binary.entry("FLAGS_1") or "") and ("BIND_NOW" in (binary.entry("FLAGS") or "") or binary.entry("BIND_NOW") is not None)


def has_a_stack_for_data_alone(binary):
    return [flags for kind, _, flags in binary.segments if kind == "GNU_STACK"] == ["RW "]


def has_no_segment_to_write_and_execute(binary):
    return not any("W" in flags and "E" in flags for _, _, flags in binary.segments)


def has_code_in_a_segment_of_its_own(binary):
    """Headers and constants are not executable: the first segment, which they are in, is read alone."""
    return [flags for kind, offset, flags in binary.segments if kind == "LOAD" and int(offset, 16) == 0] == ["R  "]


def relocates_no_code(binary):
    return binary.entry("TEXTREL") is None and "TEXTREL" not in (binary.entry("FLAGS") or "")


def names_no_place_of_libraries(binary):
    return binary.entry("RPATH") is None and binary.entry("RUNPATH") is None


def guards_its_stack(binary):
    return "__stack_chk_fail" in binary.symbols


def checks_sizes(binary):
    return any(re.fullmatch(r"__\w+_chk", name) for name in binary.symbols - {"__stack_chk_fail"})


def touches_each_page_of_its_stack(binary):
    return re.search(r"sub +\$0x1000,%rsp\n.*\t(?:orq?|movq) +\$0x0,(?:0x[0-9a-f]+)?\(%rsp\)", said("objdump", "-d", "--no-show-raw-insn", binary.path)) is not None


# Each check, and what takes away what it looks for.
CHECKS = [(is_position_independent, ["-no-pie", "-fno-pie"]), (has_relro, ["-Wl,-z,norelro"]), (binds_at_once, ["-Wl,-z,lazy"]),
          (has_a_stack_for_data_alone, ["-Wl,-z,execstack"]), (has_no_segment_to_write_and_execute, ["-DBOTH"]),
          (has_code_in_a_segment_of_its_own, ["-Wl,-z,noseparate-code"]), (names_no_place_of_libraries, ["-Wl,-rpath,/tmp"]),
          (guards_its_stack, ["-fno-stack-protector"])]
if not SANITIZED:  # which looks at sizes in its own way
    CHECKS.append((checks_sizes, ["-U_FORTIFY_SOURCE"]))
if X86:
    CHECKS.append((relocates_no_code, ["-fno-pic", "-mcmodel=large", "-Wl,-z,notext"]))
    if not SANITIZED:
        CHECKS.append((touches_each_page_of_its_stack, ["-fno-stack-clash-protection"]))


def compiler_and_flags():
    """What the Makefile calls: the compiler, and its flags for compiling and linking."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    words = subprocess.run(["make", "-s", "-C", ROOT, "--eval", "flags: ; @echo $(CC) $(CFLAGS) $(LDFLAGS)", "flags"], stdout=subprocess.PIPE, check=True,
                           text=True, env=environment).stdout.split()
    return [word for word in words if not word.startswith("-W") or word.startswith("-Wl,")]


def linked(folder, *weakened):
    source = folder / "source.c"
    source.write_text(SOURCE)
    result = folder / "program"
    subprocess.run([*compiler_and_flags(), *weakened, "-o", str(result), str(source)], check=True, stdin=subprocess.DEVNULL)
    return Binary(str(result))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_is_hardened(name):
    binary = Binary(program(name))
    assert [check.__name__ for check, _ in CHECKS if not check(binary)] == []


def test_what_the_makefile_compiles_and_links_is_hardened(tmp_path):
    binary = linked(tmp_path)
    assert [check.__name__ for check, _ in CHECKS if not check(binary)] == []


@pytest.mark.parametrize("check, weakened", CHECKS, ids=[check.__name__ for check, _ in CHECKS])
def test_a_program_without_it_is_told_apart(tmp_path, check, weakened):
    assert not check(linked(tmp_path, *weakened))


def marked(path):
    """Whether the note of an object says that its indirect branches land where they may, and its returns go where they came from."""
    return "x86 feature: IBT, SHSTK" in said("readelf", "-n", path)


@pytest.mark.skipif(not X86, reason="a feature of x86-64")
def test_every_object_says_that_its_branches_land_where_they_may(tmp_path):
    """The linker leaves the note out when one object has none: Debian 12's Scrt1.o, crti.o and crtn.o are without it."""
    objects = [path for path in glob.glob(os.path.join(BUILD, "src", "**", "*.o"), recursive=True)
               if os.path.exists(os.path.join(ROOT, os.path.relpath(path, BUILD))[:-2] + ".c")]  # not what an older source left
    assert len(objects) > 300 and [path for path in objects if not marked(path)] == []
    compiler = compiler_and_flags()[0]
    library = all(marked(said(compiler, f"-print-file-name={name}").strip()) for name in ("Scrt1.o", "crti.o", "crtn.o"))
    assert all(marked(program(name)) == library for name in PROGRAMS)
    (tmp_path / "source.c").write_text(SOURCE)
    weak = str(tmp_path / "weak.o")
    subprocess.run([*compiler_and_flags(), "-fcf-protection=none", "-c", "-o", weak, str(tmp_path / "source.c")], check=True)
    assert not marked(weak)
