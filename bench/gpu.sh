#!/usr/bin/env bash
# On a machine with NVIDIA GPUs: the GPU tests, then the benchmarks, without network or build. Where
# python3 has PyTorch its attentions are measured beside.
set -uo pipefail

usage() {
  cat <<'TEXT'
usage: gpu.sh [--quick] [--out DIR] [--bin DIR] [--no-tests] [--no-peers]

  --quick      a few sizes, in less than three minutes
  --out DIR    where all results go: info.txt, tests.txt, verify.txt, peers.txt, *.jsonl, trace-*.json, table.txt, skipped.txt;
               gpu-results unless given
  --bin DIR    the folder of ringc and test-gpu: bin beside this script's folder unless given
  --no-tests   without test-gpu
  --no-peers   without PyTorch's attentions

Exit codes: 0 done, 1 a test or check failed, 2 usage, 77 skipped: there is no GPU here.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
quick=0 tests=1 peers=1 out=gpu-results bin=$here/../bin
while (($#)); do
  case $1 in
  --quick) quick=1 ;;
  --no-tests) tests=0 ;;
  --no-peers) peers=0 ;;
  --out | --bin)
    (($# > 1)) || { usage >&2; exit 2; }
    [[ $1 == --out ]] && out=$2 || bin=$2
    shift
    ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done

for program in ringc test-gpu; do
  [[ -x $bin/$program ]] || { echo "gpu.sh: no program $bin/$program" >&2; exit 2; }
done
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
rm -f "$out"/{info.txt,tests.txt,verify.txt,peers.txt,bench.jsonl,split.jsonl,ring.jsonl,peers.jsonl,table.txt,skipped.txt}
ringc=$bin/ringc failed=0
export RINGC_CACHE_DIR=${RINGC_CACHE_DIR:-$out/kernels}

say() { printf '== %s\n' "$*" >&2; }
skip() { printf 'skipped: %s\n' "$*" | tee -a "$out/skipped.txt" >&2; }
fail() { printf 'FAILED: %s\n' "$*" >&2; failed=1; }

# within SECONDS COMMAND...: ends it then. Exit code as the command's, 124 where it was ended.
within() {
  local seconds=$1
  shift
  timeout --kill-after=10 "$seconds" "$@"
}

# on_ranks P SECONDS COMMAND...: as P processes, one for each GPU; stdout is that of rank 0.
port=29600
on_ranks() {
  local ranks=$1 seconds=$2 rank code=0 pids=()
  shift 2
  port=$((port + 10))
  for ((rank = 0; rank < ranks; ++rank)); do
    RANK=$rank WORLD_SIZE=$ranks LOCAL_RANK=$rank MASTER_ADDR=127.0.0.1 MASTER_PORT=$port \
      timeout --kill-after=10 "$seconds" "$@" &
    pids+=($!)
  done
  for rank in "${pids[@]}"; do
    wait "$rank" || code=$?
  done
  return $code
}

"$ringc" info >"$out/info.txt" || fail "ringc info"
gpus=$(grep -cE '^cuda:[0-9]+ +[^l ]' "$out/info.txt")
if ((gpus == 0)); then
  skip "everything, for there is no GPU here: $(sed -n 's/^CUDA  *//p' "$out/info.txt")"
  exit 77
fi
cat "$out/info.txt" >&2
no_ring= # why there is none of several processes
((gpus > 1)) || no_ring="there is one GPU"
nccl=$(sed -n 's/^NCCL  *//p' "$out/info.txt")
[[ $nccl == "no NCCL"* ]] && no_ring=${no_ring:-$nccl}

if ((tests)); then
  say "GPU tests"
  which=()
  if ((quick)); then # the numbers of every shape take three minutes to compile
    which=(-sf="*DeviceTest*,*StreamTest*")
    skip "the tests of many shapes on one device: --quick"
  fi
  within $((quick ? 60 : 600)) "$bin/test-gpu" "${which[@]}" >"$out/tests.txt" 2>&1
  code=$?
  tail -n 3 "$out/tests.txt" >&2
  if ((code == 124)); then
    fail "test-gpu did not end in time"
  elif ((code)); then
    fail "test-gpu, exit code $code: see $out/tests.txt"
  fi
  if ((quick)); then
    skip "rings of processes over NCCL that fail: --quick"
  elif ! command -v python3 >/dev/null; then
    skip "rings of processes over NCCL that fail: there is no python3"
  else
    within 600 python3 "$here/nccl_test.py" "$bin/test-gpu" >>"$out/tests.txt" 2>&1
    code=$?
    if ((code == 77)); then
      skip "rings of processes over NCCL that fail: $(tail -n 1 "$out/tests.txt")"
    elif ((code)); then
      fail "nccl_test.py, exit code $code: see $out/tests.txt"
    fi
  fi
else
  skip "the GPU tests: --no-tests"
fi

say "every rank against double precision"
verify() {
  echo "ringc verify $*" >>"$out/verify.txt"
  within 120 "$ringc" verify "$@" >>"$out/verify.txt" || fail "ringc verify $*"
}
verify --device cuda --shape 1,257,4,2,64 --causal --ranks 4 --layout zigzag --dtype bf16
verify --device cuda --shape 1,200,2,2,128 --ranks 3 --layout striped
verify --device cuda --shape 1,257,4,2,64 --causal --ranks 4 --layout striped --dtype bf16 --schedule all-gather
verify --device cuda --shape 1,129,2,1,64 --causal --f32 tf32
verify --device cuda --program module --num-buckets 1 --causal --dtype bf16
verify --device cuda --program tree
verify --device cuda --program decode --count 40
if [[ -z $no_ring ]]; then
  echo "ringc verify on 2 processes" >>"$out/verify.txt"
  on_ranks 2 120 "$ringc" verify --device cuda --shape 1,513,4,2,64 --causal --layout zigzag \
    --dtype bf16 >>"$out/verify.txt" || fail "ringc verify over NCCL"
  on_ranks 2 120 "$ringc" verify --device cuda --program module --causal >>"$out/verify.txt" ||
    fail "ringc verify --program module over NCCL"
fi

# b,n,h,hkv,d: 16k tokens in all, as many heads as give 2048 columns.
shapes=(1,16384,16,16,128)
lengths=(8192)
repeats=5
if ((!quick)); then
  shapes=(4,4096,32,32,64 1,16384,32,32,64 4,4096,16,16,128 1,16384,16,16,128)
  lengths=(8192 32768 131072)
  repeats=11
fi
shape_flags=()
for shape in "${shapes[@]}"; do shape_flags+=(--shape "$shape"); done

say "one GPU" # the fused backward adds in any order, as the peers' does; the split one always gives the same bits
bench() {
  within $((quick ? 40 : 300)) "$ringc" bench --device cuda --devices 0 --dtype bf16 "${shape_flags[@]}" \
    --repeats "$repeats" --json -q "$@" || fail "ringc bench $*"
}
bench --backward fused >"$out/bench.jsonl"
bench --backward split | sed 's/^{/{"who": "ringc split", /' >"$out/split.jsonl"

if [[ -z $no_ring ]]; then
  say "a ring over $gpus GPUs"
  for length in "${lengths[@]}"; do
    on_ranks "$gpus" 200 "$ringc" bench --device cuda --dtype bf16 --causal --layout zigzag --backward fused \
      --shape "1,$length,32,8,128" --repeats "$repeats" --json -q \
      --trace "$out/trace-$length.json" >>"$out/ring.jsonl" || fail "ringc bench over NCCL, $length tokens"
    # The same work on one GPU: what the ring adds is the difference of the TFLOP/s of a GPU.
    within 200 "$ringc" bench --device cuda --devices 0 --dtype bf16 --causal --backward fused \
      --shape "1,$length,32,8,128" --repeats "$repeats" --json -q >>"$out/ring.jsonl" ||
      fail "ringc bench on one GPU, $length tokens"
  done
else
  skip "rings over several GPUs and NCCL: $no_ring"
fi

if ((!peers)); then
  skip "PyTorch's attentions: --no-peers"
elif ! command -v python3 >/dev/null; then
  skip "PyTorch's attentions, and one table of all: there is no python3"
elif ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  skip "PyTorch's attentions: $(command -v python3) has no torch that sees a GPU"
else
  say "PyTorch's attentions"
  within $((quick ? 40 : 300)) python3 "$here/gpu_peers.py" single --repeats "$repeats" \
    "${shapes[@]}" >"$out/peers.jsonl" 2>"$out/peers.txt" || fail "gpu_peers.py single"
  if ((gpus > 1)); then
    within $((quick ? 60 : 400)) python3 "$here/gpu_peers.py" ring --ranks "$gpus" \
      --repeats "$repeats" "${lengths[@]}" >>"$out/peers.jsonl" 2>>"$out/peers.txt" ||
      fail "gpu_peers.py ring"
    if ((quick)); then
      skip "ring-attention-pytorch: --quick"
    else # the last, for it may hang; what it measured until then stays
      within 450 python3 "$here/gpu_peers.py" original --ranks "$gpus" --repeats "$repeats" --limit 200 \
        "${lengths[@]}" >>"$out/peers.jsonl" 2>>"$out/peers.txt" ||
        skip "ring-attention-pytorch: gpu_peers.py original, exit code $?"
    fi
  fi
  grep '^skipped: ' "$out/peers.txt" >>"$out/skipped.txt"
fi

results=()
for file in bench split ring peers; do [[ -s $out/$file.jsonl ]] && results+=("$out/$file.jsonl"); done
if ((${#results[@]} == 0)); then
  fail "nothing was measured"
elif command -v python3 >/dev/null; then
  python3 "$here/gpu_table.py" "${results[@]}" | tee "$out/table.txt"
else
  cat "${results[@]}" | tee "$out/table.txt"
fi
[[ -s $out/skipped.txt ]] && cat "$out/skipped.txt"
exit $failed
