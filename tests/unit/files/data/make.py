"""Writes the fixtures of this folder with numpy, ml_dtypes, torch and safetensors; run by hand, in it."""

import ml_dtypes
import numpy as np
import torch
from safetensors.torch import save_file

values = np.arange(24).reshape(2, 3, 4)

np.save("c_f4.npy", values.astype("<f4") + np.float32(0.5))
np.save("fortran_f4.npy", np.asfortranarray(values.astype("<f4") + np.float32(0.5)))
np.save("f2.npy", values.astype("<f2") - np.float16(0.25))
np.save("fortran_i4.npy", np.asfortranarray(values.astype("<i4") - 7))
np.save("i8.npy", values.astype("<i8") * -(2**33))
np.save("b1.npy", values % 3 == 0)
np.save("scalar.npy", np.float32(3.25))
np.save("one_axis.npy", np.array([1, 2, 3], "<i4"))
np.save("empty.npy", np.zeros((2, 0, 4), "<f4"))
np.save("f8.npy", values.astype("<f8"))
np.save("big_endian.npy", values.astype(">f4"))
np.save("structured.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
np.save("object.npy", np.array([{}]), allow_pickle=True)
for version in (2, 3):
    with open(f"version{version}.npy", "wb") as file:
        np.lib.format.write_array(file, values.astype("<f4") + np.float32(0.5), (version, 0))

np.save("bf16.npy", (values * -1.5).astype(ml_dtypes.bfloat16))
arrays = {"f4": values.astype("<f4") + np.float32(0.5), "turned": np.asfortranarray(values.astype("<f8") + 0.5),
          "many": np.arange(100000, dtype="<i8") % 7}
np.savez("stored.npz", f4=arrays["f4"], turned=arrays["turned"])
np.savez_compressed("deflated.npz", **arrays)

tensor = torch.from_numpy(values.copy())
save_file(
    {
        "f32": tensor.float() + 0.5,
        "f16": tensor.half() - 0.25,
        "bf16": tensor.bfloat16() * -1.5,
        "i32": tensor.int() - 7,
        "i64": tensor.long() * -(2**33),
        "bool": tensor % 3 == 0,
        "f64": tensor.double(),
        "u8": tensor.byte()[:, :1, :3].contiguous(),
        "scalar": torch.tensor(3.25),
        "empty": torch.zeros(2, 0, 4),
        "ümlaut:colon": tensor.int(),
    },
    "types.safetensors",
    metadata={"made": "by safetensors"},
)
