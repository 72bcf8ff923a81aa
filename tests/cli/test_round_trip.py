# SPDX-License-Identifier: Apache-2.0
"""Files in, files out, against the formulas in float64."""

import numpy as np
import pytest

from conftest import SCALE, operands, refused, succeed
from formats import NUMPY_TYPES, backward, decode, encode, forward, read_safetensors, write_safetensors

# One rounding of the output, and room for accumulation, relative to the largest value of the tensor: sums here have
# at most some 20 terms.
ROUNDING = {"F16": 2**-11, "BF16": 2**-8, "F32": 2**-24, "F64": 2**-53}
ACCUMULATION = {"F16": 2e-5, "BF16": 2e-5, "F32": 2e-5, "F64": 1e-13}
SAVED = ("softmax_max", "softmax_sum", "attention_in")
GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2")


def exact(tensors):
    return {name: decode(stored, dtype) for name, (dtype, stored) in tensors.items()}


def assert_close(got, want, dtype):
    scale = np.abs(want[np.abs(want) < 1e30]).max(initial=0)
    assert got.shape == want.shape
    assert (np.abs(got - want) <= ROUNDING[dtype] * np.abs(want) + ACCUMULATION[dtype] * scale).all()


def check_saved(tensors, saved, scale=SCALE):
    dtype = tensors["query"][0]
    statistic = "F64" if dtype == "F64" else "F32"
    assert {name: entry[0] for name, entry in saved.items()} == {
        "softmax_max": statistic, "softmax_sum": statistic, "attention_in": dtype}  # fmt: skip
    y, top, total, _ = forward(exact(tensors), scale)
    assert_close(decode(saved["attention_in"][1], dtype), y, dtype)
    assert_close(decode(saved["softmax_max"][1], statistic), top, statistic)
    assert_close(decode(saved["softmax_sum"][1], statistic), total, statistic)


def check_gradients(tensors, saved, gradients, scale=SCALE, zero_grad=False):
    dtype = tensors["query"][0]
    assert {name: entry[0] for name, entry in gradients.items()} == dict.fromkeys(GRADIENTS, dtype)
    want = backward(exact({**tensors, **saved}), scale, zero_grad)
    for name in GRADIENTS:
        assert_close(decode(gradients[name][1], dtype), want[name], dtype)


def same(a, b):
    return a.keys() == b.keys() and all(a[n][0] == b[n][0] and a[n][1].tobytes() == b[n][1].tobytes() for n in a)


def write_npy(directory, tensors, version=None, order="C"):
    directory.mkdir(exist_ok=True)
    for name, (dtype, stored) in tensors.items():
        array = np.asarray(stored.view("V2") if dtype == "BF16" else stored, order=order)
        with open(directory / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, array, version=version)


def read_npy(directory):
    types = {np.dtype(code): name for name, code in NUMPY_TYPES.items() if name != "BF16"}
    tensors = {}
    for path in directory.glob("*.npy"):
        array = np.load(path)
        bf16 = array.dtype == np.dtype("V2")
        tensors[path.stem] = ("BF16", array.view("<u2")) if bf16 else (types[array.dtype], array)
    return tensors


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@pytest.mark.parametrize("mask", [None, (1, 1, 3, 1, 7), (1, 2, 3, 5, 7)], ids=["none", "narrow", "full"])
def test_safetensors(tmp_path, dtype, mask):
    tensors = operands(dtype, mask=mask)
    source, first, second, third = (tmp_path / name for name in ("in", "saved", "grads", "grads2"))
    write_safetensors(source, tensors, scale=str(SCALE))
    succeed("forward", source, "-o", first)
    saved, metadata = read_safetensors(first)
    check_saved(tensors, saved)
    assert float(metadata["scale"]) == SCALE
    succeed("grad", source, first, "-o", second)
    gradients, metadata = read_safetensors(second)
    check_gradients(tensors, saved, gradients)
    assert float(metadata["scale"]) == SCALE
    succeed("grad", source, "-o", third)
    assert second.read_bytes() == third.read_bytes()


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, dtype, version, order):
    tensors = operands(dtype, mask=(1, 1, 3, 1, 7))
    write_npy(tmp_path / "in", tensors, version, order)
    succeed("forward", tmp_path / "in", "-s", SCALE, "-o", tmp_path / "saved")
    saved = read_npy(tmp_path / "saved")
    check_saved(tensors, saved)
    succeed("grad", tmp_path / "in", tmp_path / "saved", "-s", SCALE, "-o", tmp_path / "grads/")
    check_gradients(tensors, saved, read_npy(tmp_path / "grads"))


def test_both_formats_give_the_same_bits(tmp_path, problem):
    write_npy(tmp_path / "in", operands(), order="F")
    succeed("forward", problem, "-o", tmp_path / "a")
    succeed("forward", tmp_path / "in", "-s", SCALE, "-o", tmp_path / "b.safetensors")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("rule", ["replace", "zero-grad"])
def test_mask_rule(tmp_path, rule):
    tensors = operands(mask=(1, 1, 3, 1, 7))
    write_safetensors(tmp_path / "in", tensors, scale=str(SCALE))
    succeed("forward", tmp_path / "in", "-o", tmp_path / "saved")
    succeed("grad", tmp_path / "in", "-o", tmp_path / "grads", "--mask-rule", rule)
    saved, gradients = (read_safetensors(tmp_path / name)[0] for name in ("saved", "grads"))
    check_gradients(tensors, saved, gradients, zero_grad=rule == "zero-grad")


@pytest.mark.parametrize("copies", [1, 3, 8])
def test_copies_of_the_statistics(tmp_path, problem, copies):
    succeed("forward", problem, "-o", tmp_path / "saved")
    saved, _ = read_safetensors(tmp_path / "saved")
    wide = dict(saved)
    for name in ("softmax_max", "softmax_sum"):
        wide[name] = ("F32", np.repeat(saved[name][1][..., None], copies, axis=-1))
    write_safetensors(tmp_path / "wide", wide)
    succeed("grad", problem, tmp_path / "wide", "-o", tmp_path / "a")
    succeed("grad", problem, tmp_path / "saved", "-o", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_statistics_are_used_as_given(tmp_path, problem):
    tensors, saved = operands(), {}
    for name, values in zip(SAVED, forward(exact(tensors), SCALE)[1:3]):
        saved[name] = ("F32", (values + 1).astype("<f4"))
    saved["attention_in"] = ("F32", encode(np.ones(tensors["query"][1].shape), "F32"))
    write_safetensors(tmp_path / "saved", saved)
    succeed("grad", problem, tmp_path / "saved", "-o", tmp_path / "grads")
    check_gradients(tensors, saved, read_safetensors(tmp_path / "grads")[0])


def test_single_precision_beside_half(tmp_path):
    tensors = operands("F16")
    tensors["dy"] = ("F32", decode(tensors["dy"][1], "F16").astype("<f4"))
    write_safetensors(tmp_path / "in", tensors, scale=str(SCALE))
    succeed("forward", tmp_path / "in", "-o", tmp_path / "saved")
    succeed("grad", tmp_path / "in", "-o", tmp_path / "grads")
    saved, gradients = (read_safetensors(tmp_path / name)[0] for name in ("saved", "grads"))
    check_gradients(tensors, saved, gradients)


@pytest.mark.parametrize("pad", range(1, 8))
def test_data_at_odd_addresses(tmp_path, problem, pad):
    write_safetensors(tmp_path / "odd", {"skew": ("U8", np.zeros(3, np.uint8)), **operands()}, str(SCALE), pad)
    succeed("forward", problem, "-o", tmp_path / "a")
    succeed("forward", tmp_path / "odd", "-o", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("empty", ["n", "m", "k", "d"])
def test_empty_problems(tmp_path, empty):
    tensors = operands(**{empty: 0})
    write_safetensors(tmp_path / "in", tensors, scale="1")
    succeed("forward", tmp_path / "in", "-o", tmp_path / "saved")
    succeed("grad", tmp_path / "in", "-o", tmp_path / "grads")
    saved, gradients = (read_safetensors(tmp_path / name)[0] for name in ("saved", "grads"))
    assert saved["attention_in"][1].shape == tensors["query"][1].shape
    if empty != "d":
        assert not any(np.any(stored) for _, stored in gradients.values())
    if empty == "k":
        assert (saved["softmax_max"][1] == -np.finfo(np.float32).max).all()
        assert not np.any(saved["softmax_sum"][1]) and not np.any(saved["attention_in"][1])


def test_threads_give_the_same_bits(tmp_path, problem):
    files = []
    for threads in (1, 2, 7):
        files.append(tmp_path / str(threads))
        succeed("grad", problem, "-o", files[-1], "--threads", threads)
    assert len({file.read_bytes() for file in files}) == 1


def test_scale_of_the_command_line_wins(tmp_path, problem):
    succeed("forward", problem, "--scale", "-1.5", "-o", tmp_path / "out")
    saved, metadata = read_safetensors(tmp_path / "out")
    check_saved(operands(), saved, scale=-1.5)
    assert float(metadata["scale"]) == -1.5


def test_scale_survives_its_text(tmp_path):
    write_safetensors(tmp_path / "in", operands(), scale=repr(1 / 3))
    succeed("forward", tmp_path / "in", "-o", tmp_path / "out")
    assert float(read_safetensors(tmp_path / "out")[1]["scale"]) == 1 / 3


def test_other_tensors_are_ignored(tmp_path, problem):
    strangers = {"weights": ("U8", np.zeros((2, 3, 4, 5, 6, 7), np.uint8)), "": ("U8", np.zeros(0, np.uint8))}
    write_safetensors(tmp_path / "in", {**strangers, **operands()}, scale=str(SCALE))
    succeed("forward", problem, "-o", tmp_path / "a")
    succeed("forward", tmp_path / "in", "-o", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_results_into_the_directory_of_the_input(tmp_path):
    write_npy(tmp_path / "d", operands())
    for command in ("forward", "grad"):
        succeed(command, tmp_path / "d", "-s", SCALE, "-o", tmp_path / "d")
    found = read_npy(tmp_path / "d")
    assert sorted(found) == sorted([*operands(), *SAVED, *GRADIENTS])
    check_gradients(operands(), found, {name: found[name] for name in GRADIENTS})


def test_output_file_and_directory(tmp_path, problem):
    write_npy(tmp_path / "d", operands())
    (tmp_path / "there").mkdir()
    for source, output, directory in [
        (problem, "a", False), (problem, "b/", True), (problem, "there", True), (problem, "c.safetensors/", True),
        ("d", "e", True), ("d", "e.safetensors", False),
    ]:  # fmt: skip
        succeed("forward", source, "-s", SCALE, "-o", output, cwd=tmp_path)
        assert (tmp_path / output).is_dir() == directory
        if directory:
            assert sorted(p.name for p in (tmp_path / output).iterdir()) == sorted(f"{n}.npy" for n in SAVED)


def test_output_replaces_and_keeps_links(tmp_path, problem):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    succeed("forward", problem, "-o", link)
    assert link.is_symlink() and read_safetensors(target)[0]


def test_permissions_follow_the_mask(tmp_path, problem):
    succeed("forward", problem, "-o", tmp_path / "out", umask=0o027)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_one_tensor_in_two_files(tmp_path, problem, out):
    assert "query" in refused(1, "forward", problem, problem, "-o", out)


def test_two_files_of_different_scale(tmp_path, problem, out):
    write_safetensors(tmp_path / "other", {}, scale="7")
    assert "--scale" in refused(1, "forward", problem, tmp_path / "other", "-o", out)
    succeed("forward", problem, tmp_path / "other", "-o", out, "-s", 1)
    assert read_safetensors(out)[1]["scale"] == "1"
