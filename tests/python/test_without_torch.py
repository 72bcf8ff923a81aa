# SPDX-License-Identifier: Apache-2.0
"""Without PyTorch the package imports, floydattn.numpy works, and the rest says what is missing."""

import subprocess
import sys
import textwrap

import pytest

NAMES = ["floyd_attention", "pivotal_attention", "pivotal_attention3", "patch_floydnet", "npu_fused_floyd_attention",
         "npu_fused_floyd_attention_backward"]  # fmt: skip


def script(text):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_needs_pytorch_says_so():
    script(f"""
        import sys
        sys.modules["torch"] = None
        import floydattn
        for name in {NAMES}:
            for attempt in (lambda: getattr(floydattn, name), lambda: exec(f"from floydattn import {{name}}")):
                try:
                    attempt()
                except ImportError as error:
                    assert f"floydattn.{{name}} needs PyTorch" in str(error) and "pip install torch" in str(error), error
                else:
                    raise AssertionError(f"{{name}} was found")
    """)


def test_the_rest_works():
    script("""
        import sys
        sys.modules["torch"] = None
        import numpy, floydattn
        ones = numpy.ones((1, 1, 2, 2, 2))
        assert (floydattn.numpy.forward(ones, ones, ones, ones, ones).y == 2).all()
        assert floydattn.__version__ == floydattn.version() and floydattn.library_path()
    """)


def test_importing_does_not_import_pytorch():
    script("""
        import sys, floydattn
        assert "torch" not in sys.modules
    """)


def test_unknown_names():
    import floydattn

    with pytest.raises(AttributeError, match="no attribute 'floyd'"):
        floydattn.floyd
    assert set(NAMES) <= set(dir(floydattn)) and set(floydattn.__all__) <= set(dir(floydattn))


def test_patching_without_floydnet():
    pytest.importorskip("torch")
    script("""
        import sys
        sys.modules["floydnet"] = None
        import floydattn
        try:
            floydattn.patch_floydnet()
        except ImportError as error:
            assert "floydnet" in str(error)
        else:
            raise AssertionError("something was patched")
    """)


def test_errors_of_pytorch_itself_are_not_hidden(tmp_path):
    """An installed PyTorch that does not load is not said to be missing."""
    (tmp_path / "torch.py").write_text("import a_part_that_is_missing\n")
    script(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import floydattn
        try:
            floydattn.floyd_attention
        except ModuleNotFoundError as error:
            assert error.name == "a_part_that_is_missing"
        else:
            raise AssertionError("it was found")
    """)
