#pragma once

/* The C interface of ringc: exact ring attention, decoding, and the tile compiler.
 *
 *     ringc_context *context;
 *     ringc_attention *attention;
 *     if (ringc_context_create("{\"device\": \"cpu\"}", &context) ||
 *         ringc_attention_create(context, NULL, "{\"heads\": 8, \"causal\": true}", &attention) ||
 *         ringc_attention_forward(attention, NULL, &inputs, &results, NULL, 0))
 *       puts(ringc_last_error());
 *
 * Errors. A function that can fail gives a ringc_status; RINGC_OK is 0. Of another one the text is
 * ringc_last_error() on the same thread: for wrong input which argument, its value, and what is
 * allowed. What a function gives by pointer is then left as it was. No exception leaves a function,
 * and none ends the process.
 *
 * Ownership. Handles are destroyed by their _destroy, in any order: what a handle needs of another
 * stays until both are gone. NULL may be destroyed. Tensors, structs and strings that are given in
 * are read during the call alone, except that on a device the memory of tensors must live until the
 * stream has run. Text that is given out is freed by ringc_free.
 *
 * Threads. A context may be used by any number of threads at once; any other handle by one at a
 * time: a call that finds another one under way gives RINGC_ERROR_BUSY and changes nothing. Objects
 * on one group of several ranks count as one handle for that. Destroying a handle that another
 * thread is using is undefined, as free is.
 *
 * Options are JSON objects (UTF-8); NULL and "" are {}. A field that is absent has its default; an
 * unknown one is an error, which says the name that is closest.
 *
 * Structs that begin with `size` grow at their end: set it to their sizeof. The ABI is that of
 * ringc_abi_version(): it changes when something is taken away or means something else. */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RINGC_API __attribute__((visibility("default")))
#else
#define RINGC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RINGC_ABI_VERSION 1

typedef enum ringc_status {
  RINGC_OK = 0,
  RINGC_ERROR_INPUT = 1,        /* an argument cannot be; nothing was done, and no message sent */
  RINGC_ERROR_COMPILE = 2,      /* a .tile source is wrong: file, line and column are in the text */
  RINGC_ERROR_DISAGREEMENT = 3, /* ranks of a group call with different things; on each of them */
  RINGC_ERROR_PEER = 4,         /* another rank failed, is late, or did what the plan has not */
  RINGC_ERROR_CUDA = 5,         /* a call of CUDA failed, or there is none */
  RINGC_ERROR_NCCL = 6,         /* likewise of NCCL */
  RINGC_ERROR_MEMORY = 7,       /* of the host, or of the device */
  RINGC_ERROR_CLOSED = 8,       /* the object's group was closed or destroyed */
  RINGC_ERROR_BUSY = 9,         /* another thread is using the handle */
  RINGC_ERROR_INTERNAL = 10     /* a fault of ringc's own, or of the system: files, threads */
} ringc_status;

/* Of the latest call that failed on this thread, "" before the first; until the next that fails. */
RINGC_API const char *ringc_last_error(void);

/* "0.1.0" */
RINGC_API const char *ringc_version(void);
/* RINGC_ABI_VERSION of the library that is loaded. */
RINGC_API int ringc_abi_version(void);

/* Text that ringc has given; NULL does nothing. */
RINGC_API void ringc_free(void *text);

/* ---- Tensors ------------------------------------------------------------------------------- */

/* Values as DLPack has them. */
enum {
  RINGC_CPU = 1,
  RINGC_CUDA = 2,
  RINGC_CUDA_HOST = 3,
  RINGC_CUDA_MANAGED = 13
}; /* ringc_device.type */
enum { RINGC_INT = 0, RINGC_FLOAT = 2, RINGC_BFLOAT = 4, RINGC_BOOL = 6 }; /* ringc_dtype.code */

typedef struct ringc_device {
  int32_t type, id;
} ringc_device;

/* f32 {FLOAT, 32}, f16 {FLOAT, 16}, bf16 {BFLOAT, 16}, i32 {INT, 32}, i64 {INT, 64}, bool
 * {BOOL, 8}, a byte of 0 or 1; lanes 1. Others are refused. */
typedef struct ringc_dtype {
  uint8_t code, bits;
  uint16_t lanes;
} ringc_dtype;

/* The layout is DLPack's DLTensor: a pointer to one may be cast. Strides count elements, may be 0
 * or negative, and NULL is row-major; at most 8 axes. Of q, k, v and results the last stride is 1,
 * or k, v or q are copied. Where the elements of a tensor that is written are not all different
 * ones, it is refused; so is data that is not aligned to its elements.
 *
 * A context of the CPU takes tensors of RINGC_CPU and RINGC_CUDA_HOST; one of a device those of
 * RINGC_CUDA and RINGC_CUDA_MANAGED with its id, and cu_seqlens of the host. */
typedef struct ringc_tensor {
  void *data;
  ringc_device device;
  int32_t ndim;
  ringc_dtype dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} ringc_tensor;

/* What `managed` holds, a DLManagedTensor, or, where `versioned` is not 0, a
 * DLManagedTensorVersioned, whose major version must be 1. `to_write` not 0: for a result; one with
 * the flag of read-only is refused. The view is borrowed: it lasts until the deleter is called,
 * which stays the caller's. */
RINGC_API ringc_status ringc_tensor_from_dlpack(const void *managed, int versioned, int to_write,
                                                ringc_tensor *view);

/* ---- Contexts ------------------------------------------------------------------------------ */

/* Where things run: the compiler, its kernels, and the processor's threads or a device. Kernels
 * that one object has compiled are there for all of the context, and in the user's cache folder
 * for other processes. */
typedef struct ringc_context ringc_context;

/* Options:
 *   "device"   "cpu" (default), "cuda" or "cuda:N". Of a device the primary context is used, which
 *              is that of the CUDA runtime and of PyTorch too
 *   "threads"  of all that the context runs on the host together; 0 (default): OMP_NUM_THREADS,
 *              or all processors
 *   "tune"     path of a table of tuned tile sizes, for objects whose options do not say; "": none;
 *              absent: the user's */
RINGC_API ringc_status ringc_context_create(const char *options_json, ringc_context **context);
RINGC_API void ringc_context_destroy(ringc_context *context);

/* ---- Groups: the ranks of a world ---------------------------------------------------------- */

/* One rank of a world. Where a function takes a group, NULL is a rank alone.
 *
 * `deadline_ms`: the longest that a rank waits for another, which also bounds how uneven their work
 * may be; 0: 10 minutes, of threads an hour. When a call of a rank fails, those of the others do,
 * and the group is unusable from then on; a disagreement alone leaves it as it was. */
typedef struct ringc_group ringc_group;

/* A world of this rank alone. */
RINGC_API ringc_status ringc_group_alone(ringc_context *context, ringc_group **group);

/* All `world` ranks of a world, as threads of this process: `groups` has room for them, by rank,
 * and each is used by a thread of its own. On the host, threads read each other's tensors while
 * calls are under way; on a device, all ranks share it, and calls cannot be captured in a graph. */
RINGC_API ringc_status ringc_group_threads(ringc_context *context, int world, int64_t deadline_ms,
                                           ringc_group **groups);

/* The same on several devices, without NCCL: `contexts` has the one of each rank. */
RINGC_API ringc_status ringc_group_devices(ringc_context *const *contexts, int world,
                                           int64_t deadline_ms, ringc_group **groups);

/* What all ranks of ringc_group_nccl need of one of them: 128 bytes. */
RINGC_API ringc_status ringc_nccl_unique_id(ringc_context *context, uint8_t id[128]);

/* A rank of a world of devices, of any processes; waits for all of them. Of a context of a device.
 * NCCL is opened here (libnccl.so.2, or RINGC_NCCL_LIBRARY). */
RINGC_API ringc_status ringc_group_nccl(ringc_context *context, int rank, int world,
                                        const uint8_t id[128], int64_t deadline_ms,
                                        ringc_group **group);

/* The caller's ncclComm_t, of the context's device, which must outlive the group; it is not
 * destroyed, but aborted where a rank fails. */
RINGC_API ringc_status ringc_group_nccl_comm(ringc_context *context, void *nccl_comm,
                                             int64_t deadline_ms, ringc_group **group);

/* The ranks of a communicator of MPI, given by its Fortran handle (MPI_Comm_c2f), which is
 * duplicated: all its ranks call this. Of a context of the CPU. RINGC_ERROR_INPUT where ringc was
 * built without MPI. MPI is started where the program has not done so. */
RINGC_API ringc_status ringc_group_mpi(ringc_context *context, int64_t communicator,
                                       int64_t deadline_ms, ringc_group **group);

typedef struct ringc_send {
  int32_t peer;
  const void *bytes;
  size_t count;
} ringc_send;
typedef struct ringc_receive {
  int32_t peer;
  void *bytes;
  size_t count;
} ringc_receive;

/* A carrier of messages between ranks, which the caller brings. Functions are called on the thread
 * that calls ringc, within that call, with `user`; they give 0, or another number and a text in
 * `error`, room for `error_bytes` with the 0 at its end. The arrays last until `post` returns;
 * memory that they point to is ringc's own and stays until `wait` has given 0 or `cancel` has
 * returned.
 *
 * Messages of one tag (0 or 1) from one rank to another arrive in the order in which they were
 * posted. A receive has as many bytes as its send: ranks whose plans differ find that out by
 * messages of one size, before they post others. */
typedef struct ringc_messages {
  size_t size;
  void *user;
  /* Starts sends and receives, together, and returns without waiting for peers. `token` is the
   * caller's name for them. Called again before they are waited for. Where it gives an error,
   * nothing was started. */
  int (*post)(void *user, int tag, const ringc_send *sends, size_t send_count,
              const ringc_receive *receives, size_t receive_count, uint64_t *token, char *error,
              size_t error_bytes);
  /* Returns when all of a post is over. The deadline is the carrier's: it gives an error when a
   * peer is late or gone, and `cancel` comes for what is left. */
  int (*wait)(void *user, uint64_t token, char *error, size_t error_bytes);
  /* The group has failed. 0: nothing touches the memory of this token any more; else it may still
   * be touched, and is kept until the process ends. */
  int (*cancel)(void *user, uint64_t token);
  /* This rank has failed: to be told to the others, as far as the carrier can. May be NULL. */
  void (*abort)(void *user, const char *reason);
  /* Nothing of this is called any more. May be NULL. */
  void (*release)(void *user);
} ringc_messages;

/* Of a context of the CPU. `messages` is copied; `user` must live until `release`. */
RINGC_API ringc_status ringc_group_messages(ringc_context *context, int rank, int world,
                                            const ringc_messages *messages, ringc_group **group);

RINGC_API int ringc_group_rank(const ringc_group *group);
RINGC_API int ringc_group_world(const ringc_group *group);

/* Makes the other ranks' calls fail with RINGC_ERROR_PEER and `reason`: for a rank that cannot go
 * on. Of threads and of NCCL it may be called while another thread is using the group. */
RINGC_API ringc_status ringc_group_abort(ringc_group *group, const char *reason);

/* Ends the group, and what objects have of it: their calls give RINGC_ERROR_CLOSED from now on. The
 * device has run what it was given. Closing again does nothing. Of NCCL, all ranks call it. */
RINGC_API ringc_status ringc_group_close(ringc_group *group);
/* Closes it, too. */
RINGC_API void ringc_group_destroy(ringc_group *group);

/* ---- Attention ----------------------------------------------------------------------------- */

/*     s_ij  = scale * q_i . k_j, then softcap, the user's scores, ALiBi, bias
 *     out_i = sum over visible j of exp(s_ij - lse_i) v_j
 *
 * of sequences that are dealt to the ranks of a group. All ranks make the same calls with the same
 * options and global shape, each with the rows of its shard (ringc_positions); what must be the
 * same is compared before anything is sent.
 *
 * On a device calls put their work in the order of `stream`, a CUstream or cudaStream_t, NULL being
 * the default one, and return; the results are there when the stream has run so far. Calls after
 * the first with the same shapes and strides neither allocate nor wait, and may be captured in a
 * graph. On the host `stream` is NULL and calls return when the results are there. */
typedef struct ringc_attention ringc_attention;

typedef enum ringc_pass { RINGC_FORWARD = 0, RINGC_BACKWARD = 1 } ringc_pass;

/* Fields of `options_json`, with their defaults:
 *   "heads" 1, "kv_heads" 0 (as heads; a divisor of heads), "head_dim" 64, "value_head_dim" 0 (as
 *   head_dim), "head_map" "blocked" | "tiled", "dtype" "f32" | "f16" | "bf16", "f32" "3xtf32" |
 *   "tf32", "scale" null (head_dim^-1/2), "causal" false, "prefix" 0, "window" {"left": -1,
 *   "right": -1}, "softcap" null, "alibi" false, "alibi_slopes" [], "masks" [], "scores" [] (each
 *   {"file", "name", "text"}; text null: read from file), "layout" "contiguous" | "striped" |
 *   "striped:S" | "zigzag", "ring_size" 0 (the world), "schedule" null (chosen) | "ring" | "ring:C"
 *   | "all-gather", "backward" null (chosen) | "split" | "fused", "tile" {} ({"q": 64, "kv": 128}),
 *   "tune" null (the context's)
 * ringc_options_help has them with their documentation. `group` NULL: alone. */
RINGC_API ringc_status ringc_attention_create(ringc_context *context, ringc_group *group,
                                              const char *options_json,
                                              ringc_attention **attention);
RINGC_API void ringc_attention_destroy(ringc_attention *attention);

/* A parameter of a user's mask or score, by "function.parameter", or by "parameter" where that is
 * unique. A number fits a parameter of any type that holds it exactly. */
enum {
  RINGC_ARGUMENT_INTEGER = 0,
  RINGC_ARGUMENT_REAL = 1,
  RINGC_ARGUMENT_BOOL = 2,
  RINGC_ARGUMENT_TENSOR = 3
}; /* ringc_argument.kind */
typedef struct ringc_argument {
  const char *name;
  int32_t kind;
  int32_t truth; /* of a bool: 0 or 1 */
  int64_t integer;
  double real;
  const ringc_tensor *tensor;
} ringc_argument;

typedef struct ringc_attention_inputs {
  size_t size;
  /* Of the unsharded tensors, all ranks together. All three 0: those of q and k, for a rank alone.
   */
  int64_t batch, query_length, key_length;
  const ringc_tensor *q; /* [b, n_q, h, d]; n_q and n_k of this rank */
  const ringc_tensor *k; /* [b, n_k, h_kv, d] */
  const ringc_tensor *v; /* [b, n_k, h_kv, d_v] */
  /* NULL: absent. */
  const ringc_tensor *key_mask;   /* bool [b, n_k], 1 is visible */
  const ringc_tensor *bias;       /* [b or 1, h or 1, n_q, all n_k], added; gets no gradient */
  const ringc_tensor *cu_seqlens; /* i32, 0 .. n_k rising; of the host; the same on every rank */
  const ringc_argument *arguments;
  size_t argument_count;
} ringc_attention_inputs;

/* Written by a forward, and read by the backward of the same inputs. */
typedef struct ringc_attention_results {
  size_t size;
  const ringc_tensor *out; /* [b, n_q, h, d_v] */
  const ringc_tensor *lse; /* f32 [b, h, n_q], natural logarithm; -inf where a row sees no key */
  /* Both or none (NULL), f32 [b, h, n_q]: the largest logit of each row, and the sum of
   * exp(s - it). With them a backward has the forward's own probabilities. */
  const ringc_tensor *row_max, *row_sum;
} ringc_attention_results;

typedef struct ringc_attention_gradients {
  size_t size;
  const ringc_tensor *dout;         /* read; as out */
  const ringc_tensor *dq, *dk, *dv; /* written; as q, k, v */
} ringc_attention_gradients;

/* Compiles, and on a device plans, compares with the other ranks, which call it too, and allocates:
 * so that the first call does not. */
RINGC_API ringc_status ringc_attention_prepare(ringc_attention *attention, ringc_pass pass,
                                               const ringc_attention_inputs *inputs);

/* What a pass needs besides its tensors, for a caller that brings the memory; 0 on the host.
 * Compiles, and with several ranks waits for them. */
RINGC_API ringc_status ringc_attention_workspace_bytes(ringc_attention *attention, ringc_pass pass,
                                                       const ringc_attention_inputs *inputs,
                                                       int64_t *bytes);

/* `workspace` NULL, or on the host: the object's own; else memory of the device, aligned to 256
 * bytes, of ringc_attention_workspace_bytes or more, which lives until the stream has run. */
RINGC_API ringc_status ringc_attention_forward(ringc_attention *attention, void *stream,
                                               const ringc_attention_inputs *inputs,
                                               const ringc_attention_results *results,
                                               void *workspace, int64_t workspace_bytes);
RINGC_API ringc_status ringc_attention_backward(ringc_attention *attention, void *stream,
                                                const ringc_attention_inputs *inputs,
                                                const ringc_attention_results *results,
                                                const ringc_attention_gradients *gradients,
                                                void *workspace, int64_t workspace_bytes);

/* Returns when all that `stream` was given has run, with what went wrong meanwhile. */
RINGC_API ringc_status ringc_attention_wait(ringc_attention *attention, void *stream);

/* The plan of one pass as JSON, of all ranks of this one's ring, as `ringc plan --json` prints it.
 * Of q, k and v the data is not looked at and may be NULL. */
RINGC_API ringc_status ringc_attention_plan(ringc_attention *attention, ringc_pass pass,
                                            const ringc_attention_inputs *inputs, char **json);

/* ---- Decoding ------------------------------------------------------------------------------ */

/* Attention of a few queries to all keys of their entries. */
typedef struct ringc_decode ringc_decode;

/* Fields: those of ringc_attention_create, of which layout, ring_size, schedule and backward do not
 * matter, and "split" 0: keys that one program attends to, a multiple of 64; 0: so that the
 * processors are filled. */
RINGC_API ringc_status ringc_decode_create(ringc_context *context, ringc_group *group,
                                           const char *options_json, ringc_decode **decode);
RINGC_API void ringc_decode_destroy(ringc_decode *decode);

typedef struct ringc_decode_inputs {
  size_t size;
  const ringc_tensor
      *q; /* [b, n_q, h, d]; query r of entry e is at position lengths[e] - n_q + r */
  /* [b, n_k, h_kv, d] and [b, n_k, h_kv, d_v]; with a page table [pages, page size, h_kv, d] and
   * [.., d_v], a page's rows without gaps to the next page's. */
  const ringc_tensor *k, *v;
  const ringc_tensor *page_table; /* i32 [b, pages of an entry], -1: nowhere. NULL: absent */
  const ringc_tensor *lengths;    /* i32 [b]: keys of each entry, of all ranks. NULL: absent */
  const ringc_argument *arguments;
  size_t argument_count;
} ringc_decode_inputs;

/* Where rows are in the sequence: row l is at first + (l / block) * jump + l % block. */
typedef struct ringc_row_positions {
  int64_t first, block, jump;
} ringc_row_positions;

/* Of this rank's keys. */
typedef struct ringc_decode_keys {
  size_t size;
  ringc_row_positions positions; /* all 0: row l is at l */
  int64_t length; /* keys of each entry, where the inputs have no lengths; -1: absent */
} ringc_decode_keys;

/* out [b, n_q, h, d_v] in the type of q, lse f32 [b, h, n_q]. Of a group of several ranks every
 * rank gives the same q, lengths and options and the keys that it has, and gets the whole result,
 * with the same bits. `keys` NULL: all rows, from 0 on, and of several ranks without positions. */
RINGC_API ringc_status ringc_decode_run(ringc_decode *decode, void *stream,
                                        const ringc_decode_inputs *inputs,
                                        const ringc_decode_keys *keys, const ringc_tensor *out,
                                        const ringc_tensor *lse);
/* As ringc_attention_wait. */
RINGC_API ringc_status ringc_decode_wait(ringc_decode *decode, void *stream);

/* Which keys a rank brings to ringc_tree_attn_decode. */
typedef enum ringc_tree_keys {
  RINGC_TREE_WHOLE = 0, /* all: rank r of R takes the ceil(n_k / R) from r * ceil(n_k / R) on */
  RINGC_TREE_SHARD = 1  /* its own, as many as it has, or none */
} ringc_tree_keys;

/* tree_attn_decode of ring-attention-pytorch (arXiv 2408.04093): q [b, h, n_q, d], the same on all
 * ranks, k [b, h_kv, n_k, d], v [b, h_kv, n_k, d_v], out [b, h, n_q, d_v], lse f32 [b, h, n_q].
 * Masks and scores see the positions of whole keys; shards have none, and take neither. */
RINGC_API ringc_status ringc_tree_attn_decode(ringc_decode *decode, void *stream,
                                              const ringc_tensor *q, const ringc_tensor *k,
                                              const ringc_tensor *v, ringc_tree_keys keys,
                                              const ringc_tensor *out, const ringc_tensor *lse);

/* The merge of two attentions of the same queries to different keys: out [b, n, h, d_v] of one
 * type, lse f32 [b, h, n]. An empty side (-inf) leaves the other as it is. Results may lie where
 * one side does. Of a context of the CPU. */
RINGC_API ringc_status ringc_merge(ringc_context *context, const ringc_tensor *out_a,
                                   const ringc_tensor *lse_a, const ringc_tensor *out_b,
                                   const ringc_tensor *lse_b, const ringc_tensor *out,
                                   const ringc_tensor *lse);

/* Keys and values of sequences that grow, in pages of a pool. Each rank of a world has one, and all
 * make the same calls; each keeps the tokens of its own pages: page p of an entry is on the rank
 * p % ranks. Errors change nothing. */
typedef struct ringc_cache ringc_cache;

/* Fields: "pages" 0 (of this rank's pool), "page_size" 64, "kv_heads" 1, "head_dim" 64,
 * "value_head_dim" 0 (as head_dim), "dtype" "f32", "entries" 1 (sequences at a time),
 * "pages_of_entry" 16 (at most, in this rank), "rank" 0, "ranks" 1. On a device all changes go in
 * the order of `stream`, which must outlive the cache; on the host it is NULL. */
RINGC_API ringc_status ringc_cache_create(ringc_context *context, void *stream,
                                          const char *options_json, ringc_cache **cache);
RINGC_API void ringc_cache_destroy(ringc_cache *cache);

/* Adds n tokens to an entry: k [n, h_kv, d], v [n, h_kv, d_v], all of them on every rank. */
RINGC_API ringc_status ringc_cache_append(ringc_cache *cache, int64_t entry, const ringc_tensor *k,
                                          const ringc_tensor *v);
/* The same of `tokens` of which k and v have those of this rank's own pages alone, in their order.
 */
RINGC_API ringc_status ringc_cache_append_own(ringc_cache *cache, int64_t entry, int64_t tokens,
                                              const ringc_tensor *k, const ringc_tensor *v);
/* Makes an empty entry begin as another does, with its first `tokens`, a multiple of the page size:
 * they share these pages. */
RINGC_API ringc_status ringc_cache_share(ringc_cache *cache, int64_t from, int64_t to,
                                         int64_t tokens);
/* Gives back an entry's pages. */
RINGC_API ringc_status ringc_cache_free_entry(ringc_cache *cache, int64_t entry);
/* Tokens of an entry, of all ranks. */
RINGC_API ringc_status ringc_cache_length(ringc_cache *cache, int64_t entry, int64_t *tokens);
RINGC_API ringc_status ringc_cache_free_pages(ringc_cache *cache, int64_t *pages);
/* For ringc_decode_run of all entries: views of the pools, of the page table and of the lengths,
 * and where this rank's keys are; each may be NULL. They last as long as the cache, and change with
 * it where they are. */
RINGC_API ringc_status ringc_cache_inputs(ringc_cache *cache, ringc_tensor *k, ringc_tensor *v,
                                          ringc_tensor *page_table, ringc_tensor *lengths,
                                          ringc_decode_keys *keys);

/* ---- Dealing a sequence -------------------------------------------------------------------- */

/* `layout` as in the options of an attention; NULL: "contiguous". Tensors of the host. */

/* Rows that a rank holds of a sequence of any length. */
RINGC_API ringc_status ringc_local_length(const char *layout, int rank, int world, int64_t length,
                                          int64_t *rows);
/* The least length, not below `length`, that is dealt evenly. */
RINGC_API ringc_status ringc_padded_length(const char *layout, int world, int64_t length,
                                           int64_t *padded);
/* Fills i32 or i64 [ringc_local_length] with the positions of a rank's rows: of keys, and of
 * queries that are as many; those of queries in general are their rows plus key_length -
 * query_length. */
RINGC_API ringc_status ringc_positions(const char *layout, int rank, int world, int64_t length,
                                       const ringc_tensor *positions);
RINGC_API ringc_status ringc_query_positions(const char *layout, int rank, int world,
                                             int64_t query_length, int64_t key_length,
                                             const ringc_tensor *positions);
/* The same as a formula, for ringc_rope and ringc_decode_keys; of keys with two equal lengths. */
RINGC_API ringc_status ringc_row_positions_of(const char *layout, int rank, int world,
                                              int64_t query_length, int64_t key_length,
                                              ringc_row_positions *positions);

/* Copies the rows of `whole` along `axis` that are `rank`'s to `local`, or back to their places. Of
 * one type and of shapes that agree. */
RINGC_API ringc_status ringc_shard(const ringc_tensor *whole, int axis, const char *layout,
                                   int rank, int world, const ringc_tensor *local);
RINGC_API ringc_status ringc_unshard(const ringc_tensor *local, int axis, const char *layout,
                                     int rank, int world, const ringc_tensor *whole);

/* Rotary position embedding of the rows of `from` [b, n, h, d], whose positions are given, to `to`,
 * which may be `from`: f32, f16 or bf16, on the host. Fields: "style" "half_split" | "interleaved",
 * "base" 10000, "rotary_dims" 0 (all). The inverse turns back, and gradients of what was written to
 * those of what was read. */
RINGC_API ringc_status ringc_rope(const ringc_tensor *from, const ringc_tensor *to,
                                  const ringc_row_positions *positions, const char *options_json);
RINGC_API ringc_status ringc_rope_inverse(const ringc_tensor *from, const ringc_tensor *to,
                                          const ringc_row_positions *positions,
                                          const char *options_json);

/* ---- The compiler -------------------------------------------------------------------------- */

/* A .tile file that a spec names: its text in place of the file. */
typedef struct ringc_source {
  const char *name;
  const char *text;
} ringc_source;

/* The output of a stage for a spec (ringc compile --stop-after): "spec", "ast", "tile",
 * "specialised", "split", "vector" (for a GPU "nvvm"), "llvm", "ir", "code"; NULL: "code", PTX for
 * a GPU, for the CPU an ELF object. `target` NULL: the spec's own; "cpu", "sm_90", ... Files that
 * are not among `sources` are read. `text` has `bytes` and a 0 behind them. `provenance_json`, of
 * code alone and else left as it was, has the spec, tile sizes, target and compiler. It and `bytes`
 * may be NULL. RINGC_ERROR_COMPILE where a source is wrong, with rendered diagnostics. */
RINGC_API ringc_status ringc_compile(const char *spec_json, const ringc_source *sources,
                                     size_t source_count, const char *stage, const char *target,
                                     char **text, size_t *bytes, char **provenance_json);
/* The names of a target's stages in their order, a JSON array. */
RINGC_API ringc_status ringc_stage_names(const char *target, char **json);

/* Called after each candidate with a JSON object: {"kernel", "seen", "space", "best_ratio" (to the
 * compiler's choice), "seconds_left"}; gives 0 to go on. */
typedef int (*ringc_tune_progress)(void *user, const char *progress_json);

/* Looks for the tile sizes with which an attention is fastest on this host, in a process of its
 * own, which fork() makes: call it before threads are busy. Fields: "options" (those of an
 * attention), "batch" 1, "query_length", "key_length" 0 (as query_length), "passes" ["forward",
 * "backward"], "ranks" 1, "threads" 0, "seed" 1, "seconds" 60, "table": absent the user's, "" none,
 * else a path: what was found goes there, and contexts made later take it. The result: a table of
 * what was found, as a file has it. `progress` may be NULL. */
RINGC_API ringc_status ringc_tune(const char *options_json, ringc_tune_progress progress,
                                  void *user, char **result_json);

/* The plan of one pass of a world of `world` ranks, as JSON; `inputs` are those of all ranks
 * together, of which q, k and v may be NULL where the lengths are given, or have no data. Of a
 * context of the CPU. */
RINGC_API ringc_status ringc_plan(ringc_context *context, const char *options_json, int world,
                                  ringc_pass pass, const ringc_attention_inputs *inputs,
                                  char **json);

/* Checks the options of a module of ring-attention-pytorch by the names there: `module` is
 * "ring_attention" or "ring_transformer". Of the first, `layout`, "head_map", "softcap", "dtype"
 * and "f32" besides. */
RINGC_API ringc_status ringc_module_check(const char *module, const char *options_json);
/* Ranks of the ring that a RingAttention of these options has for a sequence of so many rows. */
RINGC_API ringc_status ringc_module_ring_size(const char *options_json, int world, int64_t length,
                                              int *ranks);

/* The fields of an options object, a JSON array of {"name", "documentation", "default"}: `which` is
 * "attention", "decode", "cache", "rope", "context", "tune", "spec", "ring_attention" or
 * "ring_transformer". */
RINGC_API ringc_status ringc_options_help(const char *which, char **json);

/* The command line tool `ringc`: argv[0] is its name, argv[argc] is NULL; the result is its exit
 * code. For a process that does nothing else: it writes to stdout and stderr, and changes what
 * signals do. */
RINGC_API int ringc_program(int argc, char **argv);

#ifdef __cplusplus
}
#endif
