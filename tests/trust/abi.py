#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What programs compiled against the public headers rely on, read from the headers and the libraries themselves.

    abi.py list BUILD           every type, field, constant, function and macro of the headers, and what the libraries export
    abi.py program              a C program (C++ too) that asserts all sizes, offsets and values, and names every function

Nothing here knows a name of the interface: what is added to a header appears in both.
"""
import re
import subprocess
import sys
from pathlib import Path

from clang.cindex import Cursor, CursorKind, Index, TranslationUnit, TypeKind

INCLUDE = Path("include")
# Library, what its version script is, which headers declare what it exports, how the exported names begin.
LIBRARIES = (
    ("libfloydattn.so", "src/floydattn.map", "floydattn.h", "floyd_(?!cuda_)"),
    ("libfloydattn_acl.so", "src/acl/floydattn_acl.map", "cann/", "acl|AclSet"),
    ("libfloydattn_cuda.so", "src/cuda/floydattn_cuda.map", "floydattn_cuda.h", "floyd_cuda_"),
)


def headers() -> list[str]:
    return sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))


def include_all() -> str:
    return "".join(f'#include "{name}"\n' for name in headers())


def parse(language: str = "c", standard: str = "c11") -> TranslationUnit:
    arguments = [f"-x{language}", f"-std={standard}", f"-I{INCLUDE}", f"-I{INCLUDE}/cann"]
    unit = Index.create().parse("all.c", arguments, [("all.c", include_all())],
                                TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    if list(unit.diagnostics):
        sys.exit("\n".join(str(diagnostic) for diagnostic in unit.diagnostics))
    return unit


def header_of(cursor: Cursor) -> str | None:
    file = cursor.location.file
    path = Path(file.name) if file else None
    return str(path.relative_to(INCLUDE)) if path and path.is_relative_to(INCLUDE) else None


def is_anonymous(cursor: Cursor) -> bool:
    return not cursor.spelling or "(" in cursor.spelling  # newer versions call it "enum (unnamed at ...)"


def named(cursor: Cursor) -> dict[str, str]:
    """Every name that the headers give to something, below `cursor`, with its text if that is short."""
    names = {}
    for child in cursor.get_children():
        if child.kind in (CursorKind.LINKAGE_SPEC, CursorKind.UNEXPOSED_DECL, CursorKind.ENUM_DECL):
            names |= named(child)
        if header_of(child) and not is_anonymous(child) and child.kind != CursorKind.MACRO_INSTANTIATION:
            text = child.kind == CursorKind.VAR_DECL and " ".join(token.spelling for token in child.get_tokens())
            names[child.spelling] = text or child.spelling
    return names


def spell(kind, name: str) -> str:
    """A declaration of `name`, as C writes it."""
    if kind.kind == TypeKind.POINTER and kind.get_pointee().get_canonical().kind == TypeKind.FUNCTIONPROTO \
            and kind.kind != TypeKind.TYPEDEF:
        return kind.spelling.replace("(*)", f"(*{name})", 1)
    if kind.kind == TypeKind.CONSTANTARRAY:
        return f"{kind.element_type.spelling} {name}[{kind.element_count}]"
    return f"{kind.spelling} {name}".replace("* ", "*")


class Interface:
    """The declarations of one translation unit: `lines` by header, and the assertions about them."""

    def __init__(self, unit: TranslationUnit):
        self.lines: dict[str, list[str]] = {}
        self.functions: dict[str, list[str]] = {}
        self.checks: list[str] = []
        self.unit = unit
        for cursor in unit.cursor.get_children():
            header = header_of(cursor)
            if header:
                self.out = self.lines.setdefault(header, [])
                self.read(cursor, header)

    def read(self, cursor: Cursor, header: str) -> None:
        kind = cursor.kind
        if kind == CursorKind.FUNCTION_DECL:
            self.functions.setdefault(header, []).append(cursor.spelling)
            parameters = ", ".join(spell(argument.type, argument.spelling) for argument in cursor.get_arguments()) or "void"
            dots = ", ..." if cursor.type.is_function_variadic() else ""
            self.out.append(f"{spell(cursor.result_type, cursor.spelling)}({parameters}{dots})")
        elif kind == CursorKind.TYPEDEF_DECL:
            self.read_typedef(cursor)
        elif kind == CursorKind.ENUM_DECL:
            if is_anonymous(cursor):  # constants of their own, or the enum of a typedef, which follows
                if not self.named_later(cursor):
                    self.constants(cursor, "")
            else:
                self.read_enum(cursor, f"enum {cursor.spelling}")
        elif kind in (CursorKind.STRUCT_DECL, CursorKind.UNION_DECL):
            if cursor.is_definition():
                self.read_record(cursor)
            else:
                self.out.append(f"struct {cursor.spelling}, opaque")
        elif kind == CursorKind.MACRO_DEFINITION:
            tokens = [token.spelling for token in cursor.get_tokens()]
            if len(tokens) > 1:  # not an include guard
                self.out.append(" ".join(["#define", *tokens]))
        elif kind not in (CursorKind.MACRO_INSTANTIATION, CursorKind.INCLUSION_DIRECTIVE, CursorKind.UNEXPOSED_DECL):
            sys.exit(f"{cursor.location}: {kind}: abi.py does not know how to list that")

    def named_later(self, enum: Cursor) -> bool:
        return any(other.kind == CursorKind.TYPEDEF_DECL and other.underlying_typedef_type.get_declaration() == enum
                   for other in self.unit.cursor.get_children())

    def read_typedef(self, cursor: Cursor) -> None:
        target = cursor.underlying_typedef_type
        declared = target.get_declaration()
        if declared.kind == CursorKind.ENUM_DECL and is_anonymous(declared):
            self.read_enum(declared, cursor.spelling)
        else:
            self.out.append(f"typedef {spell(target, cursor.spelling)}")

    def read_enum(self, cursor: Cursor, name: str) -> None:
        size = cursor.enum_type.get_size()
        self.out.append(f"{name}: {size} bytes")
        self.checks.append(f"ASSERT(sizeof({name}) == {size});")
        self.constants(cursor, "    ")

    def constants(self, cursor: Cursor, indent: str) -> None:
        for constant in cursor.get_children():
            self.out.append(f"{indent}{constant.spelling} = {constant.enum_value}")
            self.checks.append(f"ASSERT((long long){constant.spelling} == {constant.enum_value});")

    def read_record(self, cursor: Cursor) -> None:
        name = f"{'union' if cursor.kind == CursorKind.UNION_DECL else 'struct'} {cursor.spelling}"
        size, align = cursor.type.get_size(), cursor.type.get_align()
        self.out.append(f"{name}: {size} bytes, aligned to {align}")
        self.checks.append(f"ASSERT(sizeof({name}) == {size} && ALIGNOF({name}) == {align});")
        for field in cursor.get_children():
            if field.kind != CursorKind.FIELD_DECL or field.is_bitfield() or is_anonymous(field):
                sys.exit(f"{field.location}: abi.py lists plain fields only")
            offset, length = field.get_field_offsetof() // 8, field.type.get_size()
            self.out.append(f"    at {offset}, {length} bytes: {spell(field.type, field.spelling)}")
            member = f"(({name} *)0)->{field.spelling}"
            self.checks.append(f"ASSERT(offsetof({name}, {field.spelling}) == {offset} && sizeof({member}) == {length});")


def exported(library: Path, script: str) -> list[str]:
    """What the library exports, or, where it is not built, what it is to export."""
    text = re.sub("#.*", "", Path(script).read_text())
    listed = sorted(re.findall(r"\w+", text.split("global:")[1].split("local:")[0]))
    if not library.exists():
        print(f"{library} is not built: {script} speaks for it", file=sys.stderr)
        return listed
    command = ["nm", "-D", "--defined-only", "--format=posix", library]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    symbols = []
    for line in answer.stdout.splitlines():
        name, kind = line.split()[:2]
        if kind != "A":  # the name of a version
            symbols.append(name if kind == "T" else f"{name}, kind {kind}")
    if sorted(symbol.split("@")[0] for symbol in symbols) != listed:
        names = {symbol.split("@")[0] for symbol in symbols}
        sys.exit(f"{library} and {script} disagree: {sorted(names ^ set(listed))}")
    return sorted(symbols)


def list_all(build: Path) -> None:
    interface = Interface(parse())
    print("# The binary interface on x86-64, as tests/trust/abi.sh finds it: `./run test abi` compares, `--update` rewrites.\n"
          "# What stands here may be added to. A line that changes or goes may break programs that are compiled already.")
    for header, lines in sorted(interface.lines.items()):
        if lines:
            print(f"\n[{header}]", *lines, sep="\n")
    in_c, in_cpp = named(parse().cursor), named(parse("c++", "c++11").cursor)
    print("\n[in one language alone]", *(f"C: {in_c[name]}" for name in sorted(in_c.keys() - in_cpp.keys())),
          *(f"C++: {in_cpp[name]}" for name in sorted(in_cpp.keys() - in_c.keys())), sep="\n")
    for name, script, prefix, pattern in LIBRARIES:
        symbols = exported(build / "lib" / name, script)
        print(f"\n[{name}]", *symbols, sep="\n")
        names = {symbol.split("@")[0] for symbol in symbols}
        declared = {function for header, functions in interface.functions.items() if header.startswith(prefix)
                    for function in functions}
        if names != declared:
            sys.exit(f"{name} and its headers disagree: {sorted(names ^ declared)}")
        if strange := [symbol for symbol in names if not re.match(pattern, symbol)]:
            sys.exit(f"{name} exports a name that is not its own: {strange}")


def program() -> None:
    interface = Interface(parse())
    # The library for GPUs may not be there: naming its functions would keep the program from being linked.
    functions = [name for header, names in interface.functions.items() if header != "floydattn_cuda.h" for name in names]
    print(include_all() + """#include <stddef.h>
#ifdef __cplusplus
#define ASSERT(what) static_assert(what, #what)
#define ALIGNOF alignof
#else
#define ASSERT(what) _Static_assert(what, #what)
#define ALIGNOF _Alignof
#endif""")
    print(*interface.checks, sep="\n")
    print("typedef void (*any)(void);\nany functions[] = {")
    print(*(f"    (any){name}," for name in functions), sep="\n")
    print("};\nint main(void)\n{\n    return functions[0] == NULL;\n}")


if __name__ == "__main__":
    if sys.argv[1] == "list":
        list_all(Path(sys.argv[2]))
    else:
        program()
