"""What ctypes is told of the library is what its header says."""

import ctypes
import re
from pathlib import Path

from ringc import _library, _structs

HEADER = (Path(__file__).parents[3] / "ringc" / "c" / "ringc_c.h").read_text()
PLAIN = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)


def test_functions_take_as_many_arguments():
    declared = {name: takes for name, takes in re.findall(r"RINGC_API ringc_status ringc_(\w+)\(([^;]*)\);", PLAIN)}
    assert len(declared) > 40
    for name, takes in _library._FUNCTIONS.items():
        assert len(declared[name].split(",")) == len(takes), name
        pointers = ["*" in each or "ringc_tune_progress" in each or "[128]" in each for each in declared[name].split(",")]
        wide = [ctypes.sizeof(each) == 8 and each is not ctypes.c_int64 and each is not ctypes.c_size_t for each in takes]
        assert pointers == wide, name


def test_structs_have_the_same_fields():
    for struct, ours in {
        "ringc_tensor": None, "ringc_argument": _structs.Argument, "ringc_attention_inputs": _structs.AttentionInputs,
        "ringc_attention_results": _structs.AttentionResults, "ringc_attention_gradients": _structs.AttentionGradients,
        "ringc_decode_inputs": _structs.DecodeInputs, "ringc_decode_keys": _structs.DecodeKeys, "ringc_send": _structs.Send,
        "ringc_messages": _structs.Messages, "ringc_row_positions": _structs.RowPositions, "ringc_source": _structs.Source,
    }.items():  # fmt: skip
        body = re.search(rf"typedef struct {struct} \{{(.*?)\n?\}} {struct};", PLAIN, re.S)[1]
        body = re.sub(r"\(\*(\w+)\)\([^;]*\);", r" \1;", body)
        names = [name for line in body.split(";") for name in re.findall(r"(\w+)\s*(?:,|$)", line.strip())]
        if ours is not None:
            assert names == [name for name, _ in ours._fields_], struct
    assert ctypes.sizeof(_structs.Tensor) == 48


def test_statuses_are_exceptions():
    codes = {int(number) for number in re.findall(r"RINGC_ERROR_\w+ = (\d+)", PLAIN)}
    assert codes == set(_library._EXCEPTIONS)
    assert int(re.search(r"RINGC_ABI_VERSION (\d+)", HEADER)[1]) == _library.ABI_VERSION
