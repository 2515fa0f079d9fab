# Tests are .mlir, .tile, .json and .test files with RUN lines; `ringc`, `ringc-opt`, `FileCheck`, `not`
# and `split-file` name this build's and LLVM 22's programs; %kernels is the folder of tile sources. No test asks what
# this processor is: `compile-for CHIP` compiles for any.

import os

import lit.formats

config.name = "ringc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".tile", ".json", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)

config.environment["PATH"] = os.pathsep.join(
    [config.ringc_bin_dir, config.llvm_tools_dir, os.environ.get("PATH", "")]
)
# Kernels compiled by a test stay out of the user's own cache.
config.environment["RINGC_CACHE_DIR"] = os.path.join(config.test_exec_root, "cache")
config.substitutions.append(("%kernels", os.path.join(config.ringc_source_dir, "kernels.tiles")))
